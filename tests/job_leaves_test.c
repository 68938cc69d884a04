/* Wide families, cancelled: children that are parked and have nothing of their
 * own are cancelled many at once, and nobody may see that.
 */
#include "tests/job_helpers.h"

enum { MANY = 100 };

static struct {
    kin_job *jobs[MANY];
    kin_error *told[MANY];          /* what each was cancelled with          */
    int order[MANY], count;         /* in which order they went on           */
} seen;

static void forget(void)
{
    for (int i = 0; i < MANY; i++) {
        kin_job_release(seen.jobs[i]);
        kin_error_release(seen.told[i]);
        seen.jobs[i] = NULL;
        seen.told[i] = NULL;
    }
    seen.count = 0;
}

KIN_SUSPENDS
static int wait_and_note(kin_scope *scope, void *arg)
{
    intptr_t number = (intptr_t)arg;
    int err = kin_await_cancellation();

    (void)scope;
    seen.told[number] = kin_error_retain(kin_error_current());
    seen.order[seen.count++] = (int)number;
    return err;
}

/* Children of parent, with nobody who knows them. */
static void launch_many(kin_scope *scope, kin_job *parent)
{
    KIN_AUTO(kin_context) context = kin_context_of_job(parent);

    for (intptr_t i = 0; i < MANY; i++)
        CHECK_EQ(kin_launch(scope, wait_and_note, (void *)i,
                            .context = context), 0);
}

/* The same, with a handle of each. */
static void launch_known(kin_scope *scope, kin_job *parent)
{
    for (intptr_t i = 0; i < MANY; i++)
        seen.jobs[i] = LAUNCH_IN(parent, scope, wait_and_note, (void *)i);
}

TEST_IN_ORDER(many_that_are_parked_go_on_in_the_order_of_attachment)
{
    KIN_AUTO(kin_job) parent = new_job(NULL);
    launch_many(scope, parent);
    yield_times(1);
    CHECK_EQ(kin_cancel_and_join(parent), 0);
    CHECK_EQ(seen.count, MANY);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(seen.order[i], i);
    CHECK_FLAGS(parent, "011");
    CHECK_EQ(kin_job_children(parent, NULL, 0), 0);
    forget();
}

TEST_ON_LOOP(many_that_are_parked_are_told_one_error)
{
    KIN_AUTO(kin_job) parent = new_job(NULL);
    KIN_AUTO(kin_error) error = new_cancellation("enough", NULL);
    launch_known(scope, parent);
    yield_times(1);
    kin_job_cancel(parent, error);
    for (int i = 0; i < MANY; i++)
        CHECK_FLAGS(seen.jobs[i], "001");
    CHECK_EQ(kin_join(parent), 0);
    for (int i = 0; i < MANY; i++) {
        KIN_AUTO(kin_error) cause = cancellation_of(seen.jobs[i]);
        CHECK_PTR(seen.told[i], error);
        CHECK_PTR(cause, error);
        CHECK_FLAGS(seen.jobs[i], "011");
    }
    forget();
}

/* Each has the one cancellation that the failure became. */
TEST_ON_LOOP(many_that_are_parked_are_told_why_their_parent_failed)
{
    KIN_AUTO(kin_job) parent = new_job(NULL);
    KIN_AUTO(kin_error) failure = new_failure("broken");
    launch_many(scope, parent);
    yield_times(1);
    CHECK_EQ(kin_job_fail(parent, failure), 1);
    CHECK_EQ(kin_join(parent), 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(kin_error_is_cancellation(seen.told[i]), 1);
        CHECK_PTR(kin_error_cause(seen.told[i]), failure);
        CHECK_PTR(seen.told[i], seen.told[0]);
    }
    forget();
}

TEST_ON_LOOP(many_children_are_cancelled_and_their_parent_goes_on)
{
    KIN_AUTO(kin_job) parent = new_job(NULL);
    launch_known(scope, parent);
    yield_times(1);
    kin_job_cancel_children(parent, NULL);
    for (int i = 0; i < MANY; i++)
        CHECK_FLAGS(seen.jobs[i], "001");
    CHECK_FLAGS(parent, "100");
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(kin_join(seen.jobs[i]), 0);
    CHECK_EQ(seen.count, MANY);
    CHECK_FLAGS(parent, "100");
    CHECK_EQ(kin_job_complete(parent), 1);
    forget();
}

KIN_SUSPENDS
static int launch_all(kin_scope *scope, void *arg)
{
    for (intptr_t i = 0; i < MANY; i++)
        CHECK_EQ(kin_launch(scope, wait_and_note, (void *)i), 0);
    return arg ? kin_await_cancellation() : 0;
}

/* Nobody knows them, and their parent has a body, which has ended or waits. */
TEST_IN_ORDER(many_that_nobody_knows_end_before_their_parent)
{
    for (intptr_t waits = 0; waits < 2; waits++) {
        KIN_AUTO(kin_job) parent = LAUNCH(scope, launch_all, (void *)waits);
        yield_times(2);
        CHECK_EQ(kin_job_children(parent, NULL, 0), MANY);
        CHECK_EQ(kin_cancel_and_join(parent), 0);
        CHECK_EQ(seen.count, MANY);
        CHECK_EQ(kin_job_children(parent, NULL, 0), 0);
        CHECK_FLAGS(parent, "011");
        forget();
    }
}

/* --- Those between them that are not like them ---------------------------- */

static int look_at_both_sides(kin_job *job, kin_error *cause, void *arg)
{
    (void)job, (void)cause, (void)arg;
    ev(flags_of(seen.jobs[0]));
    ev(flags_of(seen.jobs[2]));
    return 0;
}

TEST_ON_LOOP(a_callback_finds_those_before_it_cancelled_and_no_others)
{
    KIN_AUTO(kin_job) parent = new_job(NULL);
    for (intptr_t i = 0; i < 3; i++)
        seen.jobs[i] = LAUNCH_IN(parent, scope, wait_and_note, (void *)i);
    CHECK_EQ(kin_invoke_on_completion(seen.jobs[1], look_at_both_sides, NULL,
                                      KIN_ON_CANCELLING, NULL), 0);
    yield_times(1);
    CHECK_EQ(kin_cancel_and_join(parent), 0);
    CHECK_LOG("001 100");
    CHECK_EQ(seen.count, 3);
    forget();
}

KIN_SUSPENDS
static int wait_and_look(kin_scope *scope, void *arg)
{
    int err = kin_await_cancellation();

    (void)scope, (void)arg;
    look_at_both_sides(NULL, NULL, NULL);
    return err;
}

TEST_ON_LOOP(what_runs_in_place_finds_those_before_it_cancelled_and_no_others)
{
    KIN_AUTO(kin_job) parent = new_job(NULL);
    seen.jobs[0] = LAUNCH_IN(parent, scope, wait_and_note, (void *)0);
    seen.jobs[1] = LAUNCH_IN(parent, scope, wait_and_look, NULL,
                             .dispatcher = kin_unconfined());
    seen.jobs[2] = LAUNCH_IN(parent, scope, wait_and_note, (void *)2);
    yield_times(1);
    kin_job_cancel(parent, NULL);
    CHECK_LOG("001 100");
    CHECK_EQ(kin_join(parent), 0);
    CHECK_EQ(seen.count, 2);
    forget();
}

KIN_SUSPENDS
static int launch_and_wait(kin_scope *scope, void *arg)
{
    CHECK_EQ(kin_launch(scope, wait_and_note, arg), 0);
    return kin_await_cancellation();
}

/* Every other one has a child of its own. */
TEST_ON_LOOP(leaves_and_branches_are_all_reached)
{
    KIN_AUTO(kin_job) parent = new_job(NULL);
    for (intptr_t i = 0; i < MANY; i++)
        seen.jobs[i] = LAUNCH_IN(parent, scope,
                                 i % 2 ? launch_and_wait : wait_and_note,
                                 (void *)i);
    yield_times(2);
    CHECK_EQ(kin_cancel_and_join(parent), 0);
    CHECK_EQ(seen.count, MANY);
    for (int i = 0; i < MANY; i++)
        CHECK_FLAGS(seen.jobs[i], "011");
    forget();
}

KIN_SUSPENDS
static int swallow_or_fail(kin_scope *scope, void *arg)
{
    (void)scope;
    if (kin_await_cancellation() == KIN_ECANCELED)
        ev(arg ? "fails" : "swallows");
    return arg ? kin_error_rethrow(arg) : 0;
}

TEST_IN_ORDER(a_leaf_may_end_otherwise_than_it_was_told)
{
    KIN_AUTO(kin_job) parent = new_job(NULL);
    KIN_AUTO(kin_error) failure = new_failure("in the cleanup");
    seen.jobs[0] = LAUNCH_IN(parent, scope, swallow_or_fail, NULL);
    seen.jobs[1] = LAUNCH_IN(parent, scope, swallow_or_fail, failure);
    yield_times(1);
    CHECK_EQ(kin_cancel_and_join(parent), 0);
    CHECK_LOG("swallows fails");
    CHECK_FLAGS(seen.jobs[0], "011");
    CHECK_FLAGS(seen.jobs[1], "011");
    forget();
}

/* --- Whoever is woken withdraws what comes next ---------------------------- */

static struct {
    kin_dispatcher *loop;
    kin_registration *registration;
    int called;
} woken;

static int withdraw_and_dispatch(kin_dispatcher *self, kin_task *task)
{
    (void)self;
    kin_registration_dispose(woken.registration);
    woken.registration = NULL;
    return woken.loop->ops->dispatch(woken.loop, task);
}

static int count_call(kin_job *job, kin_error *cause, void *arg)
{
    (void)job;
    (void)cause;
    (void)arg;
    woken.called++;
    return 0;
}

TEST_ON_LOOP(a_callback_that_is_withdrawn_when_its_sibling_is_woken_is_not_called)
{
    static const kin_dispatcher_ops ops = { .dispatch = withdraw_and_dispatch };
    static kin_dispatcher dispatcher;
    KIN_AUTO(kin_job) parent = new_job(NULL);
    KIN_AUTO(kin_context) here = NULL;
    KIN_AUTO(kin_context) context = kin_context_of_job(parent);

    CHECK_EQ(kin_current_context(&here), 0);
    CHECK_EQ(kin_dispatcher_init(&dispatcher, &ops, "withdraws"), 0);
    woken.loop = kin_context_get(here, &kin_key_dispatcher);
    CHECK_EQ(kin_launch(scope, wait_and_note, NULL, .context = context,
                        .dispatcher = &dispatcher), 0);
    yield_times(1);
    CHECK_EQ(kin_invoke_on_completion(parent, count_call, NULL,
                                      KIN_ON_CANCELLING, &woken.registration),
             0);
    CHECK_EQ(kin_cancel_and_join(parent), 0);
    CHECK_EQ(woken.called, 0);
    CHECK_EQ(seen.count, 1);
    forget();
}

TEST_MAIN
