#!/usr/bin/env bash
# Starts versitygw on a folder for the benchmark. Connections are kept alive, and no request is logged.
set -euo pipefail
bin="$(dirname "$0")/../../bin/peers/versitygw"
mkdir -p "$BENCH_DIR/data"
tls=()
if [ -n "${BENCH_TLS_CERT:-}" ]; then
	tls=(--cert "$BENCH_TLS_CERT" --key "$BENCH_TLS_KEY")
fi
export ROOT_ACCESS_KEY="$BENCH_ACCESS_KEY_ID" ROOT_SECRET_KEY="$BENCH_SECRET_ACCESS_KEY"
exec "$bin" --port "$BENCH_ADDRESS" --region "$BENCH_REGION" --keep-alive --quiet "${tls[@]}" posix "$BENCH_DIR/data"
