/* A kin_run_blocking whose fibers all wait for each other is told of, with the
 * chain, and ends with KIN_EDEADLK (a debug build aborts); and nothing is said
 * where somebody or something may still come: another thread, a time, a
 * cancellation.  Then the wait must be long enough for a look to have come: the
 * foreign thread counts several of the loop's. */
#include "tests/job_helpers.h"

#include "job/deadlock.h"

#include <pthread.h>
#include <time.h>

#define LOOK_MS 10

/* As a test needs it: soon. */
static int run_soon(kin_body *body, void *arg)
{
    kin__deadlock_after = KIN_MS(LOOK_MS);
    return kin_run_blocking(body, arg, .name = "main");
}

/* --- What can never end --------------------------------------------------- */

static kin_job *first, *second;

KIN_SUSPENDS
static int join_that(kin_scope *scope, void *which)
{
    int err;
    (void)scope;
    err = kin_join(*(kin_job **)which);
    if (err == KIN_ECANCELED)
        ev("cleaned");
    return err;
}

static void release_both(void)
{
    kin_job_release(first);
    kin_job_release(second);
    first = second = NULL;
}

KIN_SUSPENDS
static int launch_a_circle(kin_scope *scope, void *arg)
{
    (void)arg;
    KIN_TRY(kin_launch_with(scope, join_that, &(kin_launch_options){
        .arg = &second, .job = &first, .name = "a", .site = "a.c:8" }));
    return kin_launch_with(scope, join_that, &(kin_launch_options){
        .arg = &first, .job = &second, .name = "b", .site = "a.c:9" });
}

KIN_SUSPENDS
static int launch_a_circle_on_default(kin_scope *scope, void *arg)
{
    (void)arg;
    KIN_TRY(kin_launch_with(scope, join_that, &(kin_launch_options){
        .arg = &second, .job = &first, .name = "a", .site = "a.c:8",
        .start = KIN_START_LAZY, .dispatcher = kin_default() }));
    KIN_TRY(kin_launch_with(scope, join_that, &(kin_launch_options){
        .arg = &first, .job = &second, .name = "b", .site = "a.c:9",
        .dispatcher = kin_default() }));
    return 0;
}

/* Keeps its worker for some looks before it closes the circle. */
KIN_SUSPENDS
static int join_that_late(kin_scope *scope, void *which)
{
    const struct timespec looks = { 0, 4 * LOOK_MS * 1000000 };

    nanosleep(&looks, NULL);
    return join_that(scope, which);
}

KIN_SUSPENDS
static int launch_a_circle_that_closes_late(kin_scope *scope, void *arg)
{
    (void)arg;
    KIN_TRY(kin_launch_with(scope, join_that, &(kin_launch_options){
        .arg = &second, .job = &first, .name = "a", .site = "a.c:8",
        .start = KIN_START_LAZY }));
    return kin_launch_with(scope, join_that_late, &(kin_launch_options){
        .arg = &first, .job = &second, .name = "b", .site = "a.c:9",
        .dispatcher = kin_io() });
}

KIN_SUSPENDS
static int have_a_child_that_joins(kin_scope *scope, void *which)
{
    int err;
    (void)scope;
    KIN_COROUTINE_SCOPE(err, inner)
        KIN_TRY_IN(inner, kin_launch_with(inner, join_that,
            &(kin_launch_options){ .arg = which, .name = "child",
                                   .site = "c.c:3" }));
    return err;
}

/* a joins b, whose scope waits for a child, which joins a. */
KIN_SUSPENDS
static int launch_a_circle_with_a_scope(kin_scope *scope, void *arg)
{
    (void)arg;
    KIN_TRY(kin_launch_with(scope, join_that, &(kin_launch_options){
        .arg = &second, .job = &first, .name = "a", .site = "a.c:8" }));
    return kin_launch_with(scope, have_a_child_that_joins,
        &(kin_launch_options){ .arg = &first, .job = &second, .name = "b",
                               .site = "a.c:9" });
}

KIN_SUSPENDS
static int launch_what_nobody_starts(kin_scope *scope, void *arg)
{
    (void)arg;
    return kin_launch_with(scope, do_nothing, &(kin_launch_options){
        .name = "lazy", .site = "l.c:4", .start = KIN_START_LAZY });
}

/* A circle through a family of its own. */
KIN_SUSPENDS
static int launch_a_circle_of_families(kin_scope *scope, void *arg)
{
    (void)arg;
    KIN_TRY(kin_launch_with(kin_global_scope(), join_that,
        &(kin_launch_options){ .arg = &second, .job = &first, .name = "a",
                               .start = KIN_START_LAZY, .site = "a.c:8" }));
    return kin_launch_with(scope, join_that, &(kin_launch_options){
        .arg = &first, .job = &second, .name = "b", .site = "a.c:9" });
}

#define STUCK(sentence, body, text)                                          \
    static void body##__run(void *arg)                                       \
    {                                                                        \
        (void)arg;                                                           \
        CHECK_EQ(run_soon(body, NULL), KIN_EDEADLK);                         \
    }                                                                        \
    TEST(sentence)                                                           \
    {                                                                        \
        if (MISUSE_ABORTS)                                                   \
            CHECK(WIFSIGNALED(check_dies(body##__run, NULL, text)));         \
        else                                                                 \
            check_says(body##__run, NULL, text);                             \
    }

/* Which of two children the chain begins with depends on where their records
 * lie; and that, in a hard build, on what was freed last. */
#if defined(KIN_HARD)
#define FIRST "b"
#define FIRST_AT "9"
#define THEN "a"
#define THEN_AT "8"
#else
#define FIRST "a"
#define FIRST_AT "8"
#define THEN "b"
#define THEN_AT "9"
#endif
STUCK(two_that_join_each_other_are_told_with_the_chain, launch_a_circle,
      " has ended but for its child\n"
      "  \"" FIRST "\", launched at a.c:" FIRST_AT
      ", is in join, and so waits for\n"
      "  \"" THEN "\", launched at a.c:" THEN_AT
      ", is in join, and so waits for\n"
      "  \"" FIRST "\", as said above\n")
STUCK(fibers_on_other_threads_are_seen, launch_a_circle_on_default,
      "kin: deadlock: all fibers of kin_run_blocking (")
STUCK(a_circle_that_closes_after_the_first_look_is_seen,
      launch_a_circle_that_closes_late,
      "kin: deadlock: all fibers of kin_run_blocking (")
STUCK(a_scope_that_waits_for_its_child_is_a_link, launch_a_circle_with_a_scope,
      "  \"b\", launched at a.c:9, is in children of a scope, and so waits for\n"
      "  \"child\", launched at c.c:3, is in join, and so waits for\n")
STUCK(what_nobody_can_start_holds_its_parent_up, launch_what_nobody_starts,
      "\"lazy\", launched at l.c:4 was never started")
STUCK(a_circle_through_another_family_is_one, launch_a_circle_of_families,
      "  \"a\", launched at a.c:8, is in join, and so waits for\n")

TEST(those_in_a_deadlock_clean_up)
{
    kin_error *error;

    if (MISUSE_ABORTS)
        SKIP("a debug build aborts");
    CHECK_EQ(run_soon(launch_a_circle, NULL), KIN_EDEADLK);
    error = kin_error_current();
    CHECK_STR(kin_error_message(error),
              "deadlock: all fibers wait for each other");
    CHECK_LOG("cleaned cleaned");
    release_both();
}

/* --- What may still end --------------------------------------------------- */

/* A thread that does something to what waits, after so many looks. */
static struct late {
    pthread_t thread;
    void (*act)(void *arg);
    void *arg;
} late;

static void *act_later(void *unused)
{
    const struct timespec looks = { 0, 8 * LOOK_MS * 1000000 };

    nanosleep(&looks, NULL);            /* time is the subject */
    late.act(late.arg);
    return unused;
}

static void later(void (*act)(void *arg), void *arg)
{
    late.act = act;
    late.arg = arg;
    CHECK_EQ(pthread_create(&late.thread, NULL, act_later, NULL), 0);
}

/* It ends with 0, and would end with KIN_EDEADLK. */
static void check_ends(kin_body *body)
{
    CHECK_EQ(run_soon(body, NULL), 0);
    if (late.act)
        pthread_join(late.thread, NULL);
    if (first)
        release_both();
}

static void resume_it(void *continuation)
{
    CHECK_EQ(kin_resume(*(kin_continuation *)continuation, 0), 0);
}

static int resume_later(kin_continuation continuation, void *arg)
{
    *(kin_continuation *)arg = continuation;
    later(resume_it, arg);
    return 0;
}

KIN_SUSPENDS
static int wait_for_a_thread(kin_scope *scope, void *arg)
{
    kin_continuation continuation;
    (void)scope, (void)arg;
    return kin_suspend(resume_later, &continuation);
}

TEST(a_continuation_may_be_resumed)
{
    check_ends(wait_for_a_thread);
}

static void complete_it(void *deferred)
{
    CHECK_EQ(kin_deferred_complete(deferred, NULL), 1);
}

KIN_SUSPENDS
static int wait_for_a_deferred(kin_scope *scope, void *arg)
{
    KIN_AUTO(kin_deferred) gate = new_deferred(NULL);
    (void)scope, (void)arg;
    later(complete_it, gate);
    return kin_await(gate, NULL);
}

TEST(a_deferred_may_be_completed_by_hand)
{
    check_ends(wait_for_a_deferred);
}

static void cancel_it(void *job)
{
    kin_job_cancel(job, NULL);
}

KIN_SUSPENDS
static int wait_for_cancellation(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return kin_await_cancellation();
}

KIN_SUSPENDS
static int wait_for_one_who_is_cancelled(kin_scope *scope, void *arg)
{
    KIN_AUTO(kin_job) job = launch_in(scope, NULL, wait_for_cancellation,
                                      (kin_launch_options){ .name = "x" });
    (void)arg;
    later(cancel_it, job);
    return kin_join(job);
}

TEST(who_awaits_its_cancellation_may_be_cancelled)
{
    check_ends(wait_for_one_who_is_cancelled);
}

static void start_it(void *job)
{
    CHECK_EQ(kin_job_start(job), 1);
}

KIN_SUSPENDS
static int wait_for_a_lazy_one(kin_scope *scope, void *arg)
{
    (void)arg;
    first = launch_in(scope, NULL, do_nothing,
                      (kin_launch_options){ .start = KIN_START_LAZY });
    later(start_it, first);
    return 0;                           /* and waits for its child */
}

TEST(a_lazy_job_may_be_started_by_who_has_a_handle)
{
    check_ends(wait_for_a_lazy_one);
}

KIN_SUSPENDS
static int wait_for_a_time(kin_scope *scope, void *arg)
{
    KIN_AUTO(kin_job) slow = launch_in(scope, NULL, wait_for_cancellation,
                                       (kin_launch_options){ .name = "x" });
    (void)arg;
    CHECK_EQ(kin_delay(KIN_MS(8 * LOOK_MS)), 0);
    return kin_cancel_and_join(slow);
}

TEST(a_delay_ends)
{
    check_ends(wait_for_a_time);
}

KIN_SUSPENDS
static int time_out_a_circle(kin_scope *scope, void *arg)
{
    int err;
    (void)scope;
    KIN_TIMEOUT_SCOPE(err, inner, KIN_MS(8 * LOOK_MS))
        KIN_TRY_IN(inner, launch_a_circle(inner, arg));
    return err == KIN_ETIMEDOUT ? 0 : -EBADMSG;
}

TEST(a_circle_in_a_timeout_is_cancelled_by_that)
{
    check_ends(time_out_a_circle);
}

static int compute(kin_scope *scope, void *arg)
{
    int64_t until = kin_after(KIN_MS(8 * LOOK_MS));
    (void)scope, (void)arg;
    while (kin_now() < until)
        ;
    return 0;
}

KIN_SUSPENDS
static int wait_for_a_worker(kin_scope *scope, void *arg)
{
    KIN_AUTO(kin_deferred) value = async_in(
        scope, compute, &(kin_launch_options){ .dispatcher = kin_default() });
    (void)arg;
    return kin_await(value, NULL);
}

TEST(who_runs_on_a_worker_ends)
{
    check_ends(wait_for_a_worker);
}

/* That family is nobody's child, and somebody in it waits for a thread. */
KIN_SUSPENDS
static int wait_for_another_family(kin_scope *scope, void *arg)
{
    KIN_AUTO(kin_job) other = launch_in(
        kin_global_scope(), NULL, wait_for_a_thread,
        (kin_launch_options){ .name = "other" });
    (void)scope, (void)arg;
    return kin_join(other);
}

TEST(another_family_may_end)
{
    check_ends(wait_for_another_family);
}

/* What happens between two looks is seen by the second one. */
KIN_SUSPENDS
static int hand_over(kin_scope *scope, void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        KIN_AUTO(kin_deferred) value = async_in(
            scope, do_nothing,
            &(kin_launch_options){ .dispatcher = kin_default() });
        KIN_TRY(kin_await(value, NULL));
    }
    return 0;
}

TEST(who_is_woken_all_the_time_is_in_no_deadlock)
{
    kin__deadlock_after = KIN_US(1);
    CHECK_EQ(kin_run_blocking(hand_over, NULL), 0);
}

TEST_MAIN
