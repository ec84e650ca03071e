#!/bin/bash
# Runs the fuzz targets with libFuzzer.
#   tools/fuzz.sh [--seconds N] [TARGET...]
# New inputs gather in build/fuzz/corpus/TARGET; what crashes lands in build/fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=10
if [ "${1:-}" = --seconds ]; then
    seconds=$2
    shift 2
fi
if [ $# -gt 0 ]; then
    targets=("$@")
else
    mapfile -t targets < <(find tests/fuzz -name 'fuzz_*.c' -printf '%f\n' | sed 's/\.c$//' | sort)
fi
if [ "${#targets[@]}" -eq 0 ]; then
    echo "fuzz: no targets" >&2
    exit 1
fi
tools/build.sh fuzz "${targets[@]}"
mkdir -p build/fuzz/artifacts build/fuzz/logs

run_one() {
    local target=$1 seconds=$2 log=build/fuzz/logs/$1.log options=()
    mkdir -p "build/fuzz/corpus/$target"
    [ -f "tests/fuzz/dictionary/$target.txt" ] && options+=("-dict=tests/fuzz/dictionary/$target.txt")
    # seeds are read from the tree, new inputs go to the first folder
    if "build/fuzz/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="build/fuzz/artifacts/$target-" "${options[@]}" \
        "build/fuzz/corpus/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
        echo "ok   $target $(grep -o 'Done [0-9]* runs' "$log" | tail -1)"
    else
        echo "FAIL $target: see $log"
        # the sanitizer's sentence and the calls it names; the end of the log is its map of memory
        { grep -m 1 -A 14 -E 'ERROR: |runtime error: ' "$log" || tail -n 30 "$log"; } | sed 's/^/    /'
        return 1
    fi
}
export -f run_one
printf '%s\n' "${targets[@]}" |
    xargs -P "${JOBS:-$(nproc)}" -I '{}' bash -c "run_one {} $seconds || exit 1"
