#!/bin/bash
# Everything that is tested, in the order of what breaks most cheaply. Ends with the line
# "N passed, N failed"; exit status 1 when anything failed.
#
#   tools/run_tests.sh                 all suites
#   tools/run_tests.sh unit browser    these
#
# Suites: checks unit threads fuzz compilers types interop browser lab. Logs: build/test-logs/.
# A suite that runs no test counts as failed. FUZZ_SECONDS (default 5) is per target.
# Tests that mostly wait (for browsers, handshakes, timers) run side by side; a .mjs file with a line
# "// runs alone: WHY" does not.
set -uo pipefail
cd "$(dirname "$0")/.."
export JOBS=${JOBS:-$(nproc)}
all_suites=(checks unit threads fuzz compilers types interop browser lab)
suites=("$@")
[ "${#suites[@]}" -gt 0 ] || suites=("${all_suites[@]}")
logs=$PWD/build/test-logs
mkdir -p "$logs"
total_passed=0
total_failed=0
failures=()

wants() {
    local suite
    for suite in "${suites[@]}"; do [ "$suite" = "$1" ] && return 0; done
    return 1
}

# add NAME PASSED FAILED SECONDS LOG
add() {
    local name=$1 passed=$2 failed=$3 seconds=$4 log=$5
    if [ $((passed + failed)) -eq 0 ]; then
        echo "      no test ran"
        failed=1
    fi
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
    if [ "$failed" -gt 0 ]; then
        failures+=("$name ($log)")
        printf 'FAIL  %-28s %5d passed, %d failed, %d s\n' "$name" "$passed" "$failed" "$seconds"
        echo "----- end of $log"
        tail -n 40 "$log"
        echo "-----"
    else
        printf 'ok    %-28s %5d passed, %d s\n' "$name" "$passed" "$seconds"
    fi
}

# check NAME COMMAND...: one test, passed when the command succeeds
check() {
    local name=$1 log begin=$SECONDS
    log=$logs/$(tr -c 'a-z0-9\n' '-' <<<"$1").log
    shift
    if "$@" >"$log" 2>&1; then
        add "$name" 1 0 $((SECONDS - begin)) "$log"
    else
        add "$name" 0 1 $((SECONDS - begin)) "$log"
        return 1
    fi
}

# execute LOG COMMAND...: runs it, perhaps in the background; its end is for count
execute() {
    local log=$1 begin=$SECONDS status=0
    shift
    "$@" >"$log" 2>&1 || status=$?
    echo "$status $((SECONDS - begin))" >"$log.end"
}

# count NAME KIND LOG RESULT: the tests of what was executed with LOG, from what it left in RESULT
count() {
    local name=$1 kind=$2 log=$3 result=$4 status seconds passed failed
    read -r status seconds <"$log.end"
    rm -f "$log.end"
    read -r passed failed < <(python3 tools/count_tests.py "$kind" "$result")
    # a command that fails without saying what is one failure more
    [ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
    add "$name" "$passed" "$failed" "$seconds" "$log"
}

# counted NAME KIND LOG RESULT COMMAND...: both
counted() {
    local name=$1 kind=$2 log=$3 result=$4
    shift 4
    rm -f "$result"
    execute "$log" "$@"
    count "$name" "$kind" "$log" "$result"
}

# build NAME PRESET TARGET...: progress on a terminal; only a failure is a result
build() {
    local name=$1 preset=$2 begin=$SECONDS log=$logs/build-$2.log
    shift 2
    echo "      building $name"
    tools/build.sh "$preset" "$@" > >(tee "$log") 2>&1 && return 0
    add "build of $name" 0 1 $((SECONDS - begin)) "$log"
    return 1
}

# names of the test programs of a preset that belong to folders, as ninja targets
test_targets() {
    local preset=$1 pattern=$2
    cmake --preset "$preset" >"$logs/configure-$preset.log" 2>&1
    ninja -C "build/$preset" -t targets all 2>/dev/null | sed -n 's/: .*//p' |
        grep -E "^($pattern)$" | sort -u
}

suite_checks() {
    check "layers: the check itself" python3 tools/check_layers.py --self-test
    check "layers" python3 tools/check_layers.py
    check "purity: the check itself" python3 tools/check_pure.py --self-test
    check "globals: the check itself" python3 tools/check_globals.py --self-test
    check "counting: the check itself" python3 tools/count_tests.py --self-test
    # what members write is shown as text, never as markup
    check "web: no text becomes markup" bash -c \
        '! grep -rnE "(inner|outer)HTML|insertAdjacentHTML|document\.write|srcdoc" web --include=*.js --include=*.html'
    if command -v clang-format >/dev/null; then
        check "format" tools/format.sh --check
    fi
}

suite_unit() {
    build "tests with address and undefined sanitizers" asan all || return
    counted "unit, simulation, corpora" ctest "$logs/unit.log" "$logs/unit.xml" \
        ctest --test-dir build/asan -j $((2 * JOBS)) --output-on-failure --timeout 180 \
        --test-output-size-passed 1000000 --test-output-size-failed 1000000 \
        --output-junit "$logs/unit.xml"
    check "purity: archives" python3 tools/check_pure.py build/asan
}

suite_threads() {
    local targets
    mapfile -t targets < <(test_targets tsan 'unit_(base|runtime|store|users|server|admin|signal|app|proto_turn)_.*|sim_.*|roost')
    if [ "${#targets[@]}" -eq 0 ]; then
        add "threads" 0 0 0 "$logs/configure-tsan.log"
        return
    fi
    build "threaded parts with the thread sanitizer" tsan "${targets[@]}" || return
    counted "threads" ctest "$logs/threads.log" "$logs/threads.xml" \
        env TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1" \
        ctest --test-dir build/tsan -j $((2 * JOBS)) --output-on-failure --timeout 300 \
        -R '^(unit/(base|runtime|store|users|server|admin|signal|app|proto/turn)|sim)/' \
        --test-output-size-passed 1000000 --test-output-size-failed 1000000 \
        --output-junit "$logs/threads.xml"
}

suite_fuzz() {
    counted "fuzz" lines "$logs/fuzz.log" "$logs/fuzz.log" \
        tools/fuzz.sh --seconds "${FUZZ_SECONDS:-5}"
}

suite_compilers() {
    # gcc has compiled everything with the address sanitizer already
    check "gcc: the server without sanitizers" tools/build.sh debug roost &&
        check "globals" python3 tools/check_globals.py build/debug
    check "clang: everything, no warning" tools/build.sh clang all
    # the load generators are not run here, but must not rot
    check "release with link-time optimisation" tools/build.sh release all benches &&
        check "release is hardened" tools/check_hardening.sh build/release/roost
}

suite_types() {
    check "types of web/ (tsc)" tests/node_modules/.bin/tsc --noEmit -p web/tsconfig.json
}

# node_log NAME: where the output of that suite goes
node_log() {
    echo "$logs/$(tr -c 'a-z0-9\n' '-' <<<"$1").log"
}

# node_start NAME AT_ONCE FILE...: runs test files, so many at once
node_start() {
    local log
    log=$(node_log "$1")
    execute "$log" node --test --test-reporter=tap --test-concurrency="$2" "${@:3}"
}

# node_end NAME: counts them
node_end() {
    local log
    log=$(node_log "$1")
    count "$1" node "$log" "$log"
    sed -n 's/^ *ok [0-9]* - \(.* # SKIP.*\)/      skipped: \1/p' "$log"
}

# node_suite NAME AT_ONCE PATH: every *.test.mjs below; those that run alone come last
node_suite() {
    local name=$1 at_once=$2 path=$3 files alone
    mapfile -t files < <(grep -rL '^// runs alone:' "$path" --include='*.test.mjs' | sort)
    mapfile -t alone < <(grep -rl '^// runs alone:' "$path" --include='*.test.mjs' | sort)
    if [ $((${#files[@]} + ${#alone[@]})) -eq 0 ]; then
        add "$name" 0 0 0 "$path"
        return
    fi
    if [ "${#files[@]}" -gt 0 ]; then
        node_start "$name" "$at_once" "${files[@]}"
        node_end "$name"
    fi
    if [ "${#alone[@]}" -gt 0 ]; then
        node_start "$name, alone" 1 "${alone[@]}"
        node_end "$name, alone"
    fi
}

# the servers that browser and interop tests start
server_builds() {
    build "the release server" release roost && build "the sanitized server" asan roost
    export ROOST_TEST_BINARY=$PWD/build/release/roost ROOST_BINARY=$PWD/build/release/roost
    export ROOST_TEST_BINARY_ASAN=$PWD/build/asan/roost
}

suite_interop() {
    server_builds && build "the load generator" release bench_sfu || return
    node_suite interop $((2 * JOBS)) tests/interop
}

suite_browser() {
    server_builds && build "the server with thread sanitizer" tsan roost || return
    node_suite browser "$JOBS" tests/browser
    # group calls once more with the server under each sanitizer
    local call=tests/browser/call.test.mjs
    ROOST_BINARY=$ROOST_TEST_BINARY_ASAN \
        node_start "browser, server with address sanitizer" 1 "$call" &
    ROOST_BINARY=$PWD/build/tsan/roost TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1" \
        node_start "browser, server with thread sanitizer" 1 "$call" &
    wait
    node_end "browser, server with address sanitizer"
    node_end "browser, server with thread sanitizer"
}

# calls between networks of every kind, in namespaces; ROOST_LAB=full takes every pair (make lab)
suite_lab() {
    server_builds || return
    node_suite lab 1 tests/lab
}

groups=(build test)
if wants types || wants interop || wants browser || wants lab; then groups+=(npm); fi
if wants browser || wants lab; then groups+=(browser); fi
if ! tools/dependencies.sh "${groups[@]}"; then
    echo "0 passed, 1 failed"
    exit 1
fi
for suite in "${all_suites[@]}"; do
    if wants "$suite"; then
        printf '\n== %s (%d s)\n' "$suite" "$SECONDS"
        TIMEFORMAT="      $suite: %0R s, of processor time %0U s and %0S s in the kernel"
        time "suite_$suite"
    fi
done

printf '\n%d s\n' "$SECONDS"
for failure in "${failures[@]}"; do echo "failed: $failure"; done
echo "$total_passed passed, $total_failed failed"
[ "$total_failed" -eq 0 ] && [ "$total_passed" -gt 0 ]
