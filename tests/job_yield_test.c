/* job_yield_test.c -- giving way: S194 to S197, S232; and S155. */
#include "core/thread.h"
#include "dispatch/event_loop.h"
#include "tests/counting_dispatcher.h"
#include "tests/words.h"

/* S194 */
BODY(say_yield_say)
{
    const char *const *words = arg;

    ev(words[0]);
    KIN_TRY(kin_yield());
    ev(words[1]);
    return 0;
}

BODY(two_that_yield)
{
    static const char *a[] = { "1", "3" }, *b[] = { "2", "4" };
    kin_launch(scope, say_yield_say, a);
    kin_launch(scope, say_yield_say, b);
    return 0;
}

TEST(yield_goes_to_the_back_of_the_queue)
{
    RUN(two_that_yield);
    CHECK_LOG_DRAWN("1 2 3 4", "1<3 1<4 2<3 2<4");
}

/* S195 */
BODY(yield_when_cancelled)
{
    kin_launch(scope, say, "never");
    kin_launch(kin_global_scope(), say, "other",
               .dispatcher = kin_current_element(&kin_key_dispatcher));
    kin_job_cancel(kin_scope_job(scope), CE);
    CHECK_FAILED_WITH(kin_yield(), CE);
    ev("CE");
    return KIN_ECANCELED;
}

BODY(launch_yield_when_cancelled)
{
    return kin_launch(scope, yield_when_cancelled, NULL);
}

TEST(yield_of_a_cancelled_fiber_does_not_give_way)
{
    RUN(launch_yield_when_cancelled);
    CHECK_LOG("CE other");
}

/* S196 */
BODY(yield_expecting_ce)
{
    ev("1");
    CHECK_FAILED_WITH(kin_yield(), CE);
    ev("CE");
    return KIN_ECANCELED;
}

BODY(cancel_while_it_yields)
{
    KIN_AUTO(kin_job) j = NULL;

    kin_launch(scope, yield_expecting_ce, NULL, .job = &j);
    MUST(kin_yield());
    kin_job_cancel(j, CE);
    ev("2");
    MUST(kin_join(j));
    CHECK_FLAGS(j, "011");
    return 0;
}

TEST(yield_that_is_cancelled_meanwhile_returns_canceled)
{
    RUN(cancel_while_it_yields);
    CHECK_LOG("1 2 CE");
}

/* S197 */
TEST(yield_on_unconfined_alone_returns_at_once)
{
    KIN_AUTO(kin_job) j = NULL;
    static const char *words[] = { "1", "2" };

    MUST(kin_launch(kin_global_scope(), say_yield_say, words, .job = &j,
                    .dispatcher = kin_unconfined()));
    CHECK_LOG("1 2");
    CHECK_FLAGS(j, "010");
}

/* R13.1: each yield is one dispatch, if others are there to give way to. */
TEST(yield_dispatches_once_when_there_is_somebody_to_give_way_to)
{
    static const char *a[] = { "1", "3" }, *b[] = { "2", "4" };
    static struct counting d;

    counting_init(&d, "D");
    MUST(kin_launch(kin_global_scope(), say_yield_say, a,
                    .dispatcher = &d.dispatcher));
    MUST(kin_launch(kin_global_scope(), say_yield_say, b,
                    .dispatcher = &d.dispatcher));
    CHECK_EQ(counting_run(&d), 4);
    CHECK_EQ(counting_dispatched(&d), 4);
    CHECK_LOG("1 2 3 4");
}

BODY(yield_often)
{
    for (int i = 0; i < 100000; i++)
        MUST(kin_yield());
    return 0;
}

BODY(three_that_yield_often)
{
    for (int i = 0; i < 3; i++)
        kin_launch(scope, yield_often, NULL);
    return 0;
}

TEST(yield_a_hundred_thousand_times_each)
{
    RUN(three_that_yield_often);
}

/* S232: a view for one slice at a time is no mutex: between two slices of one
 * fiber another one runs. */
BODY(two_on_a_view_of_one)
{
    static const char *a[] = { "1", "3" }, *b[] = { "2", "4" };
    KIN_AUTO(kin_dispatcher) view = NULL;
    int err;

    MUST(kin_limited_parallelism(kin_default(), 1, NULL, &view));
    KIN_WITH_CONTEXT(err, .dispatcher = view) {
        kin_launch(kin_current_scope(), say_yield_say, a);
        kin_launch(kin_current_scope(), say_yield_say, b);
    }
    return err;
}

TEST(fiber_on_a_view_of_one_that_suspends_lets_another_run)
{
    RUN(two_on_a_view_of_one);
    CHECK_LOG("1 2 3 4");
}

/* S155 */
BODY(launch_shielded_failure)
{
    KIN_AUTO(kin_job) job = LAUNCH(scope, throw_error, E,
                                   .context = kin_shield(),
                                   .handler = log_failure);
    MUST(kin_join(job));
    CHECK_FLAGS(job, "011");
    CHECK(kin_scope_is_active(scope));
    return 0;
}

TEST(failure_of_what_is_launched_non_cancellable_is_a_root_s)
{
    RUN(launch_shielded_failure);
    CHECK_LOG("H(E)");
}

BODY(yield_twice)
{
    KIN_TRY(kin_yield());
    return kin_yield();
}

/* As after as many yields of two fibers, with the queue never long: nothing that
 * was known of it then is taken for what is in it now. */
BODY(launch_many_after_many_turns)
{
    struct kin__event_loop *loop = kin__thread()->loop;

    loop->put += UINT32_C(0x80000001);
    loop->taken += UINT32_C(0x80000001);
    for (int i = 0; i < 2 * KIN__LONG_QUEUE; i++)
        MUST(kin_launch(scope, yield_twice, NULL));
    return kin_yield();
}

TEST(a_queue_that_was_short_for_two_thousand_million_turns_may_grow_long)
{
    MUST(kin_run_blocking(launch_many_after_many_turns, NULL));
}

TEST_MAIN
