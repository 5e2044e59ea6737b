#!/usr/bin/env bash
# Installs what the tests need beyond Go on a Debian machine, where it is missing.
set -euo pipefail
packages=()
command -v aws >/dev/null || packages+=(awscli)
command -v curl >/dev/null || packages+=(curl)
for program in node:nodejs npm rclone s3cmd restic samtools; do # program, and package where it has another name
	command -v "${program%:*}" >/dev/null || packages+=("${program#*:}")
done
python3 -c "import boto3" 2>/dev/null || packages+=(python3-boto3)
if [ ${#packages[@]} -gt 0 ]; then
	as_root=()
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null || { echo "please install: ${packages[*]}" >&2; exit 1; }
		as_root=(sudo)
	fi
	"${as_root[@]}" apt-get update -q
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}"
fi

# Go programs go into bin/tools, each at the version the tests were written for.
cd "$(dirname "$0")/.."
go_tool() { # name, module's path of the program, version
	[ "$(cat "bin/tools/$1.version" 2>/dev/null)" = "$3" ] && [ -x "bin/tools/$1" ] && return
	GOBIN="$PWD/bin/tools" GOFLAGS= go install "$2@$3"
	echo "$3" >"bin/tools/$1.version"
}
go_tool versitygw github.com/versity/versitygw/cmd/versitygw v1.8.0
go_tool mc github.com/minio/mc v0.0.0-20250313080218-cf909e1063a9

# "go install" asks for a list of versions, which some proxies refuse for these:
# each has a module of its own here, whose go.mod and go.sum settle all versions.
go_module() { # name, module's path of the program
	cat "tools/$1/go.mod" "tools/$1/go.sum" | cmp -s - "bin/tools/$1.version" && [ -x "bin/tools/$1" ] && return
	GOFLAGS= GOWORK=off go build -C "tools/$1" -buildvcs=false -o "$PWD/bin/tools/$1" "$2"
	cat "tools/$1/go.mod" "tools/$1/go.sum" >"bin/tools/$1.version"
}
go_module s5cmd github.com/peak/s5cmd/v2
go_module kopia github.com/kopia/kopia
go_module sops github.com/getsops/sops/v3/cmd/sops

# Libraries for node, exactly those of tools/node/package-lock.json.
if ! cmp -s tools/node/package-lock.json bin/tools/node/installed.json; then
	mkdir -p bin/tools/node
	cp tools/node/package.json tools/node/package-lock.json bin/tools/node/
	npm ci --prefix bin/tools/node --ignore-scripts --no-audit --no-fund --loglevel error
	cp tools/node/package-lock.json bin/tools/node/installed.json
fi
