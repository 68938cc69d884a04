/* What can be seen of a wait from inside only: an owner whose cancellation is
 * noticed when the fiber has left its stack, and not before.
 */
#include "core/wait.h"
#include "job/coroutine.h"
#include "tests/words.h"

static struct {
    kin_job *owner;
    bool was_told;
    kin_job *current;               /* whose callback it was, as it saw it   */
    kin_job *dispatches;            /* who was it that a refusal was told    */
    bool sibling_ends;
} seen;

static void note_current(kin_error *cause, void *arg)
{
    KIN_AUTO(kin_error) why = cancellation_of(seen.owner);

    (void)arg;
    CHECK_PTR(cause, why);
    seen.was_told = true;
    seen.current = kin_current_job();
}

BODY(yield_until_told)
{
    while (!seen.sibling_ends)
        MUST(kin_yield());
    return 0;
}

/* As kin__wait_begin_in(), which looks at the owner, and did not see it yet:
 * another processor has that in its store buffer still. */
static void begin_unseen(struct kin__wait *wait, struct kin_job *owner)
{
    kin__wait_prepare(wait, &kin__coroutine_current()->runnable, owner);
    wait->owner_word = &owner->word;
    wait->owner_alive = 1u << KIN_JOB_ACTIVE | 1u << KIN_JOB_COMPLETING;
    kin__wait_begin(wait);
    MUST(kin__wait_on_cancel(wait->runnable, wait->generation, note_current,
                             NULL));
}

BODY(wait_in_a_cancelled_job)
{
    struct kin__wait wait;
    KIN_AUTO(kin_error) why = cancellation_of(seen.owner);

    begin_unseen(&wait, seen.owner);
    MUST(kin__wait_park(&wait));
    seen.sibling_ends = true;
    CHECK_EQ(wait.outcome, KIN__WAIT_CANCELLED);
    CHECK_PTR(wait.error, why);
    kin_error_release(wait.error);
    return 0;
}

/* The one that is parked goes on on the stack where it is noticed. */
BODY(wait_beside_one_that_is_parked)
{
    kin_launch(scope, yield_until_told, NULL);
    MUST(kin_yield());
    return wait_in_a_cancelled_job(scope, NULL);
}

TEST(who_is_told_late_of_a_cancellation_is_on_no_other_fiber)
{
    KIN_AUTO(kin_job) owner = new_job(NULL);

    kin_job_cancel(owner, NULL);
    seen.owner = owner;
    RUN(wait_beside_one_that_is_parked);
    CHECK(seen.was_told);
    CHECK_PTR(seen.current, NULL);
}

/* A join looks once, when it is registered. */
BODY(join_in_a_cancelled_job)
{
    KIN_AUTO(kin_job) never = new_job(NULL);
    KIN_AUTO(kin_error) why = cancellation_of(seen.owner);
    kin_error *cause;

    if (!never)
        return KIN_ENOMEM;
    CHECK_EQ(kin__job_wait(kin__coroutine_current(), never, seen.owner, "join",
                           &cause), KIN_ECANCELED);
    CHECK_PTR(cause, why);
    kin_error_release(cause);
    return 0;
}

TEST(a_join_that_begins_after_the_cancellation_is_cancelled)
{
    KIN_AUTO(kin_job) owner = new_job(NULL);

    kin_job_cancel(owner, NULL);
    seen.owner = owner;
    RUN(join_in_a_cancelled_job);
}

/* --- Refused by a dispatcher ---------------------------------------------- */

static kin_dispatcher *below;       /* what takes the first slice            */

static int take_the_first(UNUSED kin_dispatcher *self, kin_task *task)
{
    kin_dispatcher *once = below;

    below = NULL;
    seen.dispatches = kin_current_job();
    return once ? once->ops->dispatch(once, task) : KIN_ECLOSED;
}

static int note_who_is_told(UNUSED kin_job *job, UNUSED kin_error *cause,
                            UNUSED void *arg)
{
    seen.was_told = true;
    seen.current = kin_current_job();
    return 0;
}

BODY(yield_to_nobody)
{
    return kin_yield();
}

BODY(hop_to_nobody)
{
    CHECK_EQ(kin_with_context(do_nothing, NULL, .dispatcher = arg),
             KIN_ECLOSED);
    return kin_ensure_active();
}

/* Leaves its stack for that of a sibling which is parked, and can be taken
 * neither where it wants to go nor where it was. */
KIN_SUSPENDS
static void be_refused(kin_scope *scope, kin_body *body)
{
    static const kin_dispatcher_ops ops = { .dispatch = take_the_first };
    static kin_dispatcher here, there;
    KIN_AUTO(kin_context) context = NULL;

    MUST(kin_current_context(&context));
    MUST(kin_dispatcher_init(&here, &ops, "here"));
    MUST(kin_dispatcher_init(&there, &ops, "there"));
    below = kin_context_get(context, &kin_key_dispatcher);
    kin_launch(scope, yield_until_told, NULL);
    KIN_AUTO(kin_job) job = LAUNCH(scope, body, &there, .dispatcher = &here);
    on_cancelling(job, note_who_is_told, NULL);
    MUST(kin_join(job));
    seen.sibling_ends = true;
    CHECK_FLAGS(job, "011");
}

/* Its owner is cancelled when it has left. */
BODY(join_for_nobody)
{
    KIN_AUTO(kin_job) never = new_job(NULL);
    kin_error *cause;

    if (!never)
        return KIN_ENOMEM;
    CHECK_EQ(kin__job_wait(kin__coroutine_current(), never, seen.owner, "join",
                           &cause), KIN_ECANCELED);
    kin_error_release(cause);
    return kin_ensure_active();
}

BODY(be_refused_in_a_join)
{
    be_refused(scope, join_for_nobody);
    return 0;
}

BODY(be_refused_in_a_yield)
{
    be_refused(scope, yield_to_nobody);
    return 0;
}

BODY(be_refused_in_a_hop)
{
    be_refused(scope, hop_to_nobody);
    return 0;
}

TEST(whoever_is_refused_when_it_yields_is_told_of_it_on_no_other_fiber)
{
    RUN_IN_ORDER(be_refused_in_a_yield);
    CHECK(seen.was_told);
    CHECK_PTR(seen.current, NULL);
    CHECK_PTR(seen.dispatches, NULL);
}

TEST(whoever_is_refused_everywhere_is_told_of_it_on_no_other_fiber)
{
    RUN_IN_ORDER(be_refused_in_a_hop);
    CHECK(seen.was_told);
    CHECK_PTR(seen.current, NULL);
    CHECK_PTR(seen.dispatches, NULL);
}

TEST(whoever_is_refused_when_it_joins_is_told_of_it_on_no_other_fiber)
{
    KIN_AUTO(kin_job) owner = new_job(NULL);

    kin_job_cancel(owner, NULL);
    seen.owner = owner;
    RUN_IN_ORDER(be_refused_in_a_join);
    CHECK(seen.was_told);
    CHECK_PTR(seen.current, NULL);
    CHECK_PTR(seen.dispatches, NULL);
}

TEST_MAIN
