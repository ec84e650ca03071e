#!/bin/bash
# Everything that is tested, in the order of what breaks most cheaply. Ends with the line
# "N passed, N failed"; exit status 1 when anything failed.
#
#   tools/run_tests.sh                 all suites
#   tools/run_tests.sh unit browser    these
#
# Suites: checks unit threads fuzz compilers types interop browser lab. Logs: build/test-logs/.
# A suite that runs no test counts as failed. FUZZ_SECONDS (default 3) is per target.
# Tests that mostly wait (for browsers, handshakes, timers) run side by side; a .mjs file with a line
# "// runs alone: WHY" does not.
# What failed beside others is tried once more alone (test_report.sh).
set -uo pipefail
cd "$(dirname "$0")/.."
export JOBS=${JOBS:-$(nproc)}
all_suites=(checks unit threads fuzz compilers types interop browser lab)
suites=("$@")
[ "${#suites[@]}" -gt 0 ] || suites=("${all_suites[@]}")
logs=$PWD/build/test-logs
mkdir -p "$logs"
source tools/test_report.sh

wants() {
    local suite
    for suite in "${suites[@]}"; do [ "$suite" = "$1" ] && return 0; done
    return 1
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
    check "statements of MQTT: the check itself" python3 tools/check_statements.py --self-test
    check "statements of MQTT" python3 tools/check_statements.py
    check "counting: the check itself" python3 tools/count_tests.py --self-test
    check "naming failures: the check itself" python3 tools/failed_tests.py --self-test
    check "reporting: the check itself" tools/check_test_report.sh
    # what members write is shown as text, never as markup
    check "web: no text becomes markup" bash -c \
        '! grep -rnE "(inner|outer)HTML|insertAdjacentHTML|document\.write|srcdoc" web --include=*.js --include=*.html'
    if command -v clang-format >/dev/null; then
        check "format" tools/format.sh --check
    fi
}

suite_unit() {
    build "tests with address and undefined sanitizers" asan all || return
    ctest_suite "unit, simulation, corpora" asan 300 "$logs/unit.log"
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
    TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1" \
        ctest_suite "threads" tsan 600 "$logs/threads.log" \
        -R '^(unit/(base|runtime|store|users|server|admin|signal|app|proto/turn)|sim)/'
}

suite_fuzz() {
    execute "$logs/fuzz.log" tools/fuzz.sh --seconds "${FUZZ_SECONDS:-3}"
    count "fuzz" lines "$logs/fuzz.log" "$logs/fuzz.log"
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

# the servers that browser and interop tests start
server_builds() {
    build "the release server" release roost && build "the sanitized server" asan roost
    export ROOST_TEST_BINARY=$PWD/build/release/roost ROOST_BINARY=$PWD/build/release/roost
    export ROOST_TEST_BINARY_ASAN=$PWD/build/asan/roost
}

suite_interop() {
    server_builds && build "the load generators" release bench_sfu bench_mqtt || return
    node_suite interop $((2 * JOBS)) tests/interop
}

suite_browser() {
    server_builds && build "the server with thread sanitizer" tsan roost || return
    # its tests wait more than they work
    node_suite browser $((JOBS + 1)) tests/browser
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
report
