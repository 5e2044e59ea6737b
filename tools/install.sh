#!/usr/bin/env bash
# Installs what the tests need beyond Go on a Debian machine, where it is missing.
set -euo pipefail
packages=()
command -v aws >/dev/null || packages+=(awscli)
command -v curl >/dev/null || packages+=(curl)
python3 -c "import boto3" 2>/dev/null || packages+=(python3-boto3)
[ ${#packages[@]} -eq 0 ] && exit 0
as_root=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || { echo "please install: ${packages[*]}" >&2; exit 1; }
	as_root=(sudo)
fi
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}"
