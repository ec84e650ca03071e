#!/bin/bash
# roost's TURN server, coturn and a bare forwarder side by side: builds, then bench/turn/measure.py.
#
#   bench/turn/run.sh [--quick] [--loopback] [--only relay,allocate] [--servers roost,coturn]
#
# --quick: under 2 minutes; all: about 20. As root it puts two network cards of its own between
# servers and generator (bench/shared/network.py), else all is on loopback. Without coturn installed
# its columns stay empty. BUILD: where to build (build/release).
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build/release}
[ "$build" != build/release ] || cmake --preset release >/dev/null
ninja -C "$build" roost bench_turn bench_turn_forwarder >/dev/null
PYTHONPATH=bench/shared exec python3 -B bench/turn/measure.py --build "$build" "$@"
