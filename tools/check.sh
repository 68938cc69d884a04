#!/bin/bash
# check.sh "CHECKS" "MATRIX" -- all that `make check` does.
#
# Every check of the source counts as one test; then the tests run in every row
# of the matrix.  The last line is the sum over all.
set -u
exec 2>&1
start=$(date +%s)
mkdir -p "$BUILD"
RESULTS=$BUILD/results
export RESULTS
: > "$RESULTS"
unset MAKEFLAGS MFLAGS MAKELEVEL

make_() { $MAKE --no-print-directory -s WERROR=1 BUILD="$BUILD" "$@"; }

for check in $1; do
    if make_ ROW=gcc "$check"; then
        echo "ok $check"
        echo "$check 1 0 0" >> "$RESULTS"
    else
        echo "FAIL $check"
        echo "$check 0 1 0" >> "$RESULTS"
    fi
done

for row in $2; do
    left=$((start + CHECK_TIME - $(date +%s)))
    make_ ROW="$row" TESTS="$TESTS" \
        TEST_TIME=$((left < TEST_TIME ? left : TEST_TIME)) test < /dev/null
    if ! grep -q "^$row " "$RESULTS"; then
        echo "FAIL $row (it does not build)"
        echo "$row 0 1 0" >> "$RESULTS"
    fi
done

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
