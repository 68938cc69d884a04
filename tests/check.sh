# check.sh -- the shell side of the harness, for tests/*_test.sh (bash).
#
#     . tests/check.sh
#     a_sentence() { ...commands, the first that fails fails the test... }
#     run a_sentence
#     finish
#
# A test starts in the repository, with $scratch as an empty directory of its
# own, and $O as the build directory of the plain configuration: libraries,
# bin/ with the examples, tests/; `make $SAME ...` makes more of it.  $GXX and
# $CLANGXX are its C++ compilers, what they make is run by $PREFIX_COMMAND.
# `skip why` ends a test.  What a failed test printed follows it.

check_failed=0
: "${O:=build/$(uname -m)-gcc}" "${SAME:=CC=gcc}" "${PREFIX_COMMAND:=}"
: "${GXX:=g++}" "${CLANGXX:=clang++}"
unset MAKEFLAGS MFLAGS MAKELEVEL ROW BUILD CC WERROR TESTS RESULTS CI V

skip() {
    echo "$*" > "$check_why"
    exit 77
}

run() {
    local status
    scratch=$(mktemp -d)
    check_why=$(mktemp)
    (set -eu; "$1") > "$scratch.log" 2>&1 < /dev/null
    status=$?
    case $status in
    0)  echo "ok $1" ;;
    77) echo "skip $1: $(cat "$check_why")" ;;
    *)  echo "FAIL $1 (exit $status)"
        sed 's/^/    /' "$scratch.log"
        check_failed=1 ;;
    esac
    rm -rf "$scratch" "$scratch.log" "$check_why"
}

finish() {
    exit $check_failed
}
