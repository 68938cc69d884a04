#!/bin/bash
# run-tests.sh LABEL LOGS PROGRAM... -- runs test programs and adds them up.
#
# A program prints "ok name", "FAIL name (why)" or "skip name: why" for each of
# its tests.  One that ends otherwise than its lines say, says nothing, or takes
# too long, counts as one more failure.  Two run at a time; what a failed one
# printed is shown; the last line is the sum.
#
#   PREFIX_COMMAND  what programs are started with (qemu, valgrind)
#   OPTION          what the programs are given (--seeds=1-200)
#   TEST_TIME       seconds for all of them together
#   RESULTS         a file to which "LABEL passed failed skipped" is added, and
#                   to RESULTS.failed what failed (tools/failures.awk)
set -u

run_one() {
    local program=$1 name log end status=0 left pid
    name=${program##*/}
    log=$LOGS/$name.log
    left=$((DEADLINE - $(date +%s)))
    if [ "$left" -le 0 ]; then
        echo "FAIL $name (not run: the $TEST_TIME s are over)" > "$log"
        return
    fi
    case $program in
    *.sh) set -- bash "$program" ;;
    *)    set -- $PREFIX_COMMAND "$program" $OPTION ;;
    esac
    timeout -k 5 "$left" "$@" < /dev/null > "$log" 2>&1 &
    pid=$!
    trap 'kill $pid' INT TERM
    wait $pid || status=$?
    end=
    case $status in
    0)  grep -qE '^(ok|skip) ' "$log" || end="ran no test" ;;
    1)  grep -q '^FAIL ' "$log" || end="exit 1" ;;
    77) ;;
    124|137) end="no end after $left s" ;;
    *)  end="exit $status" ;;
    esac
    [ -z "$end" ] || printf '\nFAIL %s (%s)\n' "$name" "$end" >> "$log"
}

if [ "$1" = --one ]; then
    run_one "$2" 2> /dev/null
    exit 0
fi

label=$1 LOGS=$2
shift 2
: "${PREFIX_COMMAND:=}" "${OPTION:=}" "${TEST_TIME:=600}"
start=$(date +%s)
DEADLINE=$((start + TEST_TIME))
export LOGS PREFIX_COMMAND OPTION TEST_TIME DEADLINE
rm -rf "$LOGS"
mkdir -p "$LOGS"
[ $# = 0 ] || printf '%s\0' "$@" | xargs -0 -r -n 1 -P "$(nproc)" bash "$0" --one

# Of no tests at all, some of which were chosen, none fails.
[ $# != 0 ] || [ "${TESTS:-*}" != "*" ] ||
    echo "FAIL $label (no test programs)" > "$LOGS/none.log"

count() { cat "$LOGS"/*.log 2> /dev/null | grep -c "^$1 "; }
for log in $(grep -l '^FAIL ' "$LOGS"/*.log 2> /dev/null); do
    name=$(basename "$log" .log)
    printf -- '---- %s: %s\n' "$label" "$name"
    tail -n 200 "$log"
    [ -z "${RESULTS:-}" ] ||
        awk -v where="$label $name" -f "${0%/*}/failures.awk" "$log" \
            >> "$RESULTS.failed"
done
passed=$(count ok) failed=$(count FAIL) skipped=$(count skip)
grep -h '^skip ' "$LOGS"/*.log 2> /dev/null
printf '%-12s %d passed, %d failed' "$label" "$passed" "$failed"
[ "$skipped" = 0 ] || printf ', %d skipped' "$skipped"
printf ' (%d programs, %d s)\n' $# $(($(date +%s) - start))
[ -z "${RESULTS:-}" ] || echo "$label $passed $failed $skipped" >> "$RESULTS"
[ "$failed" = 0 ]
