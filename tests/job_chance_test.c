/* job_chance_test.c -- what a seed does at the marked places of core/chance.h:
 * each is reached, others come first there, and nowhere else. */
#include "core/chance.h"
#include "tests/words.h"

#include <stdlib.h>

enum { SEEDS = 300 };

/* --- At every place ------------------------------------------------------ */

static const char *const places[KIN__CHANCE_PLACES] = {
    "BEGUN", "LINKS", "PARKS", "SETTLES", "DISARMS", "LEAVES", "LEFT", "HOPS",
    "ENDS", "WALKS", "SEALED", "FINAL", "FREED",
};

static unsigned long count_of(int place)
{
    return atomic_load(&kin__chance_counts[place]);
}

BODY(fail_above_others)
{
    kin_launch(scope, wait_forever, NULL);
    kin_launch(scope, wait_forever, NULL);
    KIN_TRY(kin_delay(KIN_MS(1)));
    THROW(E);
}

BODY(delay_in_time)
{
    return kin_with_timeout(KIN_MS(1), yield_once, NULL);
}

/* Everything that has a marked place, several times over at one instant. */
BODY(be_everywhere)
{
    KIN_AUTO(kin_dispatcher) other = NULL;
    int err;

    MUST(kin_test_dispatcher(kin_test_scheduler_of(scope), &other));
    for (int i = 0; i < 3; i++) {
        KIN_AUTO(kin_job) child = LAUNCH(scope, do_nothing, NULL);
        kin_launch(scope, delay_in_time, NULL);
        KIN_SUPERVISOR_SCOPE(err, inner) {
            kin_launch(inner, fail_above_others, NULL, .handler = log_failure);
            kin_launch(inner, yield_once, NULL, .dispatcher = other);
            MUST(kin_delay(KIN_MS(1)));
            MUST(kin_with_context(yield_once, NULL, .dispatcher = other));
        }
        MUST(err);
        MUST(kin_join(child));
        LAUNCH_UNDER(kin_current_job(), scope, join_body, child);
        MUST(kin_yield());
    }
    return 0;
}

TEST(others_come_first_at_every_marked_place)
{
    unsetenv("KIN_SEED");
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        MUST(kin_run_test(be_everywhere, NULL, .seed = seed));
    for (int place = 0; place < KIN__CHANCE_PLACES; place++)
        if (!count_of(place))
            FAIL("%s: nothing ever came first there", places[place]);
}

TEST(without_a_seed_nothing_comes_first)
{
    unsetenv("KIN_SEED");
    MUST(kin_run_test(be_everywhere, NULL));
    for (int place = 0; place < KIN__CHANCE_PLACES; place++)
        CHECK_EQ(count_of(place), 0);
    CHECK_EQ(atomic_load(&kin__chances), 0);
}

/* --- Nowhere else -------------------------------------------------------- */

static int slices;

BODY(count_slice)
{
    slices++;
    return 0;
}

BODY(count_when_cancelled)
{
    int err = kin_await_cancellation();
    slices++;
    return err;
}

BODY(count_when_open)
{
    KIN_TRY(kin_await(arg, NULL));
    slices++;
    return 0;
}

BODY(call_what_does_not_suspend)
{
    KIN_AUTO(kin_deferred) gate = new_deferred(NULL);
    KIN_AUTO(kin_job) job = LAUNCH(scope, count_when_cancelled, NULL);
    KIN_AUTO(kin_job) bare = new_job(NULL);

    LAUNCH_UNDER(bare, scope, count_when_cancelled, NULL);
    KIN_AUTO(kin_job) waits = LAUNCH(scope, count_when_open, gate);
    MUST(kin_yield());
    int before = slices;
    kin_launch(scope, count_slice, NULL);
    kin_job_cancel(job, NULL);
    kin_job_cancel(bare, E);
    open_gate(gate);
    CHECK_EQ(kin_job_complete(bare), 0);
    MUST(kin_ensure_active());
    MUST(kin_delay(0));
    CHECK_EQ(slices, before);
    return kin_join(waits);             /* it borrows the gate */
}

TEST(a_call_that_does_not_suspend_is_not_interrupted)
{
    unsetenv("KIN_SEED");
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        MUST(kin_run_test(call_what_does_not_suspend, NULL, .seed = seed));
    CHECK(slices > 0);
}

/* --- Yields -------------------------------------------------------------- */

BODY(yield_to_five)
{
    slices = 0;
    for (int i = 0; i < 5; i++)
        kin_launch(scope, count_slice, NULL);
    MUST(kin_yield());
    CHECK_EQ(slices, 5);
    return 0;
}

TEST(one_that_yields_goes_on_after_all_that_was_due_before)
{
    unsetenv("KIN_SEED");
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        MUST(kin_run_test(yield_to_five, NULL, .seed = seed));
}

/* --- Again --------------------------------------------------------------- */

BODY(say_thrice)
{
    for (int i = 0; i < 3; i++) {
        ev(arg);
        KIN_TRY(kin_delay(KIN_MS(1)));
    }
    return 0;
}

BODY(join_and_say)
{
    KIN_AUTO(kin_job) job = LAUNCH(scope, say_thrice, arg);
    MUST(kin_join(job));
    ev("joined");
    return 0;
}

BODY(say_in_some_order)
{
    kin_launch(scope, join_and_say, "a");
    kin_launch(scope, join_and_say, "b");
    return kin_with_timeout(KIN_MS(9), join_and_say, "c");
}

static char *log_of_seed(uint64_t seed)
{
    log_clear();
    MUST(kin_run_test(say_in_some_order, NULL, .seed = seed));
    return log_copy();
}

TEST(a_seed_has_the_same_interleaving_again)
{
    int differ = 0;

    unsetenv("KIN_SEED");
    char *first = log_of_seed(1);
    for (uint64_t seed = 1; seed <= 100; seed++) {
        char *once = log_of_seed(seed), *again = log_of_seed(seed);
        CHECK_STR(once, again);
        differ += strcmp(once, first) != 0;
        free(once);
        free(again);
    }
    CHECK(differ > 50);
    free(first);
}

TEST_MAIN
