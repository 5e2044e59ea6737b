#!/usr/bin/env bash
# Starts MinIO for the benchmark with every object encrypted (SSE-S3 under a key of its own), and SSE-KMS.
set -euo pipefail
key="$(head -c 32 /dev/urandom | base64)"
export MINIO_KMS_SECRET_KEY="benchmark:$key" MINIO_KMS_AUTO_ENCRYPTION=on
exec "$(dirname "$0")/minio.sh"
