#!/bin/bash
# roost's TURN server, coturn and a bare forwarder side by side: builds, then bench/turn/measure.py.
#
#   bench/turn/run.sh [--quick] [--only relay,allocate,...] [--servers roost,coturn,forwarder]
#
# --quick: under 2 minutes; all: about 20. Without coturn installed its columns stay empty.
# BUILD: where to build (build/release).
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build/release}
[ "$build" != build/release ] || cmake --preset release >/dev/null
ninja -C "$build" roost bench_turn bench_turn_forwarder >/dev/null
exec python3 -B bench/turn/measure.py --build "$build" "$@"
