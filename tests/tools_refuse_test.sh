#!/bin/bash
# The tester is tested: with each call refused, what the test does wrong by
# itself is excused, what kin does is not.
. tests/check.sh

# says OUTCOME NAME: what the row `refuse` prints of a test on stdin.
says() {
    make -s $SAME "$O/libkin.a"
    {
        echo '#include "tests/job_helpers.h"'
        echo '#include "core/memory.h"'
        echo '#include <unistd.h>'
        echo "TEST($2)"
        cat
        echo TEST_MAIN
    } > "$scratch/program.c"
    gcc -std=gnu17 -O2 -g -D_GNU_SOURCE -I. -Iinclude -pthread \
        "$scratch/program.c" tests/check.c tests/check_refuse.c \
        "$O"/{asm,core,dispatch,job}/*.o -lm -o "$scratch/program"
    KIN_REFUSE=1 "$scratch/program" > "$scratch/said" 2>&1 || test $? = 1
    cat "$scratch/said"
    grep "^$1" "$scratch/said"
}

a_test_may_follow_what_it_has_not_been_given() {
    says 'ok follows' follows <<'END'
{
    int *number = kin__calloc(1, sizeof *number);
    *(volatile int *)number = 1;
    kin__free(number);
}
END
}
run a_test_may_follow_what_it_has_not_been_given

kin_may_not() {
    says 'FAIL follows (call 1 refused: it crashes' follows <<'END'
{
    kin_job *job = NULL;
    if (kin_job_new(NULL, &job) != 0)
        job = (kin_job *)64;
    CHECK(kin_job_is_active(job));
    kin_job_release(job);
}
END
}
run kin_may_not

nothing_may_hang_before_a_check_has_failed() {
    says 'FAIL waits (call 1 refused: it hangs' waits <<'END'
{
    void *block = kin__malloc(1);
    while (!block)
        pause();
    kin__free(block);
}
END
}
run nothing_may_hang_before_a_check_has_failed

what_hangs_then_is_excused() {
    says 'ok waits (2 runs, 2 broken, 0 untold, 2 early)' waits <<'END'
{
    void *block = kin__malloc(1);
    CHECK_PTR(block, block ? block : &block);
    while (!block)
        pause();
    kin__free(block);
}
END
}
run what_hangs_then_is_excused

finish
