#!/usr/bin/env bash
# Builds the servers that the benchmark compares with into bin/peers, each at a fixed version. They are programs of
# their own that are only run: nothing of them is linked or copied (MinIO is under the AGPL-3.0, versitygw under the
# Apache-2.0).
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p bin/peers
export GOWORK=off GOFLAGS= CGO_ENABLED=0

version=v1.8.0
if [ "$(cat bin/peers/versitygw.version 2>/dev/null)" != "$version" ] || [ ! -x bin/peers/versitygw ]; then
	GOBIN="$PWD/bin/peers" go install "github.com/versity/versitygw/cmd/versitygw@$version"
	echo "$version" >bin/peers/versitygw.version
fi

# MinIO's own go.mod cannot be installed by name: a module of its own here settles all versions.
if ! cat tools/minio/go.mod tools/minio/go.sum | cmp -s - bin/peers/minio.version || [ ! -x bin/peers/minio ]; then
	go build -C tools/minio -trimpath -buildvcs=false -o "$PWD/bin/peers/minio" github.com/minio/minio
	cat tools/minio/go.mod tools/minio/go.sum >bin/peers/minio.version
fi
