#!/bin/bash
# The checks of the source find what they are for: each passes on a small good
# tree, and fails, saying why, when that tree is broken in one way.
. tests/check.sh

root=$PWD

# A tree with a public header, a private one and a source for each of two
# layers, and our Makefile.
good_tree() {
    cd "$scratch"
    mkdir -p asm core dispatch job include/kin docs tests
    cp -r "$root/Makefile" "$root/tools" .
    cp "$root"/tests/check*.[ch] tests
    cp "$root/core/memory.h" core
    cat > include/kin/low.h <<'END'
#ifndef KIN_LOW_H
#define KIN_LOW_H
#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)
int kin_low(void);
#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
END
    sed 's/low/high/; s/LOW/HIGH/' include/kin/low.h > include/kin/high.h
    cat > core/thread.h <<'END'
#ifndef KIN_CORE_THREAD_H
#define KIN_CORE_THREAD_H
int *kin__thread(void);
#endif
END
    cat > core/thread.c <<'END'
#include "core/thread.h"
#include "kin/low.h"
static _Thread_local int variable;
int *kin__thread(void) { return &variable; }
int kin_low(void) { return 1; }
END
    cat > job/high.c <<'END'
#include "core/thread.h"
#include "kin/high.h"
#include "kin/low.h"
#include <stdatomic.h>
static atomic_int word;
int kin_high(void)
{
    /* release: pairs with acquire in nobody() */
    atomic_store_explicit(&word, kin_low(), memory_order_release);
    return *kin__thread();
}
END
    printf 'kin_high\nkin_low\n' > docs/symbols.txt
}

check() {
    make -s PUBLIC='core:low job:high' "$@"
}

# fails CHECK TEXT: the check fails and says TEXT.
fails() {
    if check "$1" > said 2>&1; then
        echo "$1 did not fail"
        return 1
    fi
    cat said
    grep -q -- "$2" said
}

a_good_tree_passes_every_check() {
    good_tree
    check check-layers check-symbols check-headers check-orders check-tidy \
          check-tls check-env check-words analyze
}
run a_good_tree_passes_every_check

core_may_not_include_a_private_header_of_job() {
    good_tree
    touch job/high.h
    sed -i '1i #include "job/high.h"' core/thread.c
    fails check-layers 'core may not use job'
}
run core_may_not_include_a_private_header_of_job

core_may_not_include_a_public_header_of_job() {
    good_tree
    sed -i '1i #include <kin/high.h>' core/thread.c
    fails check-layers 'core may not use job'
}
run core_may_not_include_a_public_header_of_job

job_may_not_include_asm() {
    good_tree
    touch asm/switch.h
    sed -i '1i #include "asm/switch.h"' job/high.c
    fails check-layers 'job may not use asm'
}
run job_may_not_include_asm

a_public_header_of_core_may_not_include_one_of_job() {
    good_tree
    sed -i '3i #include <kin/high.h>' include/kin/low.h
    fails check-layers 'core may not use job'
}
run a_public_header_of_core_may_not_include_one_of_job

a_public_header_may_not_include_a_private_one() {
    good_tree
    sed -i '3i #include "core/thread.h"' include/kin/low.h
    fails check-layers 'a private header'
}
run a_public_header_may_not_include_a_private_one

an_include_must_name_its_layer() {
    good_tree
    sed -i 's|"core/thread.h"|"thread.h"|' core/thread.c
    fails check-layers 'must name its layer'
}
run an_include_must_name_its_layer

an_internal_header_stays_in_its_folder() {
    good_tree
    touch core/thread_internal.h
    sed -i '1i #include "core/thread_internal.h"' job/high.c
    fails check-layers 'private to core'
}
run an_internal_header_stays_in_its_folder

a_public_header_needs_a_layer() {
    good_tree
    touch include/kin/orphan.h
    fails check-layers 'no layer for kin/orphan.h'
}
run a_public_header_needs_a_layer

an_example_may_not_include_a_private_header() {
    good_tree
    mkdir examples
    echo '#include "core/thread.h"' > examples/nosy.c
    fails check-layers 'a private header'
}
run an_example_may_not_include_a_private_header

an_upward_call_through_a_local_extern_is_found() {
    good_tree
    echo 'int kin_high(void); int kin_low2(void);
          int kin_low2(void) { return kin_high(); }' >> core/thread.c
    fails check-symbols 'core calls upwards: kin_high'
}
run an_upward_call_through_a_local_extern_is_found

an_export_that_is_not_in_the_list_is_found() {
    good_tree
    sed -i 's/int kin_low(void);/& int kin_new(void);/' include/kin/low.h
    echo 'int kin_new(void) { return 2; }' >> core/thread.c
    fails check-symbols '+kin_new'
    check symbols
    check check-symbols
}
run an_export_that_is_not_in_the_list_is_found

an_export_that_is_gone_is_found() {
    good_tree
    echo kin_zero >> docs/symbols.txt
    fails check-symbols '-kin_zero'
}
run an_export_that_is_gone_is_found

a_hidden_public_function_is_found() {
    good_tree
    sed -i '/pragma/d' include/kin/low.h
    fails check-symbols 'but hidden: kin_low'
}
run a_hidden_public_function_is_found

a_shown_private_function_is_found() {
    good_tree
    echo '__attribute__((visibility("default"))) int kin__x(void);
          int kin__x(void) { return 3; }' >> core/thread.c
    fails check-symbols 'but shown: kin__x'
}
run a_shown_private_function_is_found

a_name_without_our_prefix_is_found() {
    good_tree
    echo 'int stray(void); int stray(void) { return 3; }' >> core/thread.c
    fails check-symbols 'not ours by its name: stray'
}
run a_name_without_our_prefix_is_found

an_allocation_that_tests_cannot_refuse_is_found() {
    good_tree
    echo '#include <stdlib.h>
          void *kin__new(void); void *kin__new(void) { return malloc(1); }' \
        >> core/thread.c
    fails check-symbols 'core/thread.o asks the system itself.*: malloc'
}
run an_allocation_that_tests_cannot_refuse_is_found

a_private_header_that_needs_another_is_found() {
    good_tree
    sed -i '3i size_t kin__size(void);' core/thread.h
    fails check-headers size_t
}
run a_private_header_that_needs_another_is_found

a_public_header_that_needs_another_is_found() {
    good_tree
    sed -i '3i struct a { size_t n; };' include/kin/low.h
    fails check-headers size_t
}
run a_public_header_that_needs_another_is_found

a_public_header_that_is_not_cpp_is_found() {
    good_tree
    sed -i '3i int kin_class(int class);' include/kin/low.h
    fails check-headers class
}
run a_public_header_that_is_not_cpp_is_found

a_release_without_its_partner_is_found() {
    good_tree
    sed -i '/pairs with/d' job/high.c
    fails check-orders 'job/high.c:.*without "pairs with"'
}
run a_release_without_its_partner_is_found

an_order_in_the_name_of_a_wrapper_needs_its_partner_too() {
    good_tree
    echo 'static int kin__f(void) { return load_acquire(&word); }' \
        > core/wrapped.c
    fails check-orders 'core/wrapped.c:1: .*without "pairs with"'
}
run an_order_in_the_name_of_a_wrapper_needs_its_partner_too

a_release_of_a_reference_is_no_memory_order() {
    good_tree
    echo 'void kin_error_release(void); void kin_scope_release (void);' \
        >> core/thread.c
    check check-orders
}
run a_release_of_a_reference_is_no_memory_order

an_atomic_without_its_order_is_found() {
    good_tree
    echo 'void kin__f(void); void kin__f(void) { atomic_store(&word, 1); }' \
        >> job/high.c
    fails check-orders 'without its memory order'
}
run an_atomic_without_its_order_is_found

a_long_line_is_found() {
    good_tree
    printf '/* %080d */\n' 1 >> core/thread.c
    fails check-tidy 'core/thread.c:.*over 80 columns'
}
run a_long_line_is_found

a_line_is_measured_in_columns_not_bytes() {
    good_tree
    printf '/* %s */\n' "$(printf '…%.0s' {1..60})" >> core/thread.c
    check check-tidy
}
run a_line_is_measured_in_columns_not_bytes

a_trailing_blank_is_found() {
    good_tree
    echo '/* x */ ' >> core/thread.c
    fails check-tidy 'trailing blank'
}
run a_trailing_blank_is_found

a_long_file_is_found() {
    good_tree
    printf '/* x */\n%.0s' {1..500} >> core/thread.c
    fails check-tidy 'core/thread.c: .* lines, over 500'
}
run a_long_file_is_found

a_long_public_header_is_found() {
    good_tree
    printf '/* x */\n%.0s' {1..250} >> include/kin/low.h
    fails check-tidy 'include/kin/low.h: .* lines, over 250'
}
run a_long_public_header_is_found

long_function() { # long_function HEAD
    printf '%s\n' "$1" '{'
    printf '    kin_low();\n%.0s' $(seq 71)
    echo '}'
}

a_long_function_is_found_by_its_name() {
    good_tree
    long_function $'static int long_one(int a,\n                    int b)' \
        >> core/thread.c
    fails check-tidy 'core/thread.c:long_one: 71 lines, over 70'
}
run a_long_function_is_found_by_its_name

an_attribute_does_not_name_a_function() {
    good_tree
    long_function '__attribute__((format(printf, 1, 2))) int f(char *x, ...)' \
        >> core/thread.c
    fails check-tidy 'core/thread.c:f: 71 lines'
}
run an_attribute_does_not_name_a_function

a_listed_long_function_passes() {
    good_tree
    long_function 'int kin_long(void)' >> core/thread.c
    check check-tidy LONG_FUNCTIONS=core/thread.c:kin_long
}
run a_listed_long_function_passes

the_lists_of_exceptions_only_shrink() {
    good_tree
    ! check check-tidy LONG_FUNCTIONS=core/thread.c:kin_low || exit 1
    ! check check-tidy LONG_FUNCTIONS=core/thread.c:kin_gone || exit 1
    ! check check-tidy LONG_FILES=core/thread.c || exit 1
    ! check check-tidy LONG_FILES=core/gone.c || exit 1
}
run the_lists_of_exceptions_only_shrink

a_second_thread_local_file_is_found() {
    good_tree
    echo 'static _Thread_local int second;' >> job/high.c
    fails check-tls 'job/high.c:.*second'
}
run a_second_thread_local_file_is_found

# A tree with our marks, and a source to which a test adds; see kin/analyze.h.
marked_tree() {
    good_tree
    cp "$root"/core/{check,sanitize,spin}.h core
    cp "$root"/include/kin/{analyze,error}.h include/kin
    cat > job/marked.c <<'END'
#include "core/spin.h"
int kin__park(void) KIN_SUSPENDS;
extern struct kin__spin kin__lock;
END
}

add() {
    cat >> job/marked.c
}

a_marked_function_may_suspend() {
    marked_tree
    add <<'END'
KIN_SUSPENDS
static int body(void) { return kin__park(); }
int (*kin__body)(void) = body;
int kin__call(void);
int kin__call(void) { return kin__body(); }
END
    check analyze
}
run a_marked_function_may_suspend

suspending_in_an_unmarked_function_is_found_and_marked() {
    marked_tree
    add <<'END'
static int body(void) { return kin__park(); }
int (*kin__body)(void) = body;
END
    fails analyze "job/marked.c:4:.*calling function 'kin__park' requires"
    check analyze FIX=1
    grep -A1 '^KIN_SUSPENDS' job/marked.c | grep 'int body(void)'
    check analyze
}
run suspending_in_an_unmarked_function_is_found_and_marked

suspending_by_way_of_another_function_is_found() {
    marked_tree
    add <<'END'
KIN_SUSPENDS
static int deep(void) { return kin__park(); }
int kin__call(void);
int kin__call(void) { return deep(); }
END
    fails analyze "job/marked.c:7:.*calling function 'deep' requires"
}
run suspending_by_way_of_another_function_is_found

suspending_under_a_spinlock_is_found() {
    marked_tree
    add <<'END'
int kin__body(void) KIN_SUSPENDS;
int kin__body(void)
{
    int err;
    kin__spin_lock(&kin__lock);
    err = kin__park();
    kin__spin_unlock(&kin__lock);
    return err;
}
END
    fails analyze "job/marked.c:9:.*'kin__park' while .*suspension' is held"
}
run suspending_under_a_spinlock_is_found

a_lock_that_is_not_given_back_is_found() {
    marked_tree
    add <<'END'
int kin__leave(int early);
int kin__leave(int early)
{
    kin__spin_lock(&kin__lock);
    if (early)
        return 1;
    kin__spin_unlock(&kin__lock);
    return 0;
}
END
    fails analyze "'kin__lock' is not held on every path"
}
run a_lock_that_is_not_given_back_is_found

a_lock_that_is_needed_and_not_held_is_found() {
    marked_tree
    add <<'END'
void kin__change(void) KIN_REQUIRES(kin__lock);
void kin__call(void);
void kin__call(void) { kin__change(); }
END
    fails analyze "'kin__change' requires holding spinlock 'kin__lock'"
}
run a_lock_that_is_needed_and_not_held_is_found

a_second_look_at_the_environment_is_found() {
    good_tree
    echo 'const char *kin__word(void) { return getenv("WORD"); }' >> job/high.c
    fails check-env 'job/high.c:.*WORD'
}
run a_second_look_at_the_environment_is_found

a_leftover_mark_is_found() {
    good_tree
    printf '/* %sME: later */\n' FIX >> job/high.c
    fails check-words later
}
run a_leftover_mark_is_found

a_type_with_the_system_s_suffix_is_found() {
    good_tree
    echo 'typedef int kin_number_t;' >> core/thread.h
    fails check-words kin_number_t
}
run a_type_with_the_system_s_suffix_is_found

finish
