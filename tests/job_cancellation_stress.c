/* job_cancellation_stress.c -- cancelling what is about to wait, to end, to
 * fail, or to be cancelled by somebody else.
 *
 * The races of the specification, section 5, a hundred thousand times each:
 *   cancelling against the beginning of a wait   R5.2, R5.3, S061, S074
 *   against the start and the end of a body      R5.1, R5.11, S121, S019
 *   against a look at it                         S063
 *   against bodies that run all the same         R8.3, R8.4, S122, S123
 *   against another cancellation                 R2.2, R5.4, S067, S070
 *   against a failure                            R5.9, S069
 *   of the children against a launch             S071
 *   and joining, from two sides                  S075
 *   a joiner, against the end that it waits for  R5.8, S073
 *   a family from above and from below           R3.3, R5.1
 */
#include "tests/race.h"

TEST_TIMEOUT(120);

enum wait_for {
    DELAY, CANCELLATION, JOIN, AWAIT, AWAIT_ALL, SUSPEND, SCOPE, YIELDS, WAITS
};

struct round {
    kin_job *job, *child, *grandchild;
    kin_job *target;
    enum wait_for wait_for;
    kin_start start;
    kin_continuation continuation;
    atomic_int started;
    atomic_int ran, ended, told, cancelled;
    int noticed, result;
    kin_error *cause;               /* told to a callback; borrowed          */
};

static kin_job *gate;               /* never opened                          */
static kin_deferred *closed;

static void make_gates(void)
{
    gate = new_job(NULL);
    closed = new_deferred(NULL);
}

static void free_gates(void)
{
    kin_job_release(gate);
    kin_deferred_release(closed);
}

static int count_end(kin_job *job, UNUSED kin_error *cause, void *arg)
{
    struct round *now = arg;

    CHECK(kin_job_is_completed(job));
    atomic_fetch_add(&now->ended, 1);
    return 0;
}

static int count_failure(UNUSED kin_job *job, kin_error *error, void *arg)
{
    struct round *now = arg;

    CHECK_PTR(error, E);
    atomic_fetch_add(&now->told, 1);
    return 0;
}

static int note_cause(UNUSED kin_job *job, kin_error *cause, void *arg)
{
    struct round *now = arg;

    now->cause = cause;
    atomic_fetch_add(&now->cancelled, 1);
    return 0;
}

KIN_SUSPENDS
static void check_ended_once(struct round *now)
{
    MUST(kin_join(now->job));
    while (atomic_load(&now->ended) == 0)   /* joined before the callback */
        MUST(kin_yield());
    CHECK_EQ(now->ended, 1);
}

static void start_job(struct round *now)
{
    now->result = kin_job_start(now->job);
}

static void cancel_job(struct round *now)
{
    kin_job_cancel(now->job, NULL);
}

/* When the body has begun, if it does so soon. */
static void cancel_what_has_begun(struct round *now)
{
    for (int i = 0; i < 300 && !atomic_load(&now->started); i++)
        KIN__CPU_RELAX();
    race_pause(&race_right);
    kin_job_cancel(now->job, NULL);
}

static void begin_lazy(struct round *now, kin_body *body)
{
    now->job = LAUNCH(kin_global_scope(), body, now,
                      .start = KIN_START_LAZY, .handler = count_failure,
                      .handler_arg = now,
                      .dispatcher = some_dispatcher());
    on_completion(now->job, count_end, now);
}

/* --- Waits ---------------------------------------------------------------- */

static int keep(kin_continuation continuation, void *arg)
{
    struct round *now = arg;

    now->continuation = continuation;
    return 0;
}

/* Who has the thread for himself keeps it by that: not for ever. */
KIN_SUSPENDS
static int yield_until_cancelled(void)
{
    int err = 0;

    for (int i = 0; i < 100 && !err; i++)
        err = kin_yield();
    return err ? err : kin_await_cancellation();
}

KIN_SUSPENDS
static int wait_as_drawn(struct round *now)
{
    kin_deferred *both[] = { closed, closed };

    switch (now->wait_for) {
    case DELAY:     return kin_delay(KIN_NEVER);
    case JOIN:      return kin_join(gate);
    case AWAIT:     return kin_await(closed, NULL);
    case AWAIT_ALL: return kin_await_all(both, 2, NULL);
    case SUSPEND:   return kin_suspend_cancellable(keep, now);
    case SCOPE:     return kin_coroutine_scope(wait_forever, NULL);
    case YIELDS:    return yield_until_cancelled();
    default:        return kin_await_cancellation();
    }
}

BODY(begin_to_wait)
{
    struct round *now = arg;

    atomic_fetch_add(&now->ran, 1);
    atomic_store(&now->started, 1);
    race_spin(now->noticed);
    now->noticed = !kin_is_active();
    int err = wait_as_drawn(now);
    CHECK_EQ(err, KIN_ECANCELED);
    CHECK(kin_error_is_cancellation(kin_error_current()));
    return err;
}

static void begin_waiter(struct round *now)
{
    begin_lazy(now, begin_to_wait);
    now->wait_for = draw(WAITS);
    now->noticed = race_length(&race_left);
}

KIN_SUSPENDS
static void check_waiter(struct round *now)
{
    check_ended_once(now);
    CHECK_FLAGS(now->job, "011");
    CHECK(now->ran <= now->result);
    saw(!now->ran ? 0 : now->noticed ? 1 : 2);
    kin_job_release(now->job);
}

TEST(a_cancellation_finds_a_fiber_before_and_in_and_after_it_begins_to_wait)
{
    make_gates();
    RACE(begin_waiter, start_job, cancel_what_has_begun, check_waiter,
         "never ran", "?noticed before", "woken up");
    CHECK_EQ(kin_job_children(gate, NULL, 0), 0);
    free_gates();
}

/* --- The end -------------------------------------------------------------- */

BODY(run_through)
{
    struct round *now = arg;

    atomic_fetch_add(&now->ran, 1);
    atomic_store(&now->started, 1);
    return now->noticed % 2 ? kin_yield() : 0;
}

static void begin_short(struct round *now)
{
    begin_lazy(now, run_through);
    on_cancelling(now->job, note_cause, now);
    now->noticed = (int)draw(2);
}

KIN_SUSPENDS
static void check_short(struct round *now)
{
    check_ended_once(now);
    while (atomic_load(&now->cancelled) == 0)   /* the callback after that */
        MUST(kin_yield());
    CHECK_EQ(now->cancelled, 1);
    CHECK_FLAGS(now->job, now->cause ? "011" : "010");
    CHECK(now->ran <= now->result);
    CHECK(now->ran || now->cause);
    saw(!now->ran ? 0 : now->cause ? 1 : 2);
    kin_job_release(now->job);
}

TEST(a_cancellation_while_a_body_runs_through_counts_or_comes_too_late)
{
    RACE(begin_short, start_job, cancel_what_has_begun, check_short,
         "never ran", "?cancelled", "completed");
}

BODY(look_for_it)
{
    struct round *now = arg;
    int err = 0;

    atomic_store(&now->started, 1);
    for (int i = 0; i < 2000 && !err; i++)
        err = kin_ensure_active();
    now->noticed = err;
    return err;
}

static void begin_looker(struct round *now)
{
    begin_lazy(now, look_for_it);
}

KIN_SUSPENDS
static void check_looker(struct round *now)
{
    check_ended_once(now);
    CHECK(!now->noticed || now->noticed == KIN_ECANCELED);
    if (now->noticed)
        CHECK_FLAGS(now->job, "011");
    saw(now->noticed ? 0 : kin_job_is_cancelled(now->job) ? 1 : 2);
    kin_job_release(now->job);
}

TEST(a_fiber_that_asks_sees_the_cancellation)
{
    RACE(begin_looker, start_job, cancel_what_has_begun, check_looker,
         "?seen", "too late to be seen", "completed");
}

/* --- Bodies that run all the same ----------------------------------------- */

static void begin_parent(struct round *now)
{
    now->job = new_job(NULL);
    on_completion(now->job, count_end, now);
    now->start = draw(2) ? KIN_START_ATOMIC : KIN_START_UNDISPATCHED;
}

BODY(run_whatever_happens)
{
    struct round *now = arg;

    atomic_fetch_add(&now->ran, 1);
    CHECK_EQ(kin_await_cancellation(), KIN_ECANCELED);
    return KIN_ECANCELED;
}

static void launch_whatever_happens(struct round *now)
{
    now->child = LAUNCH_IN(now->job, kin_global_scope(), run_whatever_happens,
                           now, .start = now->start,
                           .dispatcher = some_dispatcher());
}

KIN_SUSPENDS
static void check_ran_whatever_happened(struct round *now)
{
    MUST(kin_join(now->child));
    check_ended_once(now);
    CHECK_EQ(now->ran, 1);
    CHECK_FLAGS(now->child, "011");
    saw(now->start == KIN_START_ATOMIC);
    kin_job_release(now->job);
    kin_job_release(now->child);
}

TEST(atomic_and_undispatched_bodies_run_whenever_they_are_cancelled)
{
    RACE(begin_parent, launch_whatever_happens, cancel_job,
         check_ran_whatever_happened, "undispatched", "atomic");
}

/* --- Cancelling twice ----------------------------------------------------- */

BODY(wait_to_be_cancelled)
{
    struct round *now = arg;
    int err = kin_await_cancellation();

    CHECK_EQ(err, KIN_ECANCELED);
    atomic_fetch_add(&now->ran, 1);
    return err;
}

static void begin_with_child(struct round *now)
{
    kin_dispatcher *dispatcher = some_dispatcher();

    now->job = LAUNCH(kin_global_scope(), wait_to_be_cancelled, now,
                      .dispatcher = dispatcher, .start = KIN_START_ATOMIC);
    now->child = LAUNCH_IN(now->job, kin_global_scope(), wait_to_be_cancelled,
                           now, .dispatcher = dispatcher,
                           .start = KIN_START_ATOMIC);
    on_completion(now->job, count_end, now);
    on_cancelling(now->job, note_cause, now);
}

static void cancel_with_1(struct round *now)
{
    kin_job_cancel(now->job, error_named("CE1", KIN_ECANCELED));
}

static void cancel_with_2(struct round *now)
{
    kin_job_cancel(now->job, error_named("CE2", KIN_ECANCELED));
}

KIN_SUSPENDS
static void check_one_cause(struct round *now)
{
    kin_error *first = error_named("CE1", KIN_ECANCELED);
    kin_error *second = error_named("CE2", KIN_ECANCELED);

    check_ended_once(now);
    KIN_AUTO(kin_error) cause = cancellation_of(now->job);
    KIN_AUTO(kin_error) of_child = cancellation_of(now->child);
    CHECK(cause == first || cause == second);
    CHECK_PTR(of_child, cause);
    CHECK_PTR(now->cause, cause);
    CHECK_EQ(now->ran, 2);
    CHECK_EQ(now->cancelled, 1);
    saw(cause == first ? 0 : 1);
    kin_job_release(now->job);
    kin_job_release(now->child);
}

TEST(of_two_cancellations_the_first_is_the_cause_for_all)
{
    RACE(begin_with_child, cancel_with_1, cancel_with_2, check_one_cause,
         "the left's", "the right's");
}

/* --- Cancelling and failing ----------------------------------------------- */

BODY(fail_when_resumed)
{
    return kin_suspend(keep, arg);
}

static void begin_failing(struct round *now)
{
    now->job = LAUNCH(kin_global_scope(), fail_when_resumed, now,
                      .handler = count_failure, .handler_arg = now,
                      .dispatcher = kin_unconfined());
    on_completion(now->job, count_end, now);
    on_cancelling(now->job, note_cause, now);
}

static void resume_with_failure(struct round *now)
{
    MUST(kin_resume_with_error(now->continuation, E));
}

KIN_SUSPENDS
static void check_failed(struct round *now)
{
    check_ended_once(now);
    KIN_AUTO(kin_error) cause = cancellation_of(now->job);
    CHECK_EQ(now->told, 1);
    CHECK_EQ(now->cancelled, 1);
    CHECK_PTR(kin_error_cause(cause) ? kin_error_cause(cause) : E, E);
    CHECK_EQ(kin_error_suppressed_count(E), 0);
    saw(now->cause == E ? 0 : 1);
    kin_job_release(now->job);
}

TEST(a_job_that_fails_while_it_is_cancelled_has_failed)
{
    RACE(begin_failing, resume_with_failure, cancel_job, check_failed,
         "failed first", "cancelled first");
}

/* --- The children --------------------------------------------------------- */

static void launch_child_to_be_cancelled(struct round *now)
{
    now->child = LAUNCH_IN(now->job, kin_global_scope(), wait_to_be_cancelled,
                           now, .dispatcher = some_dispatcher());
}

static void cancel_children(struct round *now)
{
    kin_job_cancel_children(now->job, NULL);
}

KIN_SUSPENDS
static void check_parent_goes_on(struct round *now)
{
    bool cancelled = kin_job_is_cancelled(now->child);

    CHECK_FLAGS(now->job, "100");
    if (!cancelled)
        CHECK_PTR(child_of(now->job), now->child);
    if (!cancelled)
        kin_job_release(now->child);    /* what child_of has retained */
    kin_job_cancel(now->job, NULL);
    check_ended_once(now);
    MUST(kin_join(now->child));
    CHECK_FLAGS(now->child, "011");
    saw(cancelled);
    kin_job_release(now->job);
    kin_job_release(now->child);
}

TEST(cancelling_the_children_while_one_is_launched_leaves_the_parent_alone)
{
    RACE(begin_parent, launch_child_to_be_cancelled, cancel_children,
         check_parent_goes_on, "launched later", "cancelled");
}

/* --- Cancelling and joining ----------------------------------------------- */

BODY(take_leave)
{
    struct round *now = arg;
    int shielded, err = kin_await_cancellation();

    KIN_WITH_CONTEXT(shielded, .context = kin_shield())
        MUST(kin_yield());
    atomic_fetch_add(&now->ran, 1);
    return shielded ? shielded : err;
}

static void begin_leaver(struct round *now)
{
    now->job = LAUNCH(kin_global_scope(), take_leave, now,
                      .dispatcher = some_dispatcher(),
                      .start = KIN_START_ATOMIC);
    on_completion(now->job, count_end, now);
}

KIN_SUSPENDS
static void cancel_and_join(struct round *now)
{
    MUST(kin_cancel_and_join(now->job));
    CHECK_FLAGS(now->job, "011");
    CHECK_EQ(now->ran, 1);
}

KIN_SUSPENDS
static void check_left(struct round *now)
{
    check_ended_once(now);
    saw(0);
    kin_job_release(now->job);
}

TEST(who_cancels_and_joins_from_two_sides_returns_when_it_has_ended)
{
    RACE(begin_leaver, cancel_and_join, cancel_and_join, check_left, "ended");
}

/* --- Joiners -------------------------------------------------------------- */

BODY(join_target)
{
    struct round *now = arg;
    int err = kin_join(now->target);

    CHECK(err == KIN_ECANCELED || kin_job_is_completed(now->target));
    now->noticed = err;
    atomic_fetch_add(&now->ran, 1);
    return err;
}

static void begin_joiner(struct round *now)
{
    now->target = new_job(NULL);
    now->job = LAUNCH(kin_global_scope(), join_target, now,
                      .start = KIN_START_ATOMIC,
                      .dispatcher = some_dispatcher());
    on_completion(now->job, count_end, now);
}

static void complete_target(struct round *now)
{
    CHECK_EQ(kin_job_complete(now->target), 1);
}

KIN_SUSPENDS
static void check_joiner(struct round *now)
{
    check_ended_once(now);
    CHECK_EQ(now->ran, 1);
    CHECK(now->noticed == 0 || now->noticed == KIN_ECANCELED);
    if (now->noticed)
        CHECK_FLAGS(now->job, "011");
    saw(now->noticed ? 1 : 0);
    kin_job_release(now->job);
    kin_job_release(now->target);
}

TEST(a_joiner_that_is_cancelled_while_its_target_ends_goes_on_once)
{
    RACE(begin_joiner, complete_target, cancel_job, check_joiner,
         "joined", "cancelled");
}

BODY(join_to_the_end)
{
    struct round *now = arg;

    MUST(kin_join(now->target));
    atomic_fetch_add(&now->ran, 1);
    return 0;
}

/* Who is cancelled may have left his stack when it is told who has waited. */
static void begin_two_joiners(struct round *now)
{
    begin_joiner(now);
    now->child = LAUNCH(kin_global_scope(), join_to_the_end, now,
                        .start = KIN_START_ATOMIC,
                        .dispatcher = some_dispatcher());
}

KIN_SUSPENDS
static void check_two_joiners(struct round *now)
{
    MUST(kin_join(now->child));
    CHECK_FLAGS(now->child, "010");
    check_ended_once(now);
    CHECK_EQ(now->ran, 2);
    saw(kin_job_is_cancelled(now->job));
    kin_job_release(now->job);
    kin_job_release(now->child);
    kin_job_release(now->target);
}

TEST(one_of_two_joiners_that_is_cancelled_while_the_target_ends_goes_on_once)
{
    RACE(begin_two_joiners, complete_target, cancel_job, check_two_joiners,
         "joined", "cancelled");
}

/* --- From above and from below -------------------------------------------- */

static void begin_three(struct round *now)
{
    begin_with_child(now);
    now->grandchild = LAUNCH_IN(now->child, kin_global_scope(),
                                wait_to_be_cancelled, now,
                                .dispatcher = some_dispatcher(),
                                .start = KIN_START_ATOMIC);
}

static void cancel_below(struct round *now)
{
    kin_job *which = draw_right(2) ? now->child : now->grandchild;

    kin_job_cancel(which, error_named("CE2", KIN_ECANCELED));
}

KIN_SUSPENDS
static void check_three(struct round *now)
{
    kin_error *above = error_named("CE1", KIN_ECANCELED);

    check_ended_once(now);
    KIN_AUTO(kin_error) first = cancellation_of(now->job);
    KIN_AUTO(kin_error) third = cancellation_of(now->grandchild);
    CHECK_PTR(first, above);
    CHECK(third == above || third == error_named("CE2", KIN_ECANCELED));
    CHECK_EQ(now->ran, 3);
    saw(third == above ? 0 : 1);
    kin_job_release(now->job);
    kin_job_release(now->child);
    kin_job_release(now->grandchild);
}

TEST(a_family_cancelled_from_above_and_below_at_once_ends_as_a_whole)
{
    RACE(begin_three, cancel_with_1, cancel_below, check_three,
         "from above", "from below");
}

TEST_MAIN
