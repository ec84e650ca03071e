#!/bin/bash
# Checks test_report.sh with suites made for it: what failed is named and what was unsteady is called so.
set -uo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cases=0
problems=0

# sample NAME BODY: a test file, in which attempt(FILE) counts how often it ran
sample() {
    cat >"$folder/$1.test.mjs" <<END
import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
const again = existsSync('$folder/$1.ran');
writeFileSync('$folder/$1.ran', '');
test('a good one of $1', () => {});
$2
END
}

# run AT_ONCE: the report of a suite that has every sample
run() {
    rm -f "$folder"/*.ran
    (
        logs=$folder/logs
        mkdir -p "$logs"
        source tools/test_report.sh
        node_suite sample "$1" "$folder"
        report
    ) >"$folder/output" 2>&1
    status=$?
}

# expect WHAT COMMAND...
expect() {
    cases=$((cases + 1))
    "${@:2}" && return
    problems=$((problems + 1))
    echo "not so: $1"
    sed 's/^/    /' "$folder/output"
}

last_line() { [ "$(tail -n 1 "$folder/output")" = "$1" ]; }
says() { grep -qF -- "$1" "$folder/output"; }
says_not() { ! says "$1"; }

sample good ""
run 2
expect "all passed" test "$status" -eq 0
expect "they are counted" last_line "1 passed, 0 failed"

sample shaky "test('shakes', () => assert(again, 'the first time'));"
run 2
expect "what passes alone is no failure" test "$status" -eq 0
expect "it counts as passed" last_line "3 passed, 0 failed"
expect "it is unsteady" says \
    "unsteady: $folder/shaky.test.mjs: shakes (failed beside others, passed alone)"
expect "what it said is shown" says "the first time"
expect "nothing failed" says_not "failed: sample"

run 1
expect "what ran alone is not tried again" test "$status" -eq 1
expect "it counts as failed" last_line "2 passed, 1 failed"
expect "no word of unsteadiness" says_not "unsteady"

sample broken "test('breaks', () => assert.fail('whenever it runs'));"
run 2
expect "a failure is one" test "$status" -eq 1
expect "it is counted beside the unsteady one" last_line "4 passed, 1 failed"
expect "it is named" says "failed: sample: $folder/broken.test.mjs: breaks"
expect "the unsteady one is named" says "unsteady: $folder/shaky.test.mjs: shakes"
expect "the unsteady one did not fail" says_not "failed: sample: $folder/shaky.test.mjs"
expect "what it said is shown" says "whenever it runs"

sample sanitized "test('finds', () => assert(again, 'WARNING: ThreadSanitizer: data race'));"
run 2
expect "what a sanitizer found stays" last_line "4 passed, 3 failed"
rm "$folder/sanitized.test.mjs"

for name in shaky2 shaky3; do sample "$name" "test('shakes', () => assert(again));"; done
run 2
expect "four files are no bad luck" last_line "5 passed, 4 failed"

sample crowd "for (let at = 0; at < 60; at++) test(\`breaks \${at}\`, () => assert.fail('a\nb\nc\nd\ne\nf\ng\nh\ni'));"
run 2
expect "the report is short" test "$(sed -n '/^what failed first:/,$p' "$folder/output" | wc -l)" -le 38

echo "test_report: $cases cases, $problems problems"
[ "$problems" -eq 0 ]
