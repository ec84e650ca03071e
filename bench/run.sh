#!/bin/bash
# All benchmarks, a few minutes: what `make bench` runs. bench/RESULTS.md keeps what they said.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset release >/dev/null
tools/dependencies.sh bench
ninja -C build/release roost bench_crypto bench_udp_gather
echo "== crypto: CPU per packet of SRTP and its parts"
build/release/bench/bench_crypto
echo "== runtime: what the kernel costs a relay, beside a bare forwarder"
build/release/bench/bench_udp_gather 100
echo "== sfu: roost, Janus and the machine's floor side by side (all rows: bench/sfu/run.sh)"
bench/sfu/run.sh --quick
echo "== turn: roost, coturn and a bare forwarder side by side (all rows: bench/turn/run.sh)"
bench/turn/run.sh --quick
echo "== mqtt: roost and Mosquitto side by side (all rows: bench/signal/run.sh)"
bench/signal/run.sh --quick
echo "== calls of the native protocol"
bench/calls/run.sh
