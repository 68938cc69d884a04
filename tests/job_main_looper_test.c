/* Main tied to a looper, as on Android: see looper.h for the looper. */
#include "tests/looper.h"

#define AMPLE KIN_S(60)                 /* a budget that is never used up    */

static void attach_looper(int64_t budget)
{
    own = &looper;
    MUST(kin_main_attach_looper(budget));
    CHECK_EQ(looper.count, 2);
    CHECK_EQ(looper.references, 2);
}

static void detach_looper(void)
{
    MUST(kin_main_detach());
    CHECK_EQ(looper.count, 0);
    CHECK_EQ(looper.references, 1);
}

static kin_job *launch_on_main(kin_body *body, void *arg)
{
    kin_job *job = NULL;

    MUST(kin_launch(kin_global_scope(), body, arg, .dispatcher = kin_main(),
                    .job = &job));
    return job;
}

/* --- Pumping -------------------------------------------------------------- */

TEST(looper_runs_what_is_due_and_is_silent_then)
{
    attach_looper(AMPLE);
    CHECK_EQ(poll_once(0), 0);
    MUST(on_main(say, "1"));
    MUST(on_main(say, "2"));
    CHECK_LOG("");
    CHECK_EQ(poll_once(0), 1);
    CHECK_LOG("1 2");
    CHECK_EQ(poll_once(0), 0);
    detach_looper();
}

BODY(ask_io_and_come_back)
{
    int err;

    CHECK(kin_main_is_current());
    KIN_WITH_CONTEXT(err, .dispatcher = kin_io())
        ev(kin_main_is_current() ? "main" : "io");
    ev(kin_main_is_current() ? "main" : "elsewhere");
    return err;
}

TEST(fiber_that_blocked_on_io_goes_on_on_the_looper_s_thread)
{
    KIN_AUTO(kin_job) job = NULL;

    attach_looper(AMPLE);
    job = launch_on_main(ask_io_and_come_back, NULL);
    loop_until(job);
    CHECK_LOG("io main");
    detach_looper();
}

/* A message of the system's: a pipe that always has one more. */
static int messages;

static int take_message(UNUSED int fd, UNUSED int events, void *after)
{
    return ++messages < *(int *)after;
}

BODY(yield_for_ever)
{
    int err = 0;

    while (!err)
        err = kin_yield();
    return err;
}

TEST(messages_get_their_turn_while_fibers_yield_for_ever)
{
    static int enough = 50;
    KIN_AUTO(kin_job) job = NULL;
    int fds[2];

    MUST(pipe(fds));
    CHECK_EQ(write(fds[1], "x", 1), 1);
    attach_looper(KIN_US(200));
    job = launch_on_main(yield_for_ever, NULL);
    CHECK_EQ(ALooper_addFd(&looper, fds[0], ALOOPER_POLL_CALLBACK,
                           ALOOPER_EVENT_INPUT, take_message, &enough), 1);
    for (int i = 0; i < enough; i++)
        CHECK_EQ(poll_once(0), 2);
    CHECK_EQ(messages, enough);
    CHECK_EQ(poll_once(0), 1);
    kin_job_cancel(job, NULL);
    loop_until(job);
    detach_looper();
}

BODY(block_2_ms)
{
    block_ms(2);
    return 0;
}

TEST(looper_has_its_turn_when_the_budget_is_over)
{
    int polls = 0;

    attach_looper(KIN_MS(5));
    for (int i = 0; i < 10; i++)
        kin_job_release(launch_on_main(block_2_ms, NULL));
    while (poll_once(0))
        polls++;
    CHECK(polls >= 3 && polls <= 10);
    detach_looper();
}

TEST(budget_of_0_is_one_pass_a_poll)
{
    KIN_AUTO(kin_job) job = NULL;

    attach_looper(0);
    job = launch_on_main(yield_for_ever, NULL);
    CHECK_EQ(poll_once(0), 1);
    CHECK_EQ(poll_once(0), 1);
    kin_job_cancel(job, NULL);
    loop_until(job);
    detach_looper();
}

/* --- Deadlines ------------------------------------------------------------ */

static bool is_woken;                   /* Main's thread only */

static void loop_until_woken(void)
{
    int polls = 0;

    for (; !is_woken; polls++)
        CHECK(poll_once(-1) > 0);
    CHECK(polls <= 5);
}

BODY(delay_20_ms)
{
    int err = kin_delay(KIN_MS(20));

    is_woken = true;
    return err;
}

TEST(delay_on_main_wakes_the_looper_by_its_timer_alone)
{
    KIN_AUTO(kin_job) job = NULL;
    int64_t start = kin_now();

    attach_looper(AMPLE);
    job = launch_on_main(delay_20_ms, NULL);
    loop_until_woken();
    CHECK(kin_now() - start >= KIN_MS(20));
    loop_until(job);
    CHECK_EQ(poll_once(0), 0);
    detach_looper();
}

BODY(delay_an_hour)
{
    int err = kin_delay(KIN_S(3600));

    is_woken = true;
    return err;
}

TEST(earlier_deadline_replaces_a_later_one)
{
    KIN_AUTO(kin_job) late = NULL;
    KIN_AUTO(kin_job) early = NULL;

    attach_looper(AMPLE);
    late = launch_on_main(delay_an_hour, NULL);
    CHECK_EQ(poll_once(0), 1);
    early = launch_on_main(delay_20_ms, NULL);
    loop_until_woken();
    loop_until(early);
    kin_job_cancel(late, NULL);
    loop_until(late);
    CHECK_EQ(poll_once(0), 0);
    detach_looper();
}

BODY(cancel_after_10_ms)
{
    MUST(kin_delay(KIN_MS(10)));
    kin_job_cancel(arg, NULL);
    return 0;
}

TEST(cancellation_from_another_thread_wakes_the_looper)
{
    KIN_AUTO(kin_job) job = NULL;

    attach_looper(AMPLE);
    job = launch_on_main(delay_an_hour, NULL);
    MUST(kin_launch(kin_global_scope(), cancel_after_10_ms, job,
                    .dispatcher = kin_default()));
    loop_until_woken();
    loop_until(job);
    CHECK_FLAGS(job, "011");
    detach_looper();
}

/* --- Attaching and detaching ---------------------------------------------- */

TEST(main_is_tied_and_untied_again_and_again)
{
    for (int i = 0; i < 3; i++) {
        attach_looper(AMPLE);
        MUST(on_main(say, "x"));
        CHECK_EQ(poll_once(0), 1);
        detach_looper();
    }
    CHECK_LOG("x x x");
}

/* The looper has seen that Main's descriptor is ready; then this is called. */
static int detach_in_callback(int fd, UNUSED int events, UNUSED void *no)
{
    ALooper_removeFd(&looper, fd);
    detach_looper();
    return 0;
}

TEST(main_may_be_detached_by_another_callback_of_the_same_poll)
{
    struct watched first;
    int fds[2];

    MUST(pipe(fds));
    CHECK_EQ(write(fds[1], "x", 1), 1);
    attach_looper(AMPLE);
    MUST(on_main(say, "never"));
    CHECK_EQ(ALooper_addFd(&looper, fds[0], ALOOPER_POLL_CALLBACK,
                           ALOOPER_EVENT_INPUT, detach_in_callback, NULL), 1);
    first = looper.watched[looper.count - 1];
    looper.watched[looper.count - 1] = looper.watched[0];
    looper.watched[0] = first;
    CHECK_EQ(poll_once(0), 2);
    CHECK_LOG("");
}

static void *attach_without_a_looper(UNUSED void *arg)
{
    CHECK_EQ(kin_main_attach_looper(AMPLE), KIN_EINVAL);
    return NULL;
}

TEST(thread_without_a_looper_is_refused)
{
    pthread_t thread;

    if (MISUSE_ABORTS)
        SKIP("aborts");
    attach_without_a_looper(NULL);
    attach_looper(AMPLE);
    MUST(pthread_create(&thread, NULL, attach_without_a_looper, NULL));
    MUST(pthread_join(thread, NULL));
    detach_looper();
}

TEST(negative_budget_is_refused)
{
    if (MISUSE_ABORTS)
        SKIP("aborts");
    own = &looper;
    CHECK_EQ(kin_main_attach_looper(-1), KIN_EINVAL);
    CHECK_EQ(kin_main_attach_looper(INT64_MIN), KIN_EINVAL);
    CHECK(!kin_main_is_attached());
}

TEST(second_attach_is_refused_and_leaves_the_first_alone)
{
    attach_looper(AMPLE);
    CHECK_EQ(kin_main_attach_looper(AMPLE), KIN_EALREADY);
    CHECK_EQ(looper.references, 2);
    MUST(on_main(say, "1"));
    CHECK_EQ(poll_once(0), 1);
    CHECK_LOG("1");
    detach_looper();
}

TEST(refusal_at_any_place_leaves_nothing_behind)
{
    own = &looper;
    for (looper.room = 0; looper.room < 2; looper.room++) {
        CHECK_EQ(kin_main_attach_looper(AMPLE), KIN_EAGAIN);
        CHECK(!kin_main_is_attached());
        CHECK_EQ(looper.count, 0);
        CHECK_EQ(looper.references, 1);
    }
    for (unsigned long n = 1; n <= 2; n++) {
        kin__fail_at(n, false);
        CHECK_EQ(kin_main_attach_looper(AMPLE), KIN_EAGAIN);
        CHECK_EQ(looper.count, 0);
        CHECK_EQ(looper.references, 1);
    }
    kin__fail_at(0, false);
    attach_looper(AMPLE);
    detach_looper();
}

BODY(detach_inside)
{
    CHECK_EQ(kin_main_detach(), KIN_EBUSY);
    return 0;
}

TEST(detach_inside_the_pump_is_refused_and_changes_nothing)
{
    if (MISUSE_ABORTS)
        SKIP("aborts");
    attach_looper(AMPLE);
    kin_job_release(launch_on_main(detach_inside, NULL));
    CHECK_EQ(poll_once(0), 1);
    CHECK_EQ(looper.count, 2);
    detach_looper();
}

TEST_MAIN
