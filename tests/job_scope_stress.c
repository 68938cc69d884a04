/* job_scope_stress.c -- scope functions that return while somebody cancels.
 *
 * The races of the specification, section 9, a hundred thousand times each:
 *   the way back from another dispatcher    R9.6, S142, S143
 *   a scope whose last child ends           R9.2, R9.6, S149
 *   a supervisor scope likewise             R3.7, S136
 *   a block under a job of its own          R9.7, S144
 *   a child fails while the block ends      R9.5, S135, S151
 *   a launch into a scope that ends         R3.9, R26.5, S348
 *   a callback of a scope's job             R4.6, R9.2
 *
 * The account: a value that a block has made was received, or its
 * on_undelivered called, once; an error is told whatever else happens. */
#include "tests/race.h"

TEST_TIMEOUT(120);

struct round {
    kin_job *job, *inner, *child;
    kin_dispatcher *there;          /* where the block runs                  */
    kin_continuation continuation;
    atomic_int parked;
    atomic_int made, received, handed_back, reports, child_ran;
    bool fails;
    int result;                     /* of the scope function                 */
    kin_scope *scope;               /* leaked; retained                      */
};

static int keep(kin_continuation continuation, void *arg)
{
    struct round *now = arg;

    now->continuation = continuation;
    atomic_store(&now->parked, 1);
    return 0;
}

static bool is_parked(struct round *now)
{
    return atomic_load(&now->parked);
}

BODY(suspend_deaf)
{
    return kin_suspend(keep, arg);
}

static void resume(struct round *now)
{
    if (now->fails)
        MUST(kin_resume_with_error(now->continuation, E));
    else
        MUST(kin_resume(now->continuation, 0));
}

static void cancel_job(struct round *now)
{
    kin_job_cancel(now->job, NULL);
}

static void launch_round(struct round *now, kin_body *body)
{
    now->fails = draw(2);
    now->job = LAUNCH(kin_global_scope(), body, now,
                      .start = KIN_START_ATOMIC,
                      .dispatcher = some_dispatcher());
}

enum { RECEIVED, HANDED_BACK, TOLD };

KIN_SUSPENDS
static void check_result(struct round *now)
{
    MUST(kin_join(now->job));
    CHECK_EQ(now->received + now->handed_back, now->made);
    if (now->fails)
        CHECK_EQ(now->result, kin_error_code(E));
    else
        CHECK_EQ(now->result, now->received ? 0 : KIN_ECANCELED);
    if (now->result)
        CHECK_FLAGS(now->job, "011");
    saw(now->fails ? TOLD : now->received ? RECEIVED : HANDED_BACK);
    kin_job_release(now->job);
}

/* --- with_context --------------------------------------------------------- */

static void count_handed_back(void *arg)
{
    struct round *now = arg;
    atomic_fetch_add(&now->handed_back, 1);
}

BODY(make_value)
{
    struct round *now = arg;
    int err = kin_suspend(keep, now);

    if (err == 0)
        atomic_fetch_add(&now->made, 1);
    return err;
}

static int count_report(UNUSED kin_job *job, kin_error *error, void *arg)
{
    struct round *now = arg;

    CHECK_PTR(error, E);
    atomic_fetch_add(&now->reports, 1);
    return 0;
}

BODY(fetch_value)
{
    struct round *now = arg;

    now->result = kin_with_context(make_value, now, .dispatcher = now->there,
                                   .on_undelivered = count_handed_back);
    if (now->result == 0)
        atomic_fetch_add(&now->received, 1);
    return now->result == kin_error_code(E) ? KIN_ECANCELED : now->result;
}

static void begin_fetching(struct round *now)
{
    now->there = some_dispatcher();
    launch_round(now, fetch_value);
}

TEST(a_value_on_its_way_back_is_received_or_handed_back_and_an_error_is_told)
{
    RACE_SETTLED(begin_fetching, is_parked, resume, cancel_job, check_result,
                 "received", "handed back", "told the error");
}

/* --- Scopes --------------------------------------------------------------- */

BODY(launch_and_leave)
{
    struct round *now = arg;

    MUST(kin_launch(scope, suspend_deaf, now, .dispatcher = now->there,
                    .handler = count_report, .handler_arg = now));
    return 0;
}

BODY(run_scope)
{
    struct round *now = arg;

    now->result = kin_coroutine_scope(launch_and_leave, now);
    if (now->result == 0)
        atomic_fetch_add(&now->received, 1);
    atomic_fetch_add(&now->made, now->result == 0);
    return now->result == kin_error_code(E) ? KIN_ECANCELED : now->result;
}

static void begin_scope(struct round *now)
{
    now->there = kin_unconfined();
    launch_round(now, run_scope);
}

TEST(a_scope_whose_last_child_ends_returns_or_is_cancelled)
{
    RACE_SETTLED(begin_scope, is_parked, resume, cancel_job, check_result,
                 "returned", "cancelled", "told the error");
}

BODY(run_supervisor)
{
    struct round *now = arg;

    now->result = kin_supervisor_scope(launch_and_leave, now);
    return now->result;
}

static void begin_supervisor(struct round *now)
{
    now->there = kin_unconfined();
    launch_round(now, run_supervisor);
}

KIN_SUSPENDS
static void check_supervisor(struct round *now)
{
    MUST(kin_join(now->job));
    CHECK_EQ(now->reports, now->fails);
    CHECK(now->result == 0 || now->result == KIN_ECANCELED);
    if (now->result)
        CHECK_FLAGS(now->job, "011");
    saw(now->result ? 1 : 0);
    kin_job_release(now->job);
}

TEST(a_supervisor_scope_reports_its_child_and_returns_or_is_cancelled)
{
    RACE_SETTLED(begin_supervisor, is_parked, resume, cancel_job,
                 check_supervisor, "returned", "cancelled");
}

/* --- Under another job ---------------------------------------------------- */

BODY(suspend_cancellable)
{
    return kin_suspend_cancellable(keep, arg);
}

BODY(run_under_inner)
{
    struct round *now = arg;
    KIN_AUTO(kin_context) context = kin_context_of_job(now->inner);

    now->result = kin_with_context(suspend_cancellable, now,
                                   .context = context);
    CHECK(kin_is_active());
    return 0;
}

static void begin_inner(struct round *now)
{
    now->inner = new_job(NULL);
    launch_round(now, run_under_inner);
    now->fails = false;
}

static void cancel_inner(struct round *now)
{
    kin_job_cancel(now->inner, NULL);
}

static void resume_unless_late(struct round *now)
{
    int err = kin_resume(now->continuation, 0);
    CHECK(err == 0 || err == KIN_ESTALE);
}

KIN_SUSPENDS
static void check_inner(struct round *now)
{
    MUST(kin_join(now->job));
    CHECK_FLAGS(now->job, "010");
    CHECK(now->result == 0 || now->result == KIN_ECANCELED);
    CHECK_EQ(kin_job_children(now->inner, NULL, 0), 0);
    CHECK_FLAGS(now->inner, "011");
    saw(now->result ? 1 : 0);
    kin_job_release(now->inner);
    kin_job_release(now->job);
}

TEST(a_block_whose_own_job_is_cancelled_leaves_the_fiber_alone)
{
    RACE_SETTLED(begin_inner, is_parked, resume_unless_late, cancel_inner,
                 check_inner, "returned", "cancelled");
}

/* --- A child that fails --------------------------------------------------- */

BODY(fail_from_outside)
{
    struct round *now = arg;

    now->child = kin_job_retain(kin_current_job());
    return kin_suspend(keep, now);
}

BODY(launch_failing_and_wait)
{
    struct round *now = arg;

    MUST(kin_launch(scope, fail_from_outside, now,
                    .dispatcher = kin_unconfined()));
    return kin_join(now->inner);
}

BODY(run_with_failing_child)
{
    struct round *now = arg;

    now->result = kin_coroutine_scope(launch_failing_and_wait, now);
    CHECK_PTR(kin_error_current(), E);
    CHECK(kin_is_active());
    return 0;
}

static void begin_failing_child(struct round *now)
{
    now->inner = new_job(NULL);
    launch_round(now, run_with_failing_child);
    now->fails = true;
}

static void end_block(struct round *now)
{
    CHECK_EQ(kin_job_complete(now->inner), 1);
}

KIN_SUSPENDS
static void check_failing_child(struct round *now)
{
    MUST(kin_join(now->job));
    CHECK_FLAGS(now->job, "010");
    CHECK_FLAGS(now->child, "011");
    CHECK_EQ(now->result, kin_error_code(E));
    CHECK_EQ(kin_error_suppressed_count(E), 0);
    saw(0);
    kin_job_release(now->inner);
    kin_job_release(now->child);
    kin_job_release(now->job);
}

TEST(a_child_that_fails_while_the_block_ends_is_the_outcome)
{
    RACE_SETTLED(begin_failing_child, is_parked, resume, end_block,
                 check_failing_child, "told");
}

/* --- Leaked scopes -------------------------------------------------------- */

BODY(leak)
{
    struct round *now = arg;

    now->scope = kin_scope_retain(scope);
    return kin_suspend(keep, now);
}

BODY(run_leaking_scope)
{
    struct round *now = arg;

    MUST(kin_coroutine_scope(leak, now));
    now->made = atomic_load(&now->child_ran);
    return 0;
}

BODY(note_child)
{
    struct round *now = arg;
    int err = kin_yield();

    atomic_fetch_add(&now->child_ran, 1);
    return err;
}

static void begin_leaking(struct round *now)
{
    now->there = some_dispatcher();
    launch_round(now, run_leaking_scope);
    now->fails = false;
}

static void launch_into_leaked(struct round *now)
{
    now->child = LAUNCH(now->scope, note_child, now,
                        .dispatcher = now->there);
}

KIN_SUSPENDS
static void check_leaked(struct round *now)
{
    MUST(kin_join(now->child));
    MUST(kin_join(now->job));
    CHECK_FLAGS(now->job, "010");
    CHECK_FLAGS(now->child, now->child_ran ? "010" : "011");
    CHECK_EQ(now->made, now->child_ran);    /* it was waited for */
    saw(now->child_ran ? 0 : 1);
    kin_scope_release(now->scope);
    kin_job_release(now->child);
    kin_job_release(now->job);
}

TEST(a_launch_into_a_scope_that_ends_is_waited_for_or_born_cancelled)
{
    RACE_SETTLED(begin_leaking, is_parked, resume, launch_into_leaked,
                 check_leaked, "waited for", "born cancelled");
}

/* --- Callbacks of a scope's job ------------------------------------------- */

/* What a callback uses may lie on the stack of whoever entered the scope. */
struct told {
    kin_dispatcher *there;
    atomic_bool begun;
    atomic_int calls;
    int haste;                      /* of the child, against the body        */
};

/* Some nanoseconds each. */
static void dawdle(int rounds)
{
    for (volatile int i = 0; i < rounds; i++)
        ;
}

static int count_slowly(UNUSED kin_job *job, UNUSED kin_error *cause, void *arg)
{
    struct told *told = arg;

    dawdle(200);
    atomic_fetch_add(&told->calls, 1);
    return 0;
}

BODY(begin_and_end)
{
    struct told *told = arg;

    atomic_store(&told->begun, true);
    dawdle(told->haste);
    return 0;
}

BODY(end_beside_the_child)
{
    struct told *told = arg;

    on_completion(kin_scope_job(scope), count_slowly, told);
    MUST(kin_launch(scope, begin_and_end, told, .dispatcher = told->there));
    while (!atomic_load(&told->begun))
        sched_yield();
    dawdle(100);
    return 0;
}

BODY(enter_and_leave_scopes)
{
    int64_t end = kin_after(KIN_S(3));  /* each takes two threads to meet */

    for (int i = 0; i < RACE_ROUNDS && kin_now() < end; i++) {
        struct told told = { .there = arg, .haste = i % 256 };

        MUST(kin_coroutine_scope(end_beside_the_child, &told));
        CHECK_EQ(told.calls, 1);
    }
    return 0;
}

TEST(a_scope_returns_when_all_callbacks_of_its_job_have_run)
{
    KIN_AUTO(kin_dispatcher) pool = NULL;

    MUST(kin_single_thread("beside", &pool));
    MUST(kin_run_blocking(enter_and_leave_scopes, pool));
    MUST(kin_dispatcher_close(pool));
}

TEST_MAIN
