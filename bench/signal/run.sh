#!/bin/bash
# roost's MQTT broker and Mosquitto side by side on loopback, a core for the broker and one for the
# generator: builds, then bench/signal/measure.py.
#
#   bench/signal/run.sh [--quick] [--only TEXT] [--idle TRANSPORTS]
#
# --quick: about two minutes; all: about ten. --only: tables whose title has the text ("stay": idle
# clients, of the transports named). Without mosquitto installed its columns are left out.
# BUILD: where to build (build/release).
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build/release}
[ "$build" != build/release ] || cmake --preset release >/dev/null
ninja -C "$build" roost bench_mqtt >/dev/null
PYTHONPATH=bench/shared exec python3 -B bench/signal/measure.py --build "$build" "$@"
