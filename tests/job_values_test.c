/* job_values_test.c -- a value that nobody has received is handed back before
 * those go on whose it may be: in every order that a seed draws. */
#include "job/job.h"
#include "tests/words.h"

#include <stdlib.h>

enum { SEEDS = 500 };

static struct {
    kin_job *scope;                 /* whose body the value may belong to    */
    int times;
} given_back;

/* The scope still waits, even if for nothing else. */
static void count(UNUSED void *value)
{
    CHECK(!(kin__job_word(given_back.scope) & KIN__JOB_SEALED));
    given_back.times++;
}

/* Completed, and forgotten, while a child keeps it. */
BODY(forget_a_value)
{
    kin_deferred *value = NULL;

    given_back.scope = kin_scope_job(scope);
    MUST(kin_deferred_new(given_back.scope, count, &value));
    LAUNCH_UNDER(kin_deferred_job(value), scope, do_nothing, NULL);
    kin_launch(scope, do_nothing, NULL);
    CHECK_EQ(kin_deferred_complete(value, &given_back), 1);
    kin_deferred_release(value);
    return 0;
}

BODY(forget_a_value_in_a_scope)
{
    given_back.times = 0;
    MUST(kin_coroutine_scope(forget_a_value, NULL));
    CHECK_EQ(given_back.times, 1);
    return 0;
}

TEST(a_value_given_by_hand_is_handed_back_before_the_scope_returns)
{
    unsetenv("KIN_SEED");
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        MUST(kin_run_test(forget_a_value_in_a_scope, NULL, .seed = seed));
}

/* --- Cancelled from outside ----------------------------------------------- */

BODY(forget_a_value_with_a_child_that_waits)
{
    kin_deferred *value = NULL;

    given_back.scope = kin_job_retain(kin_scope_job(scope));
    MUST(kin_deferred_new(given_back.scope, count, &value));
    LAUNCH_UNDER(kin_deferred_job(value), scope, wait_forever, NULL);
    CHECK_EQ(kin_deferred_complete(value, &given_back), 1);
    kin_deferred_release(value);
    return 0;
}

BODY(forget_a_value_and_wait)
{
    MUST(kin_coroutine_scope(forget_a_value_with_a_child_that_waits, NULL));
    CHECK_EQ(given_back.times, 1);
    return 0;
}

/* All of it goes on in place, inside the call. */
BODY(cancel_what_keeps_a_value)
{
    KIN_AUTO(kin_job) job = LAUNCH(scope, forget_a_value_and_wait, NULL,
                                   .dispatcher = kin_unconfined());
    KIN_AUTO(kin_job) waits = given_back.scope;

    CHECK_FLAGS(waits, "100");
    kin_job_cancel_children(waits, NULL);
    CHECK_FLAGS(waits, "010");
    CHECK_EQ(given_back.times, 1);
    return kin_join(job);
}

TEST(a_value_is_handed_back_before_the_scope_whose_children_are_cancelled_returns)
{
    RUN(cancel_what_keeps_a_value);
}

TEST_MAIN
