#!/bin/bash
# Whether a program was linked with the protections that SECURITY.md names.
#   tools/check_hardening.sh PROGRAM
set -euo pipefail
program=$1
problems=0
# expect WHAT COMMAND...: the command succeeds
expect() {
    local what=$1
    shift
    "$@" >/dev/null && return
    echo "$program: no $what"
    problems=$((problems + 1))
}
has() { grep -qE "$1" <<<"$2"; }
lacks() { ! has "$@"; }

header=$(readelf -hW "$program")
segments=$(readelf -lW "$program")
dynamic=$(readelf -dW "$program")
symbols=$(readelf -W --dyn-syms "$program")
expect "position-independent code" has 'Type: +DYN' "$header"
expect "read-only relocations" has GNU_RELRO "$segments"
expect "binding at start" has '\bNOW\b' "$dynamic"
expect "stack without execution" lacks 'GNU_STACK.* RWE ' "$segments"
expect "memory that is never both written and executed" lacks 'LOAD.* RWE ' "$segments"
expect "stack protectors" has __stack_chk_fail "$symbols"
expect "fortified library calls" has '__[a-z]+_chk' "$symbols"
echo "check_hardening: $problems problems"
[ "$problems" -eq 0 ]
