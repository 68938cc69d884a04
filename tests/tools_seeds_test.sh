#!/bin/bash
# The tester is tested: bugs are planted in kin, each a race that one thread
# never loses by itself, and the seeds must find them.  A test is linked with
# one source of the library changed; in the order of queueing it still passes,
# with seeds it fails, and the seed that is printed fails again.
. tests/check.sh

export KIN_TEST_LIMIT=3                 # seconds: a lost wake-up is a hang

# plant FILE EXPRESSION PROGRAM: $scratch/PROGRAM, whose FILE sed has changed.
plant() {
    make -s $SAME "$O/libkin.a" "$O/tests/$3"
    sed "$2" "$1" > "$scratch/planted.c"
    ! cmp -s "$1" "$scratch/planted.c" || { echo "nothing planted"; exit 1; }
    gcc -std=gnu17 -O2 -g -D_GNU_SOURCE -I. -Iinclude -pthread \
        "$scratch/planted.c" "$O/tests/$3.o" "$O/tests/check.o" "$O/tests/check_refuse.o" \
        "$O/libkin.a" -lm -o "$scratch/$3"
}

# seeds_find PROGRAM TEST: what the order of queueing does not, and
# what is no bug of the test.
seeds_find() {
    local seed
    "$scratch/$1" "$2"
    ! "$scratch/$1" --seeds=1-200 "$2" > "$scratch/said" 2>&1 || exit 1
    cat "$scratch/said"
    seed=$(sed -n 's/^FAIL .*; KIN_SEED=\([0-9]*\))$/\1/p' "$scratch/said")
    ! KIN_SEED=$seed "$scratch/$1" "$2" > "$scratch/again" 2>&1 || exit 1
    diff <(grep '^FAIL' "$scratch/said") <(grep '^FAIL' "$scratch/again")
    KIN_SEED=$seed "$O/tests/$1" "$2"
}

# Whoever decides a wait before it is parked leaves the waking to the parking.
a_wake_up_that_is_lost_while_a_fiber_leaves_is_found() {
    plant core/wait.c \
        '/^static void publish(/,/^}/s/ready_late(r);/(void)ready_late;/' \
        job_deferred_test
    seeds_find job_deferred_test \
        await_all_of_the_same_deferred_gives_its_value_each_time
}
run a_wake_up_that_is_lost_while_a_fiber_leaves_is_found

# It was not final when it was asked; it is when the waiter is to be linked.
a_waiter_that_comes_when_all_were_told_is_found() {
    plant job/join.c \
        '/^static void publish_waiter(/,/^}/s/if (!open)/if (!open \&\& 0)/' \
        job_states_test
    seeds_find job_states_test cancelling_a_completed_deferred_changes_nothing
}
run a_waiter_that_comes_when_all_were_told_is_found

# The job was cancelled when the wait was not open: nobody has seen it.
a_cancel_before_the_wait_is_open_is_found() {
    plant job/join.c \
        '/^static void publish_waiter(/,/^}/s/if (late)/if (0)/' \
        job_race_sim
    seeds_find job_race_sim a_wait_ends_once_and_for_a_reason_in_one_order
}
run a_cancel_before_the_wait_is_open_is_found

# The outcome is settled, the job not final.
a_cancel_after_the_outcome_is_settled_is_found() {
    plant job/job_state.c '/^static enum begun begin_cancelling/,/^}/s/is_over(word)/is_over(word \& ~(uint32_t)KIN__JOB_SEALED)/' \
        job_tree_sim
    seeds_find job_tree_sim the_rules_of_the_family_hold_in_one_order
}
run a_cancel_after_the_outcome_is_settled_is_found

finish
