/* job_values_test.c -- a value that nobody has received is handed back before
 * those go on whose it may be: in every order that a seed draws. */
#include "core/memory.h"
#include "job/coroutine.h"
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

/* --- Cancelled unseen ----------------------------------------------------- */

static struct {
    kin_scope *scope;
    kin_job *keeper;                /* its only child at first               */
} family;

BODY(begin_family)
{
    given_back.scope = kin_job_retain(kin_scope_job(scope));
    family.scope = kin_scope_retain(scope);
    family.keeper = LAUNCH(scope, wait_forever, NULL);
    return 0;
}

BODY(have_a_family)
{
    MUST(kin_coroutine_scope(begin_family, NULL));
    CHECK_EQ(given_back.times, 1);
    return 0;
}

/* It joins, and is told that it was cancelled when it has left its stack; it is
 * the last of the family, and all that follows goes on there in place. */
BODY(join_when_cancelled)
{
    KIN_AUTO(kin_job) never = new_job(NULL);
    kin_error *cause;

    if (!never)
        return KIN_ENOMEM;
    MUST(kin_return(scope, &given_back));
    MUST(kin__hop(kin__coroutine_current(), kin_unconfined()));
    kin_job_cancel(family.keeper, NULL);
    kin_job_cancel(kin_current_job(), NULL);
    CHECK_EQ(kin__job_wait(kin__coroutine_current(), never, kin_current_job(),
                           "join", &cause), KIN_ECANCELED);
    return kin__fail_with(cause, KIN_ECANCELED);
}

static kin_dispatcher *dispatcher_of(kin_scope *scope)
{
    kin_context *context = NULL;
    kin_dispatcher *dispatcher;

    MUST(kin_scope_context(scope, &context));
    dispatcher = kin_context_get(context, &kin_key_dispatcher);
    kin_context_release(context);       /* the scope has it, too */
    return dispatcher;
}

BODY(join_in_a_family)
{
    KIN_AUTO(kin_job) job = LAUNCH(scope, have_a_family, NULL,
                                   .dispatcher = kin_unconfined());
    KIN_AUTO(kin_scope) inner = family.scope;
    UNUSED KIN_AUTO(kin_job) keeper = family.keeper;
    UNUSED KIN_AUTO(kin_job) waits = given_back.scope;
    kin_deferred *value = NULL;

    MUST(kin_async(inner, &value, join_when_cancelled, NULL,
                   .dispatcher = dispatcher_of(scope),
                   .on_undelivered = count));
    kin_deferred_release(value);
    MUST(kin_join(job));
    CHECK_EQ(given_back.times, 1);
    return 0;
}

TEST(a_value_of_one_that_is_told_late_is_handed_back_before_the_scope_returns)
{
    RUN(join_in_a_family);
}

/* --- Refused by its dispatcher -------------------------------------------- */

static kin_dispatcher *refuses_after, *below;

static int dispatch_once(kin_dispatcher *self, kin_task *task)
{
    if (refuses_after != self)
        return KIN_ECLOSED;
    refuses_after = NULL;
    return below->ops->dispatch(below, task);
}

static int keep_continuation(kin_continuation continuation, void *where)
{
    *(kin_continuation *)where = continuation;
    return 0;
}

BODY(leave_a_value_and_wait)
{
    MUST(kin_return(scope, &given_back));
    return kin_suspend(keep_continuation, arg);
}

/* No dispatcher and no thread can be had for it: what is left of it runs inside
 * the resume, and so do those who wait for it. */
BODY(resume_in_a_family)
{
    static const kin_dispatcher_ops ops = { .dispatch = dispatch_once };
    kin_dispatcher once;
    KIN_AUTO(kin_job) job = LAUNCH(scope, have_a_family, NULL,
                                   .dispatcher = kin_unconfined());
    KIN_AUTO(kin_scope) inner = family.scope;
    KIN_AUTO(kin_job) keeper = family.keeper;
    KIN_AUTO(kin_job) waits = given_back.scope;
    kin_continuation continuation = { 0 };
    kin_deferred *value = NULL;

    below = dispatcher_of(scope);
    refuses_after = &once;
    MUST(kin_dispatcher_init(&once, &ops, "once"));
    MUST(kin_async(inner, &value, leave_a_value_and_wait, &continuation,
                   .dispatcher = &once, .on_undelivered = count));
    kin_deferred_release(value);
    while (refuses_after || !kin_continuation_is_active(continuation))
        MUST(kin_yield());
    kin_job_cancel(keeper, NULL);
    kin__fail_at(1, true);
    MUST(kin_resume(continuation, 0));
    kin__fail_at(0, false);
    CHECK_FLAGS(waits, "010");
    CHECK_EQ(given_back.times, 1);
    return kin_join(job);
}

TEST(a_value_of_one_whose_dispatcher_refuses_is_handed_back_before_the_scope_returns)
{
    RUN_IN_ORDER(resume_in_a_family);
}

/* --- Received, by one who knows more than the parent ----------------------- */

static struct {
    kin_deferred *value;
    kin_job *parent;
    int received;
} handed;

BODY(complete_the_parent)
{
    void *value;

    MUST(kin_await(handed.value, &value));
    handed.received++;
    CHECK_EQ(kin_job_complete(handed.parent), 1);
    CHECK_FLAGS(handed.parent, "010");
    return 0;
}

static void never(UNUSED void *value)
{
    FAIL("handed back");
}

BODY(await_a_child_of_another)
{
    handed.parent = new_job(NULL);
    MUST(kin_deferred_new(handed.parent, never, &handed.value));
    kin_launch(scope, complete_the_parent, NULL,
               .dispatcher = kin_unconfined());
    CHECK_EQ(kin_deferred_complete(handed.value, &handed), 1);
    CHECK_EQ(handed.received, 1);
    kin_deferred_release(handed.value);
    kin_job_release(handed.parent);
    return 0;
}

TEST(who_receives_a_value_finds_that_the_parent_does_not_wait_for_it)
{
    RUN_IN_ORDER(await_a_child_of_another);
}

/* The last handle is the waiter's, and the deferred is ended by its child. */
BODY(forget_it_and_complete_the_parent)
{
    MUST(kin_join(kin_deferred_job(handed.value)));
    kin_deferred_release(handed.value);
    CHECK_EQ(given_back.times, 1);
    CHECK_EQ(kin_job_complete(handed.parent), 1);
    CHECK_FLAGS(handed.parent, "010");
    return 0;
}

BODY(end_a_deferred_by_its_child)
{
    handed.parent = new_job(NULL);
    if (!handed.parent)
        return KIN_ENOMEM;
    given_back.scope = handed.parent;
    MUST(kin_deferred_new(handed.parent, count, &handed.value));
    KIN_AUTO(kin_job) child = new_job(kin_deferred_job(handed.value));
    CHECK_EQ(kin_deferred_complete(handed.value, &handed), 1);
    kin_launch(scope, forget_it_and_complete_the_parent, NULL,
               .dispatcher = kin_unconfined());
    CHECK_EQ(kin_job_complete(child), 1);
    CHECK_EQ(given_back.times, 1);
    CHECK_FLAGS(handed.parent, "010");
    kin_job_release(handed.parent);
    return 0;
}

TEST(who_releases_the_last_handle_has_the_value_handed_back)
{
    RUN_IN_ORDER(end_a_deferred_by_its_child);
}

/* Whom the one child's end wakes ends the other, and all that waits for it. */
static kin_job *children[2];

BODY(end_the_other_child_and_the_parent)
{
    MUST(kin_join(children[0]));
    CHECK_EQ(kin_job_complete(children[1]), 1);
    CHECK_EQ(given_back.times, 1);
    CHECK_EQ(kin_job_complete(handed.parent), 1);
    CHECK_FLAGS(handed.parent, "010");
    return 0;
}

BODY(end_a_child_inside_the_end_of_another)
{
    handed.parent = new_job(NULL);
    if (!handed.parent)
        return KIN_ENOMEM;
    given_back.scope = handed.parent;
    MUST(kin_deferred_new(handed.parent, count, &handed.value));
    for (int i = 0; i < 2; i++)
        children[i] = new_job(kin_deferred_job(handed.value));
    CHECK_EQ(kin_deferred_complete(handed.value, &handed), 1);
    kin_deferred_release(handed.value);
    kin_launch(scope, end_the_other_child_and_the_parent, NULL,
               .dispatcher = kin_unconfined());
    CHECK_EQ(kin_job_complete(children[0]), 1);
    CHECK_EQ(given_back.times, 1);
    CHECK_FLAGS(handed.parent, "010");
    for (int i = 0; i < 2; i++)
        kin_job_release(children[i]);
    kin_job_release(handed.parent);
    return 0;
}

TEST(no_child_that_has_ended_keeps_a_value_from_going_back)
{
    RUN_IN_ORDER(end_a_child_inside_the_end_of_another);
}

TEST_MAIN
