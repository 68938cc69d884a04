#!/bin/bash
# suspends.sh [--fix] FLAGS -- FILE... -- clang's thread-safety analysis: who
# may suspend (kin/analyze.h), who holds which of our spinlocks.
#
# --fix writes KIN_SUSPENDS before each static function that calls one that
# suspends and does not say so, until nothing is left to say.  What comes out
# is to be read: a function that must not suspend may be among them.
set -u
fix=
[ "$1" = --fix ] && { fix=1; shift; }
flags=()
while [ "$1" != -- ]; do flags+=("$1"); shift; done
shift

analyze() {
    clang -std=gnu17 "${flags[@]}" -DKIN_ANALYZE -fsyntax-only -Wthread-safety \
        -Wno-gcc-compat -Werror -ferror-limit=0 "$1" 2>&1
}

# Where a mark is missing, as a script for sed: in front of the function that
# contains a call which was reported.  (A TEST runs off a fiber: what suspends
# in it fails, and that is what it is about.)
unmarked() {
    awk -v file="$1" '
        NR == FNR {
            if (index($0, file ":") == 1 && /kin__may_suspend/) {
                split($0, place, ":")
                call[place[2]] = 1
            }
            next
        }
        /^[A-Za-z_].*\(/ && !/;$/ {
            start = FNR
            mark = /^TEST\(/ ? "KIN_UNCHECKED" : "KIN_SUSPENDS"
        }
        FNR in call && start { print start "i " mark; start = 0 }' - "$1"
}

mark() {
    local lines
    while lines=$(analyze "$1" | unmarked "$1") && [ -n "$lines" ]; do
        sed -i "$lines" "$1"
    done
}

failed=0
for file; do
    [ -n "$fix" ] && mark "$file"
    analyze "$file" || failed=1
done
exit $failed
