/* job_resume_stress.c -- one waits, and two decide.
 *
 * The races of the specification, section 12, a hundred thousand times each:
 *   any two of: a value, an error, a cancellation of the call, of the job
 *                                        R12.3, R12.4, R12.6, S180-S184, S190
 *   a resume while start still runs      R12.1, R12.8, S189
 *   registering what a cancellation calls  R12.2, S185, S186
 *   a call that is deaf to cancellation  R12.9, S188
 *   continuations of calls long over     (C: a generation, not a collector)
 *
 * Each call ends once, in a way that one of the two has asked for; a value was
 * received or handed back; who came too late was told so. */
#include "tests/race.h"

TEST_TIMEOUT(120);

enum act { VALUE, ERROR, CANCEL_CALL, CANCEL_JOB, ACTS };

struct round {
    kin_job *job;
    kin_continuation continuation, stale;
    atomic_int posted;
    enum act left_act, right_act;
    int left, right;                /* what the acts returned                */
    atomic_int sent, received, handed_back, told, returned;
    int result;
    int length;                     /* of what start does                    */
    bool wants_callback;
};

static int keep(kin_continuation continuation, void *arg)
{
    struct round *now = arg;

    now->continuation = continuation;
    atomic_store(&now->posted, 1);
    return 0;
}

static bool is_posted(struct round *now)
{
    return atomic_load(&now->posted);
}

static void hand_back(void *value, kin_error *cause)
{
    struct round *now = value;

    CHECK(kin_error_is_cancellation(cause));
    atomic_fetch_add(&now->handed_back, 1);
}

static void note_cancelled(kin_error *cause, void *arg)
{
    struct round *now = arg;

    CHECK(kin_error_is_cancellation(cause));
    atomic_fetch_add(&now->told, 1);
}

/* --- Acts ----------------------------------------------------------------- */

static int act(struct round *now, enum act what)
{
    int err = 0;

    switch (what) {
    case VALUE:
        err = kin_resume_or(now->continuation, hand_back, now);
        if (err == 0 || err == KIN_ESTALE)
            atomic_fetch_add(&now->sent, 1);
        return err;
    case ERROR:
        return kin_resume_with_error(now->continuation, E);
    case CANCEL_CALL:
        return kin_continuation_cancel(now->continuation, NULL) ? 0
                                                                : KIN_ESTALE;
    default:
        kin_job_cancel(now->job, NULL);
        return 0;
    }
}

static void act_left(struct round *now)
{
    now->left = act(now, now->left_act);
}

static void act_right(struct round *now)
{
    now->right = act(now, now->right_act);
}

static bool is_allowed(const struct round *now, enum act what)
{
    switch (what) {
    case VALUE: return now->result == 0;
    case ERROR: return now->result == kin_error_code(E);
    default:    return now->result == KIN_ECANCELED;
    }
}

BODY(suspend_once)
{
    struct round *now = arg;

    now->result = kin_suspend_cancellable(keep, now);
    atomic_fetch_add(&now->returned, 1);
    if (now->result == 0)
        atomic_fetch_add(&now->received, 1);
    return 0;
}

static void begin_suspended(struct round *now)
{
    now->left_act = draw(ACTS);
    now->right_act = draw(ACTS);
    now->job = LAUNCH(kin_global_scope(), suspend_once, now,
                      .start = KIN_START_LAZY,
                      .dispatcher = some_dispatcher());
    kin_job_start(now->job);
}

KIN_SUSPENDS
static void check_account(struct round *now)
{
    MUST(kin_join(now->job));
    CHECK_EQ(now->returned, 1);
    CHECK_EQ(now->received + now->handed_back, now->sent);
    kin_job_release(now->job);
}

KIN_SUSPENDS
static void check_suspended(struct round *now)
{
    bool cancels = now->left_act == CANCEL_JOB || now->right_act == CANCEL_JOB;

    check_account(now);
    CHECK(is_allowed(now, now->left_act) || is_allowed(now, now->right_act));
    CHECK(now->left == 0 || now->right == 0);
    if (!cancels)                       /* else both may have their way */
        CHECK_EQ((now->left == 0) + (now->right == 0), 1);
    saw(now->result == 0 ? 0 : now->result == KIN_ECANCELED ? 1 : 2);
}

TEST(of_two_who_end_a_call_at_once_one_does)
{
    RACE_SETTLED(begin_suspended, is_posted, act_left, act_right,
                 check_suspended, "a value", "cancelled", "an error");
}

/* --- While start runs ----------------------------------------------------- */

static int post_and_go_on(kin_continuation continuation, void *arg)
{
    struct round *now = arg;

    keep(continuation, arg);
    race_spin(now->length);
    if (now->wants_callback)            /* whoever resumes it just now */
        MUST(kin_continuation_on_cancel(continuation, note_cancelled, now));
    return 0;
}

BODY(suspend_slowly)
{
    struct round *now = arg;

    now->result = kin_suspend_cancellable(post_and_go_on, now);
    atomic_fetch_add(&now->returned, 1);
    if (now->result == 0)
        atomic_fetch_add(&now->received, 1);
    return 0;
}

static void begin_slowly(struct round *now)
{
    now->length = race_length(&race_left);
    now->wants_callback = draw(2);
    now->right_act = draw(ACTS);
    now->job = LAUNCH(kin_global_scope(), suspend_slowly, now,
                      .start = KIN_START_LAZY, .dispatcher = kin_unconfined());
}

static void start_job(struct round *now)
{
    kin_job_start(now->job);
}

/* Where the other side does not run meanwhile, end will do it. */
static void act_once_posted(struct round *now)
{
    now->right = 1;
    for (int i = 0; i < 300 && !is_posted(now); i++)
        KIN__CPU_RELAX();
    if (is_posted(now))
        now->right = act(now, now->right_act);
}

KIN_SUSPENDS
static void check_slowly(struct round *now)
{
    bool late = now->right == 1;

    if (late)
        now->right = act(now, now->right_act);
    check_account(now);
    CHECK_EQ(now->right, 0);
    CHECK(is_allowed(now, now->right_act));
    CHECK_EQ(now->told, now->wants_callback && now->result == KIN_ECANCELED);
    saw(late ? 1 : 0);
}

TEST(a_call_resumed_or_cancelled_while_it_starts_ends_once)
{
    RACE(begin_slowly, start_job, act_once_posted, check_slowly,
         "at about the same time", "after it has parked");
}

/* --- Callbacks ------------------------------------------------------------ */

static void register_callback(struct round *now)
{
    now->left = kin_continuation_on_cancel(now->continuation, note_cancelled,
                                           now);
}

KIN_SUSPENDS
static void check_callback(struct round *now)
{
    bool cancelled;

    if (now->right_act == CANCEL_CALL || now->right_act == CANCEL_JOB)
        CHECK(now->left == 0 || now->left == KIN_ESTALE);
    check_account(now);
    CHECK(is_allowed(now, now->right_act));
    cancelled = now->result == KIN_ECANCELED;
    CHECK_EQ(now->told, now->left == 0 && cancelled);
    saw(now->left ? 2 : cancelled ? 0 : 1);
}

TEST(what_a_cancellation_calls_is_called_once_or_refused)
{
    RACE_SETTLED(begin_suspended, is_posted, register_callback, act_right,
                 check_callback, "called", "not called", "refused");
}

/* --- Deaf calls ----------------------------------------------------------- */

BODY(suspend_deaf)
{
    struct round *now = arg;

    now->result = kin_suspend(keep, now);
    atomic_fetch_add(&now->returned, 1);
    if (now->result == 0)
        atomic_fetch_add(&now->received, 1);
    return 0;
}

static void begin_deaf(struct round *now)
{
    now->left_act = VALUE;
    now->right_act = draw(2) ? CANCEL_JOB : CANCEL_CALL;
    now->job = LAUNCH(kin_global_scope(), suspend_deaf, now,
                      .start = KIN_START_ATOMIC,
                      .dispatcher = some_dispatcher());
}

KIN_SUSPENDS
static void check_deaf(struct round *now)
{
    bool cancelled = now->right_act == CANCEL_JOB;

    CHECK_EQ(now->left, 0);
    CHECK_EQ(now->right, cancelled ? 0 : KIN_ESTALE);
    check_account(now);
    CHECK_EQ(now->result, 0);
    saw(cancelled);
}

TEST(a_call_that_is_deaf_is_resumed_whoever_cancels)
{
    RACE_SETTLED(begin_deaf, is_posted, act_left, act_right, check_deaf,
                 "the call", "the job");
}

/* --- Long over ------------------------------------------------------------ */

static kin_continuation former[RACE_BATCH];
static int formers;

static void begin_again(struct round *now)
{
    begin_suspended(now);
    now->left_act = VALUE;
    now->stale = former[formers];
}

static void resume_stale(struct round *now)
{
    for (int i = 0; now->stale.fiber && i < 4; i++) {
        int err = i % 2 ? kin_resume_with_error(now->stale, E)
                        : kin_resume(now->stale, 1);
        CHECK(err == KIN_ESTALE || err == KIN_EALREADY);
        CHECK(!kin_continuation_cancel(now->stale, NULL));
    }
    now->right = 0;
}

KIN_SUSPENDS
static void check_again(struct round *now)
{
    former[formers] = now->continuation;
    formers = (formers + 1) % RACE_BATCH;
    CHECK_EQ(now->left, 0);
    check_account(now);
    CHECK_EQ(now->result, 0);
    saw(now->stale.fiber != NULL);
}

TEST(a_continuation_of_a_call_long_over_disturbs_nobody)
{
    RACE_SETTLED(begin_again, is_posted, act_left, resume_stale, check_again,
                 "none yet", "disturbed in vain");
}

TEST_MAIN
