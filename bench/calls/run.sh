#!/bin/bash
# Calls of the native protocol over WebSocket on loopback, a core for the server and one for the
# generator: builds, then bench/calls/measure.py. About a minute.
#
#   bench/calls/run.sh
#
# BUILD: where to build (build/release).
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build/release}
[ "$build" != build/release ] || cmake --preset release >/dev/null
ninja -C "$build" roost bench_calls >/dev/null
PYTHONPATH=bench/shared exec python3 -B bench/calls/measure.py --build "$build" "$@"
