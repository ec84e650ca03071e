# Runs tests, counts them, and says which failed: sourced by run_tests.sh.
#
# What failed beside others is tried once more alone. When it passes then, its tests count as passed, and
# are called unsteady where they ran and at the end (CONTRIBUTING.md says why). Not so when more than three
# files failed, when a sanitizer spoke, or when it ran alone in the first place.
#
# $logs is where logs go.
total_passed=0
total_failed=0
failures=()
unsteady=()
first_failure=""

# add NAME PASSED FAILED SECONDS LOG [KIND RESULT FILE...]: what failed is named in RESULT; of FILEs alone
# when there are some
add() {
    local name=$1 passed=$2 failed=$3 seconds=$4 log=$5 named=() test
    if [ $((passed + failed)) -eq 0 ]; then
        echo "      no test ran"
        failed=1
    fi
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
    if [ "$failed" -eq 0 ]; then
        printf 'ok    %-28s %5d passed, %d s\n' "$name" "$passed" "$seconds"
        return
    fi
    printf 'FAIL  %-28s %5d passed, %d failed, %d s\n' "$name" "$passed" "$failed" "$seconds"
    [ $# -lt 7 ] || mapfile -t named < <(python3 tools/failed_tests.py names "${@:6}")
    if [ "${#named[@]}" -gt 0 ]; then
        python3 tools/failed_tests.py show "${@:6}"
        : "${first_failure:=$(python3 tools/failed_tests.py brief "${@:6}")}"
        for test in "${named[@]}"; do failures+=("$name: $test"); done
        echo "----- all of it: $log"
    else
        failures+=("$name ($log)")
        : "${first_failure:=$(echo "$name:" && tail -n 8 "$log" | sed 's/^/      /')}"
        echo "----- end of $log"
        tail -n 40 "$log"
        echo "-----"
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

# count NAME KIND LOG RESULT [ALONE...]: the tests of what was executed with LOG, from what it left in
# RESULT. ALONE is a command that runs one file alone, for what failed beside others: "ALONE... RESULT FILE"
count() {
    local name=$1 kind=$2 log=$3 result=$4 status seconds passed failed still_failed=()
    read -r status seconds <"$log.end"
    rm -f "$log.end"
    read -r passed failed < <(python3 tools/count_tests.py "$kind" "$result")
    # a command that fails without saying what is one failure more
    [ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
    [ "$failed" -eq 0 ] || [ $# -le 4 ] || try_again "$kind" "$result" "${@:5}"
    add "$name" "$passed" "$failed" "$seconds" "$log" "$kind" "$result" "${still_failed[@]}"
}

# try_again KIND RESULT ALONE...: of count, whose numbers it corrects
try_again() {
    local kind=$1 result=$2 files number file again again_passed again_failed named=() test
    shift 2
    mapfile -t files < <(python3 tools/failed_tests.py again "$kind" "$result")
    for file in "${files[@]}"; do
        number=${file%% *}
        file=${file#* }
        again=$result.again-$(tr -c 'a-z0-9\n' '-' <<<"$file")
        rm -f "$again"
        echo "      failed, once more alone: $file"
        if "$@" "$again" "$file" && read -r again_passed again_failed < \
            <(python3 tools/count_tests.py "$kind" "$again") &&
            [ "$again_passed" -gt 0 ] && [ "$again_failed" -eq 0 ]; then
            passed=$((passed + number))
            failed=$((failed - number))
            mapfile -t named < <(python3 tools/failed_tests.py names "$kind" "$result" "$file")
            for test in "${named[@]}"; do
                unsteady+=("$test (failed beside others, passed alone)")
                echo "unsteady: ${unsteady[-1]}"
            done
            python3 tools/failed_tests.py show "$kind" "$result" "$file"
            echo "-----"
        else
            still_failed+=("$file")
        fi
    done
}

# ctest_alone PRESET RESULT PROGRAM
ctest_alone() {
    ctest --test-dir "build/$1" -R "^$(sed 's/[^a-zA-Z0-9_/]/[&]/g' <<<"$3")\$" --output-on-failure \
        --timeout 600 --test-output-size-passed 1000000 --test-output-size-failed 1000000 \
        --output-junit "$2" >"$2.log" 2>&1
}

# ctest_suite NAME PRESET TIMEOUT LOG OPTION...: the programs of a preset, side by side
ctest_suite() {
    local name=$1 preset=$2 timeout=$3 log=$4
    shift 4
    rm -f "$log.xml"
    execute "$log" ctest --test-dir "build/$preset" -j $((2 * JOBS)) --output-on-failure \
        --timeout "$timeout" --test-output-size-passed 1000000 --test-output-size-failed 1000000 \
        --output-junit "$log.xml" "$@"
    count "$name" ctest "$log" "$log.xml" ctest_alone "$preset"
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

# node_alone LOG FILE
node_alone() {
    node --test --test-reporter=tap "$2" >"$1" 2>&1
}

# node_end NAME [ALONE...]: counts them; ALONE as of count
node_end() {
    local log
    log=$(node_log "$1")
    count "$1" node "$log" "$log" "${@:2}"
    sed -n 's/^ *ok [0-9]* - \(.* # SKIP.*\)/      skipped: \1/p' "$log"
}

# node_suite NAME AT_ONCE PATH: every *.test.mjs below; those that run alone come last
node_suite() {
    local name=$1 at_once=$2 path=$3 files alone alone_command=()
    mapfile -t files < <(grep -rL '^// runs alone:' "$path" --include='*.test.mjs' | sort)
    mapfile -t alone < <(grep -rl '^// runs alone:' "$path" --include='*.test.mjs' | sort)
    if [ $((${#files[@]} + ${#alone[@]})) -eq 0 ]; then
        add "$name" 0 0 0 "$path"
        return
    fi
    if [ "${#files[@]}" -gt 0 ]; then
        node_start "$name" "$at_once" "${files[@]}"
        [ "$at_once" -eq 1 ] || alone_command=(node_alone)
        node_end "$name" "${alone_command[@]}"
    fi
    if [ "${#alone[@]}" -gt 0 ]; then
        node_start "$name, alone" 1 "${alone[@]}"
        node_end "$name, alone"
    fi
}

# report: which tests were unsteady or failed, and as the last line "N passed, N failed"; true when all
# passed. It fits into 40 lines, which is what some show of a log.
report() {
    local lines=("${unsteady[@]/#/unsteady: }" "${failures[@]/#/failed: }")
    if [ -n "$first_failure" ]; then
        echo "what failed first:"
        echo "$first_failure"
    fi
    printf '%s\n' "${lines[@]:0:25}"
    [ "${#lines[@]}" -le 25 ] || echo "and $((${#lines[@]} - 25)) more"
    echo "$total_passed passed, $total_failed failed"
    [ "$total_failed" -eq 0 ] && [ "$total_passed" -gt 0 ]
}
