#!/bin/bash
# The checks of the tree's shape, and clang-tidy over src/ (or the files named).
set -euo pipefail
cd "$(dirname "$0")/.."
python3 tools/check_layers.py
tools/format.sh --check
JOBS=${JOBS:-$(nproc)} tools/build.sh clang all
python3 tools/check_pure.py build/clang
python3 tools/check_globals.py build/clang
if [ $# -gt 0 ]; then files=("$@"); else mapfile -t files < <(find src -name '*.c' | sort); fi
echo "clang-tidy: ${#files[@]} files"
printf '%s\0' "${files[@]}" |
    xargs -0 -n 4 -P "${JOBS:-$(nproc)}" clang-tidy -p build/clang --quiet 2> >(
        grep -v -E 'warnings? generated|Suppressed|Use -header-filter' >&2 || true)
