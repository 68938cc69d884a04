#!/bin/bash
# The objects of asm/ say in their notes which branch protection they honour,
# and no more: IBT on x86-64 and BTI on ARM64 when built with it, nothing when
# built without, never shadow stacks (SHSTK, GCS) or signed returns (PAC); and
# none asks for an executable stack.
. tests/check.sh

# notes <compiler> <flags ...>: what readelf says of the features of each
# object, and "exec" for one that wants an executable stack.
notes() {
    local source section
    for source in asm/*.S; do
        "$@" -I. -c "$source" -o "$scratch/o.o"
        readelf -nW "$scratch/o.o" | sed -n 's/.*feature: *//p'
        section=$(readelf -SW "$scratch/o.o" | grep 'note.GNU-stack' || true)
        case $section in
        '' | *' AX '* | *' X '*) echo exec ;;
        esac
    done | sort -u
}

need() {
    command -v "$1" > /dev/null || skip "no $1 here"
}

x86_objects_claim_ibt_and_no_shadow_stack() {
    need gcc
    [ "$(uname -m)" = x86_64 ] || skip "gcc is not for x86-64 here"
    test "$(notes gcc -fcf-protection=full)" = IBT
    test "$(notes gcc -fcf-protection=branch)" = IBT
    test -z "$(notes gcc -fcf-protection=none)"
    test -z "$(notes gcc -fcf-protection=return)"
}

arm64_objects_claim_bti_and_no_pac() {
    need aarch64-linux-gnu-gcc
    test "$(notes aarch64-linux-gnu-gcc -mbranch-protection=standard)" = BTI
    test "$(notes aarch64-linux-gnu-gcc -mbranch-protection=bti)" = BTI
    test -z "$(notes aarch64-linux-gnu-gcc -mbranch-protection=none)"
}

clang_gives_the_same_notes() {
    need clang
    test "$(notes clang --target=x86_64-linux-gnu -fcf-protection=full)" = IBT
    test "$(notes clang --target=aarch64-linux-gnu \
            -mbranch-protection=standard)" = BTI
}

run x86_objects_claim_ibt_and_no_shadow_stack
run arm64_objects_claim_bti_and_no_pac
run clang_gives_the_same_notes
finish
