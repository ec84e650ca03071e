#!/bin/bash
# All benchmarks, a few minutes: what `make bench` runs. bench/RESULTS.md keeps what they said.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset release >/dev/null
tools/dependencies.sh bench
ninja -C build/release roost bench_sfu bench_crypto bench_udp_gather
echo "== crypto: CPU per packet of SRTP and its parts"
build/release/bench/bench_crypto
echo "== runtime: what the kernel costs a relay, beside a bare forwarder"
build/release/bench/bench_udp_gather 100
echo "== sfu: one 9-packet burst 30 times a second (720p) to each subscriber"
bench/sfu/run.sh 50 100 200 400
echo "== sfu: the same without runs (one datagram per message)"
ROOST_OPTIONS="--set media.gso=false --set media.gro=false" bench/sfu/run.sh 200
echo "== sfu: sound, 50 packets of 160 bytes a second"
LOAD_OPTIONS="--burst 1 --fps 50 --payload 160" bench/sfu/run.sh 400
echo "== sfu: subscribers that decrypt and report, as browsers do"
LOAD_OPTIONS="--feedback" bench/sfu/run.sh 100
echo "== turn: roost, coturn and a bare forwarder side by side (all rows: bench/turn/run.sh)"
bench/turn/run.sh --quick
