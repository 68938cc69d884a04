#!/bin/bash
# check.sh "CHECKS" "MATRIX" -- all that `make check` does.
#
# Every check of the source counts as one test; then the tests run in every row
# of the matrix.  Whoever sees only the end of it sees what failed, in a few
# lines each, and in the last line the sum over all.
set -u -o pipefail
exec 2>&1
start=$(date +%s)
mkdir -p "$BUILD"
RESULTS=$BUILD/results
export RESULTS
: > "$RESULTS"
: > "$RESULTS.failed"
unset MAKEFLAGS MFLAGS MAKELEVEL

# make_ ARGUMENT...: what it says is shown, and kept.
make_() {
    $MAKE --no-print-directory -s WERROR=1 BUILD="$BUILD" "$@" 2>&1 |
        tee "$BUILD/check.log"
}

# failed NAME WHY: what was shown last was in vain.
failed() {
    echo "FAIL $1$2"
    echo "$1 0 1 0" >> "$RESULTS"
    grep -q '^FAIL ' "$BUILD/check.log" || echo "FAIL $1$2" >> "$BUILD/check.log"
    awk -v where="$1" -f tools/failures.awk "$BUILD/check.log" \
        >> "$RESULTS.failed"
}

for check in $1; do
    if make_ ROW=gcc "$check"; then
        echo "ok $check"
        echo "$check 1 0 0" >> "$RESULTS"
    else
        failed "$check" ""
    fi
done

for row in $2; do
    left=$((start + CHECK_TIME - $(date +%s)))
    make_ ROW="$row" TESTS="$TESTS" \
        TEST_TIME=$((left < TEST_TIME ? left : TEST_TIME)) test < /dev/null
    grep -q "^$row " "$RESULTS" || failed "$row" " (it does not build)"
done

# All of it, unless that is hundreds of lines: then their heads.
if [ "$(wc -l < "$RESULTS.failed")" -le 150 ]; then
    cat "$RESULTS.failed"
else
    grep -v '^    ' "$RESULTS.failed" | head -n 150
fi
echo "$(($(date +%s) - start)) s"
awk '{ passed += $2; failed += $3; skipped += $4 }
     $3 { bad = bad " " $1 }
     END {
         if (bad) print "failed in:" bad
         printf "%d passed, %d failed", passed, failed
         if (skipped) printf ", %d skipped", skipped
         print ""
         exit failed > 0
     }' "$RESULTS" > "$BUILD/summary"
status=$?
cat "$BUILD/summary"
exit $status
