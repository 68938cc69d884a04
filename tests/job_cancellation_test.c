/* Cancellation is a request: who is told when, what a fiber notices and where,
 * what it gets as the reason, and what its job becomes.
 * Nearly everything runs on one event loop.  A loop that never parks runs on
 * Default and is cancelled from the thread of the test.
 */
#include "tests/job_helpers.h"

#include <pthread.h>
#include <stdatomic.h>

/* --- Parked fibers -------------------------------------------------------- */

KIN_SUSPENDS
static int say_1_wait_say_3(kin_scope *scope, void *arg)
{
    (void)arg;
    ev("1");
    return say_when_cancelled(scope, "3");
}

/* S061 */
TEST_ON_LOOP(cancel_requests_and_join_waits)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, say_1_wait_say_3, NULL);
    yield_times(1);
    ev("2");
    kin_job_cancel(j, NULL);
    ev("c");
    CHECK_EQ(kin_join(j), 0);
    ev("4");
    CHECK_LOG("1 2 c 3 4");
}

KIN_SUSPENDS
static int swallow_cancellation_twice(kin_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    if (kin_delay(KIN_NEVER) == KIN_ECANCELED)
        ev("1");
    if (kin_delay(KIN_MS(1)) == KIN_ECANCELED)
        ev("2");
    ev("3");
    return 0;
}

/* S064 */
TEST_ON_CLOCK(swallowing_a_cancellation_does_not_undo_it)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, swallow_cancellation_twice, NULL);
    yield_times(1);
    CHECK_EQ(kin_cancel_and_join(j), 0);
    CHECK_LOG("1 2 3");
    CHECK_FLAGS(j, "011");
}

KIN_SUSPENDS
static int clean_up_with_a_delay(kin_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    int err = kin_await_cancellation();
    if (kin_delay(KIN_MS(10)) == 0)
        ev("1");
    return err;
}

/* S065 */
TEST_ON_CLOCK(cleanup_in_a_cancelled_fiber_cannot_wait)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, clean_up_with_a_delay, NULL);
    yield_times(1);
    CHECK_EQ(kin_cancel_and_join(j), 0);
    CHECK_LOG("");
}

KIN_SUSPENDS
static int clean_up_with_a_shielded_delay(kin_scope *scope, void *arg)
{
    int entered;
    (void)scope;
    (void)arg;
    int err = kin_await_cancellation();
    KIN_WITH_CONTEXT(entered, .context = shield()) {
        if (kin_delay(KIN_MS(10)) == 0)
            ev("1");
    }
    CHECK_EQ(entered, 0);
    return err;
}

/* S065 */
TEST_ON_CLOCK(cleanup_that_is_shielded_can_wait)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, clean_up_with_a_shielded_delay, NULL);
    yield_times(1);
    CHECK_EQ(kin_cancel_and_join(j), 0);
    CHECK_LOG("1");
    CHECK_FLAGS(j, "011");
}

/* S074 */
TEST_ON_LOOP(await_cancellation_ends_when_cancelled_and_cleanup_runs)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, say_when_cancelled, "1");
    yield_times(3);
    CHECK_FLAGS(j, "100");
    CHECK_LOG("");
    CHECK_EQ(kin_cancel_and_join(j), 0);
    CHECK_LOG("1");
    CHECK_FLAGS(j, "011");
}

/* --- Fibers that compute -------------------------------------------------- */

struct loop {
    atomic_bool runs, may_end;
    _Atomic long rounds;
};

static int compute_without_asking(kin_scope *scope, void *arg)
{
    struct loop *loop = arg;
    (void)scope;
    atomic_store(&loop->runs, true);
    while (!atomic_load(&loop->may_end))
        atomic_fetch_add(&loop->rounds, 1);
    ev("end");
    return 0;
}

static int compute_while_active(kin_scope *scope, void *arg)
{
    struct loop *loop = arg;
    (void)scope;
    atomic_store(&loop->runs, true);
    while (kin_is_active())
        ;
    ev("end");
    return kin_ensure_active();
}

KIN_SUSPENDS
static kin_job *launch_loop(kin_body *body, struct loop *loop)
{
    kin_job *job = LAUNCH(kin_global_scope(), body, loop);
    while (!atomic_load(&loop->runs))
        CHECK_EQ(kin_yield(), 0);
    return job;
}

/* S062 */
TEST_ON_LOOP(a_loop_that_never_asks_is_not_stopped_by_cancel)
{
    struct loop loop = { false, false, 0 };
    KIN_AUTO(kin_job) j = launch_loop(compute_without_asking, &loop);
    kin_job_cancel(j, NULL);
    long before = atomic_load(&loop.rounds);
    while (atomic_load(&loop.rounds) < before + 100000)
        CHECK_EQ(kin_yield(), 0);
    CHECK_FLAGS(j, "001");
    CHECK_LOG("");
    atomic_store(&loop.may_end, true);
    CHECK_EQ(kin_join(j), 0);
    CHECK_LOG("end");
    CHECK_FLAGS(j, "011");
}

/* S062 */
TEST_ON_LOOP(a_loop_that_asks_is_active_ends_after_cancel)
{
    struct loop loop = { false, false, 0 };
    KIN_AUTO(kin_job) j = launch_loop(compute_while_active, &loop);
    CHECK_EQ(kin_cancel_and_join(j), 0);
    CHECK_LOG("end");
    CHECK_FLAGS(j, "011");
}

static void *cancel_on_a_thread(void *job)
{
    kin_job_cancel(job, NULL);
    return NULL;
}

/* Another thread cancels the running fiber, and has done so on return. */
static void be_cancelled_by_a_thread(void)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, cancel_on_a_thread,
                            kin_current_job()), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static int say_1_to_5_while_active(kin_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    for (int i = 1; i <= 5; i++) {
        KIN_TRY(kin_ensure_active());
        if (i == 2)
            be_cancelled_by_a_thread();
        evi(i);
    }
    return 0;
}

/* S063 */
TEST_ON_LOOP(ensure_active_notices_a_cancellation_from_another_thread)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, say_1_to_5_while_active, NULL);
    CHECK_EQ(kin_join(j), 0);
    CHECK_LOG("1 2");
    CHECK_FLAGS(j, "011");
}

KIN_SUSPENDS
static int cancel_own_job(kin_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    kin_job_cancel(kin_current_job(), NULL);
    ev("1");
    KIN_TRY(kin_yield());
    ev("2");
    return 0;
}

/* S066 */
TEST_ON_LOOP(a_fiber_that_cancels_itself_goes_on_to_its_next_checkpoint)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, cancel_own_job, NULL);
    CHECK_EQ(kin_join(j), 0);
    CHECK_LOG("1");
    CHECK_FLAGS(j, "011");
}

/* --- The reason ----------------------------------------------------------- */

KIN_SUSPENDS
static int catch_stop(kin_scope *scope, void *stop)
{
    (void)scope;
    CHECK_FAILED_WITH(kin_await_cancellation(), stop);
    CHECK_STR(kin_error_message(kin_error_current()), "stop");
    CHECK_FAILED_WITH(kin_yield(), stop);
    CHECK_FAILED_WITH(kin_ensure_active(), stop);
    ev("caught");
    return KIN_ECANCELED;
}

KIN_SUSPENDS
static int launch_and_catch_stop(kin_scope *scope, void *stop)
{
    CHECK_EQ(kin_launch(scope, catch_stop, stop), 0);
    return catch_stop(scope, stop);
}

/* S067 */
TEST_ON_LOOP(a_body_and_its_child_get_the_very_error_given_to_cancel)
{
    KIN_AUTO(kin_error) stop = new_cancellation("stop", NULL);
    KIN_AUTO(kin_job) j = LAUNCH(scope, launch_and_catch_stop, stop);
    yield_times(2);
    kin_job_cancel(j, stop);
    CHECK_EQ(kin_join(j), 0);
    CHECK_LOG("caught caught");
}

/* S068 */
TEST_ON_LOOP(a_cancellation_with_a_failure_as_cause_is_not_reported)
{
    REPORT(H);
    REPORT(C);
    KIN_AUTO(kin_error) e = new_failure("E");
    KIN_AUTO(kin_error) m = new_cancellation("m", e);
    KIN_AUTO(kin_job) root = new_job(NULL);
    KIN_AUTO(kin_job) j =
        LAUNCH_IN(root, scope, say_when_cancelled, "1", HANDLER(H));
    on_completion(j, take_report, &C);
    yield_times(1);
    kin_job_cancel(j, m);
    CHECK_EQ(kin_join(j), 0);
    CHECK_LOG("1 C");
    CHECK_PTR(C.error, m);
    CHECK_PTR(kin_error_cause(C.error), e);
}

KIN_SUSPENDS
static int throw_in_cleanup(kin_scope *scope, void *error)
{
    (void)scope;
    CHECK_EQ(kin_await_cancellation(), KIN_ECANCELED);
    return kin_error_rethrow(error);
}

/* S069 */
TEST_ON_LOOP(a_cancelled_job_that_throws_in_its_cleanup_has_failed)
{
    REPORT(H);
    REPORT(C);
    KIN_AUTO(kin_error) e = new_failure("E");
    KIN_AUTO(kin_job) root = new_job(NULL);
    KIN_AUTO(kin_job) j =
        LAUNCH_IN(root, scope, throw_in_cleanup, e, HANDLER(H));
    on_completion(j, take_report, &C);
    yield_times(1);
    CHECK_EQ(kin_cancel_and_join(j), 0);
    CHECK_EQ(kin_join(root), 0);
    CHECK_LOG("H C");
    CHECK_PTR(H.error, e);
    CHECK_PTR(C.error, e);
    CHECK_FLAGS(root, "011");
}

/* S070 */
TEST_ON_LOOP(the_first_cause_of_a_cancellation_stays)
{
    REPORT(C);
    KIN_AUTO(kin_error) first = new_cancellation("first", NULL);
    KIN_AUTO(kin_error) second = new_cancellation("second", NULL);
    KIN_AUTO(kin_job) j = LAUNCH(scope, say_when_cancelled, "1");
    on_completion(j, take_report, &C);
    yield_times(1);
    kin_job_cancel(j, first);
    kin_job_cancel(j, second);
    CHECK_EQ(kin_join(j), 0);
    kin_job_cancel(j, second);
    KIN_AUTO(kin_error) cause = cancellation_of(j);
    CHECK_PTR(cause, first);
    CHECK_PTR(C.error, first);
    CHECK_LOG("1 C");
}

/* --- Children, waiters ---------------------------------------------------- */

/* S071 */
TEST_ON_LOOP(cancelling_the_children_leaves_the_parent_open_for_new_ones)
{
    KIN_AUTO(kin_job) p = new_job(NULL);
    KIN_AUTO(kin_job) a = LAUNCH_IN(p, scope, say_when_cancelled, "a");
    KIN_AUTO(kin_job) b = LAUNCH_IN(p, scope, say_when_cancelled, "b");
    yield_times(1);
    kin_job_cancel_children(p, NULL);
    CHECK_FLAGS(a, "001");
    CHECK_FLAGS(b, "001");
    CHECK_FLAGS(p, "100");

    KIN_AUTO(kin_job) c = LAUNCH_IN(p, scope, say, "c");
    CHECK_EQ(kin_join(c), 0);
    CHECK_EQ(kin_join_all((kin_job *[]){ a, b }, 2), 0);
    CHECK_LOG_DRAWN("a b c", "");
    CHECK_FLAGS(a, "011");
    CHECK_FLAGS(c, "010");
    CHECK_FLAGS(p, "100");
}

KIN_SUSPENDS
static int await_and_say_1(kin_scope *scope, void *deferred)
{
    (void)scope;
    KIN_TRY(kin_await(deferred, NULL));
    ev("1");
    return 0;
}

/* S072: the classic silent killer. */
TEST_ON_LOOP(awaiting_a_cancelled_deferred_ends_the_waiter_silently)
{
    KIN_AUTO(kin_deferred) d = ASYNC(scope, say_when_cancelled, NULL);
    yield_times(1);
    kin_job_cancel(kin_deferred_job(d), NULL);
    KIN_AUTO(kin_job) waiter = LAUNCH(scope, await_and_say_1, d);
    CHECK_EQ(kin_join(waiter), 0);
    CHECK_FLAGS(waiter, "011");
    CHECK_LOG("");
    CHECK_FLAGS(kin_scope_job(scope), "100");
}

KIN_SUSPENDS
static int join_being_cancelled(kin_scope *scope, void *target)
{
    (void)scope;
    CHECK_FLAGS(target, "010");
    kin_job_cancel(kin_current_job(), NULL);
    int err = kin_join(target);
    CHECK_EQ(err, KIN_ECANCELED);
    ev("1");
    return err;
}

/* S073 */
TEST_ON_LOOP(join_looks_at_the_caller_even_if_the_target_is_final)
{
    KIN_AUTO(kin_job) target = new_job(NULL);
    CHECK_EQ(kin_job_complete(target), 1);
    KIN_AUTO(kin_job) j = LAUNCH(scope, join_being_cancelled, target);
    CHECK_EQ(kin_join(j), 0);
    CHECK_LOG("1");
}

KIN_SUSPENDS
static int cancel_and_join_sibling(kin_scope *scope, void *sibling)
{
    (void)scope;
    CHECK_EQ(kin_cancel_and_join(sibling), 0);
    CHECK_FLAGS(sibling, "011");
    ev("2");
    return 0;
}

/* S075 */
TEST_ON_LOOP(a_child_can_cancel_and_join_its_sibling)
{
    KIN_AUTO(kin_job) a = LAUNCH(scope, say_when_cancelled, "1");
    KIN_AUTO(kin_job) b = LAUNCH(scope, cancel_and_join_sibling, a);
    CHECK_EQ(kin_join(b), 0);
    CHECK_LOG_DRAWN("1 2", "1? 1<2");
    CHECK_FLAGS(b, "010");
}

KIN_SUSPENDS
static int cancel_and_join_itself(kin_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    int err = kin_cancel_and_join(kin_current_job());
    CHECK_EQ(err, KIN_ECANCELED);
    ev("1");
    return err;
}

/* S075 */
TEST_ON_LOOP(a_fiber_that_cancels_and_joins_itself_is_cancelled)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, cancel_and_join_itself, NULL);
    CHECK_EQ(kin_join(j), 0);
    CHECK_LOG("1");
    CHECK_FLAGS(j, "011");
}

KIN_SUSPENDS
static int join_all_of_which_one_fails(kin_scope *scope, void *error)
{
    KIN_AUTO(kin_job) a = LAUNCH(scope, throw_error, error);
    KIN_AUTO(kin_job) b = LAUNCH(scope, say_when_cancelled, "b");
    kin_job *both[] = { a, b };
    int err = kin_join_all(both, 2);
    CHECK_EQ(err, KIN_ECANCELED);
    ev("joined");
    return err;
}

/* S076; b was not started yet when a failed, so it says nothing. */
TEST_ON_LOOP(join_all_is_cancelled_when_one_of_them_fails_the_scope)
{
    KIN_AUTO(kin_error) e = new_failure("E");
    CHECK_FAILED_WITH(kin_coroutine_scope(join_all_of_which_one_fails, e), e);
    CHECK_LOG_DRAWN("joined", "b?");
    CHECK_FLAGS(kin_scope_job(scope), "100");
}

/* --- One job only --------------------------------------------------------- */

/* The shield is never cancelled, whoever tries. */
TEST(non_cancellable_ignores_cancel_and_has_no_children)
{
    kin_job *shielded = kin_non_cancellable();
    KIN_AUTO(kin_job) child = new_job(shielded);
    kin_job_cancel(shielded, NULL);
    kin_job_cancel_children(shielded, NULL);
    CHECK_FLAGS(shielded, "100");
    CHECK_EQ(kin_job_children(shielded, NULL, 0), 0);
    CHECK_FLAGS(child, "100");
    CHECK_PTR(parent_of(child), NULL);
}

TEST_MAIN
