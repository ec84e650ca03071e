#!/bin/bash
# Configures a preset when needed and builds targets with progress shown.
#   tools/build.sh PRESET TARGET...
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift
folder=build/$preset
log=$folder/configure.log
mkdir -p "$folder"
# a preset that changed since is configured anew; cmake itself watches its own files
if [ ! -f "$folder/build.ninja" ] || [ CMakePresets.json -nt "$folder/build.ninja" ]; then
    if ! cmake --preset "$preset" >"$log" 2>&1; then
        cat "$log" >&2
        exit 1
    fi
fi
if [ -t 1 ]; then
    export NINJA_STATUS="[%f/%t %es] "
    exec ninja -C "$folder" -j "${JOBS:-$(nproc)}" "$@"
fi
exec ninja -C "$folder" -j "${JOBS:-$(nproc)}" --quiet "$@"
