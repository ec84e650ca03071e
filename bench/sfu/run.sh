#!/bin/bash
# roost's SFU, Janus and the machine's floor side by side: builds, then bench/sfu/measure.py.
#
#   bench/sfu/run.sh [--quick] [--only video,join] [--servers roost,janus] [--counts 100,400]
#
# --quick: about 2 minutes; all: about 25. Needs root for a network namespace of its own, in which
# all packets cross loopback; "sink" needs /dev/net/tun and curl. Without Janus installed its columns
# stay empty. ROOST_OTHER=PROGRAM, with "roost-other" among the servers: another build is measured
# beside this one (video). BUILD: where to build (build/release).
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build/release}
[ "$build" != build/release ] || cmake --preset release >/dev/null
ninja -C "$build" roost bench_sfu bench_sfu_floor >/dev/null
PYTHONPATH=bench/shared exec python3 -B bench/sfu/measure.py --build "$build" "$@"
