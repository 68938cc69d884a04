/* job_main_host_test.c -- what the host of Main sees: the pump and its budget,
 * the descriptor, the deadline, run and quit, detach with work left. */
#include "tests/main_host.h"

#include <signal.h>

static kin_deferred *gate;

/* --- The pump ------------------------------------------------------------ */

TEST(pump_with_nothing_to_do_returns_0)
{
    attach();
    CHECK_EQ(kin_main_pump(0), 0);
    CHECK_EQ(kin_main_pump(KIN_MS(2)), 0);
    CHECK_EQ(kin_main_pump(KIN_NEVER), 0);
    MUST(kin_main_detach());
}

BODY(block_2_ms)
{
    block_ms(2);
    return 0;
}

TEST(pump_begins_no_slice_when_its_budget_is_over)
{
    attach();
    for (int i = 0; i < 10; i++)
        MUST(on_main(block_2_ms, NULL));
    int first = kin_main_pump(KIN_MS(5));
    CHECK(first >= 1 && first <= 3);
    CHECK(is_readable(0));
    CHECK(kin_main_deadline() <= kin_now());
    CHECK_EQ(first + kin_main_pump(KIN_NEVER), 10);
    CHECK(!is_readable(0));
    MUST(kin_main_detach());
}

BODY(yield_until_cancelled)
{
    int err;
    while ((err = kin_yield()) == 0)
        continue;
    return err;
}

TEST(pump_ends_although_fibers_yield_for_ever)
{
    KIN_AUTO(kin_job) j = NULL;

    attach();
    MUST(kin_launch(kin_global_scope(), yield_until_cancelled, NULL, .job = &j,
                    .dispatcher = kin_main()));
    MUST(on_main(say, "1"));
    do                                  /* a busy machine may be away as long */
        CHECK(kin_main_pump(KIN_MS(10)) >= 1);
    while (!is_logged("1"));
    CHECK_LOG("1");
    kin_job_cancel(j, NULL);
    kin_main_pump(KIN_NEVER);
    CHECK_FLAGS(j, "011");
    MUST(kin_main_detach());
}

BODY(launch_2_say_1)
{
    kin_launch(scope, say, "2");
    ev("1");
    return 0;
}

TEST(pump_of_0_makes_one_pass)
{
    KIN_AUTO(kin_job) j = NULL;

    attach();
    MUST(kin_launch(kin_global_scope(), yield_until_cancelled, NULL, .job = &j,
                    .dispatcher = kin_main()));
    MUST(on_main(launch_2_say_1, NULL));
    CHECK_EQ(kin_main_pump(0), 2);
    CHECK_LOG("1");
    CHECK_EQ(kin_main_pump(0), 2);
    CHECK_LOG("1 2");
    kin_job_cancel(j, NULL);
    CHECK_EQ(kin_main_pump(0), 1);
    CHECK_EQ(kin_main_pump(0), 0);
    MUST(kin_main_detach());
}

/* --- The descriptor and the deadline ------------------------------------- */

TEST(descriptor_is_readable_when_there_is_work)
{
    attach();
    CHECK(kin_main_fd() >= 0);
    CHECK(!is_readable(0));
    CHECK_EQ(kin_main_deadline(), KIN_NEVER);
    MUST(on_main(say, "1"));
    CHECK(is_readable(0));
    CHECK(kin_main_deadline() <= kin_now());
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
    CHECK(!is_readable(0));
    CHECK_EQ(kin_main_deadline(), KIN_NEVER);
    MUST(kin_main_detach());
}

static void *post_to_waiting(UNUSED void *arg)
{
    await_blocked(main_tid);
    MUST(on_main(say, "1"));
    return NULL;
}

TEST(descriptor_wakes_a_host_that_waits)
{
    attach();
    pthread_t thread = start_thread(post_to_waiting, NULL);
    CHECK(is_readable(-1));
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
    CHECK_LOG("1");
    pthread_join(thread, NULL);
    MUST(kin_main_detach());
}

BODY(delay_10_then_say)
{
    MUST(kin_delay(check_slow(KIN_MS(10))));
    CHECK_EQ(gettid(), main_tid);
    ev(arg);
    return 0;
}

TEST(deadline_tells_when_the_next_timer_is_due)
{
    int64_t before;

    attach();
    do {                                /* until it is not due at once */
        log_clear();
        before = kin_now();
        MUST(on_main(delay_10_then_say, "1"));
    } while (kin_main_pump(KIN_NEVER) != 1);
    CHECK(kin_main_deadline() >= before + check_slow(KIN_MS(10)));
    CHECK(kin_main_deadline() <= kin_now() + check_slow(KIN_MS(10)));
    CHECK_LOG("");
    block_ms(check_slow(11));
    CHECK(kin_main_deadline() <= kin_now());
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
    CHECK_LOG("1");
    CHECK_EQ(kin_main_deadline(), KIN_NEVER);
    MUST(kin_main_detach());
}

/* A host that waits for both sees each thing when it is due. */
BODY(to_io_and_back)
{
    for (int i = 0; i < 100; i++) {
        int err;
        KIN_WITH_CONTEXT(err, .dispatcher = kin_io())
            CHECK(gettid() != main_tid);
        MUST(err);
        CHECK_EQ(gettid(), main_tid);
        MUST(kin_delay(KIN_US(100)));
        CHECK_EQ(gettid(), main_tid);
    }
    return 0;
}

TEST(fiber_goes_from_main_to_io_and_back_while_the_host_polls)
{
    KIN_AUTO(kin_job) j = NULL;

    attach();
    MUST(kin_launch(kin_global_scope(), to_io_and_back, NULL, .job = &j,
                    .dispatcher = kin_main()));
    pump_until(j);
    CHECK_FLAGS(j, "010");
    MUST(kin_main_detach());
}

/* Posts from threads are all run, in the order of each thread. */
enum { POSTERS = 3, POSTS = 2000 };
static int last_post[POSTERS], posts;

BODY(check_order)
{
    int poster = (int)(intptr_t)arg / POSTS, n = (int)(intptr_t)arg % POSTS;

    CHECK_EQ(last_post[poster], n);
    last_post[poster]++;
    posts++;
    return 0;
}

static void *post_many(void *poster)
{
    for (int i = 0; i < POSTS; i++)
        MUST(on_main(check_order, WORD((intptr_t)poster * POSTS + i)));
    return NULL;
}

TEST(posts_from_several_threads_all_run_in_each_threads_order)
{
    pthread_t threads[POSTERS];

    attach();
    for (int i = 0; i < POSTERS; i++)
        threads[i] = start_thread(post_many, WORD(i));
    while (posts < POSTERS * POSTS)
        wait_and_pump();
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(kin_main_pump(0), 0);
    CHECK(!is_readable(0));
    MUST(kin_main_detach());
}

/* --- Run and quit --------------------------------------------------------- */

BODY(quit_between_words)
{
    ev("1");
    MUST(kin_main_quit());
    ev("2");
    return 0;
}

TEST(run_ends_after_the_slice_that_quits)
{
    attach();
    MUST(on_main(quit_between_words, NULL));
    MUST(on_main(say, "3"));
    MUST(kin_main_run());
    CHECK_LOG("1 2");
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
    CHECK_LOG("1 2 3");
    MUST(kin_main_detach());
}

TEST(quit_before_run_is_remembered_once)
{
    attach();
    MUST(kin_main_quit());
    MUST(kin_main_run());
    MUST(on_main(quit_between_words, NULL));
    MUST(kin_main_run());
    CHECK_LOG("1 2");
    MUST(kin_main_detach());
}

static void *quit_waiting(UNUSED void *arg)
{
    await_blocked(main_tid);
    MUST(kin_main_quit());
    return NULL;
}

TEST(quit_from_a_thread_ends_a_run_that_waits)
{
    attach();
    pthread_t thread = start_thread(quit_waiting, NULL);
    MUST(kin_main_run());
    pthread_join(thread, NULL);
    MUST(kin_main_detach());
}

static void quit_on_signal(UNUSED int signal)
{
    kin_main_quit();
}

static void *signal_waiting(void *thread)
{
    await_blocked(main_tid);
    pthread_kill(*(pthread_t *)thread, SIGUSR1);
    return NULL;
}

TEST(quit_from_a_signal_handler_ends_a_run_that_waits)
{
    struct sigaction action = { .sa_handler = quit_on_signal };
    pthread_t self = pthread_self();

    attach();
    sigaction(SIGUSR1, &action, NULL);
    pthread_t thread = start_thread(signal_waiting, &self);
    MUST(kin_main_run());
    pthread_join(thread, NULL);
    MUST(kin_main_detach());
}

/* Quits when both the timer and the other thread have been heard. */
BODY(delay_10_then_open_gate)
{
    MUST(kin_delay(KIN_MS(10)));
    open_gate(gate);
    return 0;
}

static void *resume_waiting(UNUSED void *arg)
{
    await_blocked(main_tid);
    MUST(kin_resume(kept, 0));
    return NULL;
}

BODY(wait_for_both_then_quit)
{
    MUST(kin_suspend(keep, NULL));
    MUST(kin_await(gate, NULL));
    ev("quit");
    return kin_main_quit();
}

TEST(run_keeps_the_time_and_hears_other_threads)
{
    attach();
    gate = new_deferred(NULL);
    MUST(on_main(delay_10_then_open_gate, NULL));
    MUST(on_main(wait_for_both_then_quit, NULL));
    CHECK_EQ(kin_main_pump(0), 2);      /* one pass, however long it takes */
    pthread_t thread = start_thread(resume_waiting, NULL);
    MUST(kin_main_run());
    CHECK_LOG("quit");
    pthread_join(thread, NULL);
    kin_deferred_release(gate);
    MUST(kin_main_detach());
}

/* --- Detach with work left ------------------------------------------------ */

TEST(work_queued_at_detach_is_cancelled)
{
    KIN_AUTO(kin_job) j = NULL;

    attach();
    MUST(kin_launch(kin_global_scope(), say, "never", .job = &j,
                    .dispatcher = kin_main()));
    MUST(kin_main_detach());
    wait_for_job(j);
    CHECK_FLAGS(j, "011");
    CHECK_LOG("");
}

BODY(yield_then_clean_up)
{
    int err = kin_yield();

    CHECK_EQ(err, KIN_ECANCELED);
    CHECK(gettid() != main_tid);
    ev("finally");
    return err;
}

TEST(fiber_queued_at_detach_cleans_up_on_io)
{
    KIN_AUTO(kin_job) j = NULL;

    attach();
    MUST(on_main(say, "other"));
    MUST(kin_launch(kin_global_scope(), yield_then_clean_up, NULL, .job = &j,
                    .dispatcher = kin_main()));
    MUST(on_main(say, "other"));
    CHECK_EQ(kin_main_pump(0), 3);
    MUST(kin_main_detach());
    wait_for_job(j);
    CHECK_FLAGS(j, "011");
    CHECK_LOG("other other finally");
}

BODY(delay_then_clean_up)
{
    int err = kin_delay(KIN_MS(10));

    CHECK(gettid() != main_tid);
    ev("after");
    return err;
}

TEST(fiber_in_a_delay_at_detach_is_not_lost)
{
    KIN_AUTO(kin_job) j = NULL;

    attach();
    MUST(kin_launch(kin_global_scope(), delay_then_clean_up, NULL, .job = &j,
                    .dispatcher = kin_main()));
    CHECK_EQ(kin_main_pump(0), 1);
    MUST(kin_main_detach());
    wait_for_job(j);
    CHECK_FLAGS(j, "011");
    CHECK_LOG("after");
}

TEST(main_may_be_attached_again_and_elsewhere)
{
    attach();
    MUST(on_main(say, "1"));
    kin_main_pump(KIN_NEVER);
    MUST(kin_main_detach());
    CHECK(!kin_main_is_attached());
    attach();
    MUST(on_main(say, "2"));
    kin_main_pump(KIN_NEVER);
    MUST(kin_main_detach());
    CHECK_LOG("1 2");
}

TEST_MAIN
