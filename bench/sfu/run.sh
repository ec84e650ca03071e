#!/bin/bash
# One publisher to N subscribers: the server alone on core 0 with one worker, the generator on core 1.
#
#   bench/sfu/run.sh [SUBSCRIBERS...]          default: 100 200 400
#
# Environment: SECONDS_EACH (10), LOAD_OPTIONS (e.g. "--burst 1 --fps 50 --payload 160 --feedback"),
# ROOST_OPTIONS (e.g. "--set media.gso=false").
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build/release}
data=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    server=
}
touch "$data/log"
trap 'stop; rm -rf "$data"' EXIT
for subscribers in "${@:-100}"; do
    # shellcheck disable=SC2086
    taskset -c 0 "$build/roost" serve --data "$data/data" --workers 1 --set http.bind=127.0.0.1 \
        --set http.http_port=0 --set http.https_port=0 --set media.udp_port=0 \
        --set turn.port=0 --set turn.tls_port=0 \
        --set log.format=json --set log.level=info --set signal.max_sessions_per_address=20000 \
        --set http.max_connections_per_address=20000 --set http.max_connections=20000 \
        --set rooms.max_members=20000 ${ROOST_OPTIONS:-} >"$data/log" 2>&1 &
    server=$!
    until grep -q '"message":"ready"' "$data/log"; do
        kill -0 "$server" || { cat "$data/log"; exit 1; }
        sleep 0.1
    done
    port=$(sed -n 's/.*"message":"ready".*"http_port":\([0-9]*\).*/\1/p' "$data/log")
    # shellcheck disable=SC2086
    taskset -c 1 "$build/bench/bench_sfu" --server "127.0.0.1:$port" --pid "$server" \
        --subscribers "$subscribers" --seconds "${SECONDS_EACH:-10}" ${LOAD_OPTIONS:-}
    echo
    stop
done
