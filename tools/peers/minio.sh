#!/usr/bin/env bash
# Starts MinIO on one folder for the benchmark, without encryption.
set -euo pipefail
bin="$(dirname "$0")/../../bin/peers/minio"
export MINIO_ROOT_USER="$BENCH_ACCESS_KEY_ID" MINIO_ROOT_PASSWORD="$BENCH_SECRET_ACCESS_KEY"
export MINIO_REGION="$BENCH_REGION" MINIO_BROWSER=off MINIO_UPDATE=off
certs="$BENCH_DIR/certs"
mkdir -p "$certs" "$BENCH_DIR/data"
if [ -n "${BENCH_TLS_CERT:-}" ]; then
	cp "$BENCH_TLS_CERT" "$certs/public.crt"
	cp "$BENCH_TLS_KEY" "$certs/private.key"
fi
exec "$bin" server --quiet --certs-dir "$certs" --address "$BENCH_ADDRESS" "$BENCH_DIR/data"
