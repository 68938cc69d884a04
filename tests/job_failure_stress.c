/* job_failure_stress.c -- failures that come at the same time.
 *
 * The races of the specification, section 6, a hundred thousand times each:
 *   two children fail                     R6.1, R6.5, S087, S090, S093
 *   a child and the body fail             R6.1, S088, S091
 *   a child fails, the family is cancelled R5.9, S089
 *   children of a supervisor fail         R6.2, S104, S036
 *   a failure that climbs two generations R3.5, R6.5, S038, S083
 *   failing by hand against completing    R2.6, R6.7, S017
 *
 * Who fails does so in a call that is deaf to cancellation, so that his failure
 * counts whatever came before: one report, one winner, the other suppressed,
 * once. */
#include "tests/race.h"

TEST_TIMEOUT(120);

struct round {
    kin_job *job, *first, *second;
    kin_error *left, *right;        /* what the two fail with; released      */
    kin_continuation continuations[3];
    atomic_int reports, ended;
    kin_error *report;              /* retained                              */
    int returned[2];
};

static int take_failure(UNUSED kin_job *job, kin_error *error, void *arg)
{
    struct round *now = arg;

    if (atomic_fetch_add(&now->reports, 1) == 0)
        now->report = kin_error_retain(error);
    return 0;
}

static int count_end(kin_job *job, UNUSED kin_error *cause, void *arg)
{
    struct round *now = arg;

    CHECK(kin_job_is_completed(job));
    atomic_fetch_add(&now->ended, 1);
    return 0;
}

/* --- Bodies that fail when told to ---------------------------------------- */

static int keep(kin_continuation continuation, void *arg)
{
    *(kin_continuation *)arg = continuation;
    return 0;
}

BODY(fail_when_resumed)
{
    return kin_suspend(keep, arg);
}

static kin_job *launch_failing(struct round *now, kin_job *parent, int which)
{
    return LAUNCH_IN(parent, kin_global_scope(), fail_when_resumed,
                     &now->continuations[which],
                     .dispatcher = kin_unconfined(),
                     .handler = take_failure, .handler_arg = now);
}

static void make_failures(struct round *now)
{
    now->left = new_failure("left");
    now->right = draw(16) ? new_failure("right")
                          : kin_error_retain(now->left);
}

/* A root that has parked, with a handler. */
static void begin_family(struct round *now)
{
    make_failures(now);
    now->job = launch_failing(now, NULL, 2);
    on_completion(now->job, count_end, now);
}

static void fail_first(struct round *now)
{
    MUST(kin_resume_with_error(now->continuations[0], now->left));
}

static void fail_second(struct round *now)
{
    MUST(kin_resume_with_error(now->continuations[1], now->right));
}

static void release_all(struct round *now)
{
    kin_job_release(now->job);
    kin_job_release(now->first);
    kin_job_release(now->second);
    kin_error_release(now->left);
    kin_error_release(now->right);
    kin_error_release(now->report);
}

enum { LEFT_WINS, RIGHT_WINS, SAME };

/* One report of one failure, which has the other suppressed, unless they are
 * the same. */
KIN_SUSPENDS
static void check_one_report(struct round *now)
{
    kin_error *winner = now->report;
    kin_error *loser = winner == now->left ? now->right : now->left;

    MUST(kin_join(now->job));
    CHECK_EQ(now->reports, 1);
    CHECK(winner == now->left || winner == now->right);
    if (winner == loser) {
        CHECK_EQ(kin_error_suppressed_count(winner), 0);
    } else {
        CHECK_EQ(kin_error_suppressed_count(winner), 1);
        CHECK_PTR(kin_error_suppressed(winner, 0), loser);
        CHECK_EQ(kin_error_suppressed_count(loser), 0);
    }
    CHECK_FLAGS(now->job, "011");
    while (atomic_load(&now->ended) == 0)
        MUST(kin_yield());
    CHECK_EQ(now->ended, 1);
    saw(now->left == now->right ? SAME
        : winner == now->left ? LEFT_WINS : RIGHT_WINS);
    release_all(now);
}

/* --- Two children --------------------------------------------------------- */

static void begin_two_children(struct round *now)
{
    begin_family(now);
    now->first = launch_failing(now, now->job, 0);
    now->second = launch_failing(now, now->job, 1);
    MUST(kin_resume(now->continuations[2], 0));
}

TEST(of_two_children_that_fail_at_once_one_is_reported_and_one_suppressed)
{
    RACE(begin_two_children, fail_first, fail_second, check_one_report,
         "left wins", "right wins", "the same error");
}

/* --- A child and the body ------------------------------------------------- */

static void begin_child(struct round *now)
{
    begin_family(now);
    now->first = launch_failing(now, now->job, 0);
}

static void fail_body(struct round *now)
{
    MUST(kin_resume_with_error(now->continuations[2], now->right));
}

TEST(of_a_child_and_a_body_that_fail_at_once_one_suppresses_the_other)
{
    RACE(begin_child, fail_first, fail_body, check_one_report,
         "child wins", "body wins", "the same error");
}

/* --- Two generations ------------------------------------------------------ */

static void begin_generations(struct round *now)
{
    begin_child(now);
    now->second = launch_failing(now, now->first, 1);
    MUST(kin_resume(now->continuations[2], 0));
}

TEST(of_a_child_and_a_grandchild_that_fail_at_once_one_is_reported)
{
    RACE(begin_generations, fail_first, fail_second, check_one_report,
         "child wins", "grandchild wins", "the same error");
}

/* --- Failing and cancelling ----------------------------------------------- */

static void begin_to_be_cancelled(struct round *now)
{
    begin_child(now);
    MUST(kin_resume(now->continuations[2], 0));
}

static void cancel_family(struct round *now)
{
    kin_job_cancel(now->job, NULL);
}

KIN_SUSPENDS
static void check_failure_wins(struct round *now)
{
    MUST(kin_join(now->job));
    KIN_AUTO(kin_error) cause = cancellation_of(now->job);
    CHECK_EQ(now->reports, 1);
    CHECK_PTR(now->report, now->left);
    CHECK_EQ(kin_error_suppressed_count(now->left), 0);
    while (atomic_load(&now->ended) == 0)
        MUST(kin_yield());
    CHECK_EQ(now->ended, 1);
    saw(kin_error_cause(cause) == now->left ? 0 : 1);
    release_all(now);
}

TEST(a_failure_wins_over_a_cancellation_and_is_reported_once)
{
    RACE(begin_to_be_cancelled, fail_first, cancel_family,
         check_failure_wins, "failed first", "?cancelled first");
}

/* --- A supervisor --------------------------------------------------------- */

static void begin_supervised(struct round *now)
{
    make_failures(now);
    now->job = new_supervisor(NULL);
    on_completion(now->job, count_end, now);
    now->first = launch_failing(now, now->job, 0);
    now->second = launch_failing(now, now->job, 1);
}

KIN_SUSPENDS
static void check_two_reports(struct round *now)
{
    MUST(kin_join(now->first));
    MUST(kin_join(now->second));
    CHECK_EQ(now->reports, 2);
    CHECK_FLAGS(now->job, "100");
    CHECK_EQ(kin_job_complete(now->job), 1);
    CHECK_FLAGS(now->job, "010");
    CHECK_EQ(now->ended, 1);
    CHECK_EQ(kin_error_suppressed_count(now->left), 0);
    CHECK_EQ(kin_error_suppressed_count(now->right), 0);
    saw(now->left == now->right ? SAME
        : now->report == now->left ? LEFT_WINS : RIGHT_WINS);
    release_all(now);
}

TEST(two_children_of_a_supervisor_that_fail_at_once_make_two_reports)
{
    RACE(begin_supervised, fail_first, fail_second, check_two_reports,
         "left first", "right first", "the same error");
}

/* --- By hand -------------------------------------------------------------- */

static void begin_by_hand(struct round *now)
{
    make_failures(now);
    now->job = new_job(NULL);
    on_completion(now->job, count_end, now);
}

static void fail_by_hand(struct round *now)
{
    now->returned[0] = kin_job_fail(now->job, now->left);
}

static void complete_by_hand(struct round *now)
{
    now->returned[1] = draw_right(2) ? kin_job_complete(now->job)
                                     : kin_job_fail(now->job, now->right);
}

static void check_by_hand(struct round *now)
{
    CHECK_EQ(now->returned[0] + now->returned[1], 1);
    CHECK_EQ(now->ended, 1);
    if (now->returned[0])
        CHECK_FLAGS(now->job, "011");
    CHECK_EQ(kin_error_suppressed_count(now->left), 0);
    saw(now->returned[0] ? 0 : kin_job_is_cancelled(now->job) ? 1 : 2);
    release_all(now);
}

TEST(of_two_who_end_a_job_by_hand_one_is_told_that_he_did)
{
    RACE(begin_by_hand, fail_by_hand, complete_by_hand, check_by_hand,
         "the left", "the right failed it", "the right completed it");
}

TEST_MAIN
