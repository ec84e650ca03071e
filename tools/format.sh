#!/bin/bash
# Formats the C sources (--write) or fails when one is not formatted (--check).
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t files < <(find src tests bench -path '*/node_modules' -prune -o \
    \( -name '*.c' -o -name '*.h' \) -print | sort)
case "${1:---check}" in
--write) clang-format -i "${files[@]}" ;;
--check)
    clang-format --dry-run --Werror "${files[@]}"
    echo "format: ${#files[@]} files"
    ;;
*) echo "format.sh --check|--write" >&2; exit 2 ;;
esac
