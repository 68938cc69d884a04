#!/bin/bash
# Windows of a few instructions, between threads: a source of the library is
# linked with a pause in the window, so that the other thread always comes in.
. tests/check.sh

PAUSE='{ extern int usleep(unsigned); usleep(2000); }'
GONE='{ extern kin_job *target; extern _Atomic int has_left; if (job == target) if (has_left) __builtin_trap(); }'

# build FILE EXPRESSION: $scratch/program from a test file on stdin, with the
# library, whose FILE sed has changed.
build() {
    make -s $SAME "$O/libkin.a"
    sed "$2" "$1" > "$scratch/paused.c"
    ! cmp -s "$1" "$scratch/paused.c" || { echo "no pause made"; exit 1; }
    { echo '#include "tests/words.h"'; cat; echo TEST_MAIN; } \
        > "$scratch/program.c"
    gcc -std=gnu17 -O1 -g -D_GNU_SOURCE -I. -Iinclude -pthread \
        "$scratch/paused.c" "$scratch/program.c" tests/check*.c "$O/libkin.a" \
        -lm -o "$scratch/program"
}

# A fiber that joins can be resumed as soon as its wait is open, by another
# thread that cancels it; but it is linked to the job only after that.
a_fiber_that_is_cancelled_while_it_is_registered_does_not_leave() {
    build job/join.c "/^static void publish_waiter/,/^}/ \
        s/kin__wait_open(.*);/& $PAUSE $GONE/" <<'END'
kin_job *target;
static _Atomic bool begun;
_Atomic int has_left;

BODY(join_target)
{
    begun = true;
    int err = kin_join(target);
    has_left = 1;
    return err;
}

TEST(join_cancelled)
{
    target = new_job(NULL);
    for (int i = 0; i < 100; i++) {
        KIN_AUTO(kin_job) job = NULL;
        begun = false;
        has_left = 0;
        MUST(kin_launch(kin_global_scope(), join_target, NULL, .job = &job));
        while (!begun)
            sched_yield();
        block_ms(1);                    /* amid the pause, as a rule */
        kin_job_cancel(job, NULL);
        wait_for_job(job);
        CHECK_FLAGS(job, "011");
    }
    kin_job_cancel(target, NULL);
    CHECK_FLAGS(target, "011");
    kin_job_release(target);
}
END
    "$scratch/program"
}
run a_fiber_that_is_cancelled_while_it_is_registered_does_not_leave

finish
