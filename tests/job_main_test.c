/* job_main_test.c -- Main and Main.immediate on the test's own thread: S213 to
 * S223, and what the host sees of them: the pump and its budget, the
 * descriptor, the deadline, run and quit, detach with work left.
 *
 * The test is the host: it attaches, launches roots from outside of any fiber
 * or from inside one, and pumps when the scenario says so. */
#include "tests/words.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

static kin_deferred *gate;
static kin_continuation kept;
static pid_t main_tid;

static void attach(void)
{
    main_tid = gettid();
    MUST(kin_main_attach());
}

static int on_main(kin_body *body, void *arg)
{
    return kin_launch(kin_global_scope(), body, arg,
                      .dispatcher = kin_main(), .handler = log_failure);
}

static int on_immediate(kin_body *body, void *arg)
{
    return kin_launch(kin_global_scope(), body, arg,
                      .dispatcher = kin_main_immediate(),
                      .handler = log_failure);
}

/* Waits as a host's loop does: for the descriptor, until the deadline. */
static bool is_readable(int timeout_ms)
{
    struct pollfd fd = { .fd = kin_main_fd(), .events = POLLIN };
    return poll(&fd, 1, timeout_ms) == 1;
}

static void wait_and_pump(void)
{
    int64_t deadline = kin_main_deadline(), now = kin_now();
    int timeout = -1;

    if (deadline <= now)
        timeout = 0;
    else if (deadline != KIN_NEVER)
        timeout = (int)((deadline - now) / KIN_MS(1)) + 1;
    is_readable(timeout);
    kin_main_pump(KIN_NEVER);
}

static void pump_until(kin_job *job)
{
    while (!kin_job_is_completed(job))
        wait_and_pump();
}

/* --- Order -------------------------------------------------------------- */

/* S213 */
BODY(launch_2_say_1)
{
    kin_launch(scope, say, "2");
    ev("1");
    return 0;
}

TEST(main_always_posts)
{
    attach();
    MUST(on_main(say, "2"));
    ev("1");
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
    CHECK_LOG("1 2");
    log_clear();

    MUST(on_main(launch_2_say_1, NULL));
    CHECK_EQ(kin_main_pump(KIN_NEVER), 2);
    CHECK_LOG("1 2");
    MUST(kin_main_detach());
}

/* S214 */
TEST(immediate_runs_in_place_on_main)
{
    attach();
    MUST(on_immediate(say, "1"));
    ev("2");
    CHECK_LOG("1 2");
    CHECK_EQ(kin_main_pump(KIN_NEVER), 0);
    MUST(kin_main_detach());
}

BODY(launch_immediate_1_say_2)
{
    kin_launch(scope, say, "1", .dispatcher = kin_main_immediate());
    ev("2");
    return 0;
}

TEST(immediate_runs_in_place_inside_a_slice_of_main)
{
    attach();
    MUST(on_main(launch_immediate_1_say_2, NULL));
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
    CHECK_LOG("1 2");
    MUST(kin_main_detach());
}

/* S215 */
BODY(say_1_launch_3_say_2)
{
    ev("1");
    kin_launch(scope, say, "3");
    ev("2");
    return 0;
}

TEST(immediate_inside_immediate_comes_after_that_slice)
{
    attach();
    MUST(on_immediate(say_1_launch_3_say_2, NULL));
    ev("4");
    CHECK_LOG("1 2 3 4");
    MUST(kin_main_detach());
}

/* S216 */
BODY(say_1_immediate_2_say_3)
{
    ev("1");
    MUST(kin_with_context(say, "2", .dispatcher = kin_main_immediate()));
    ev("3");
    return 0;
}

TEST(with_context_of_immediate_inside_immediate_does_not_dispatch)
{
    attach();
    MUST(on_immediate(say_1_immediate_2_say_3, NULL));
    ev("4");
    CHECK_LOG("1 2 3 4");
    CHECK_EQ(kin_main_pump(KIN_NEVER), 0);
    MUST(kin_main_detach());
}

/* S217 */
BODY(say_1_main_3_say_4)
{
    ev("1");
    MUST(kin_with_context(say, "3", .dispatcher = kin_main()));
    ev("4");
    return 0;
}

TEST(with_context_of_main_inside_immediate_posts_once_and_returns_in_place)
{
    attach();
    MUST(on_immediate(say_1_main_3_say_4, NULL));
    ev("2");
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
    CHECK_LOG("1 2 3 4");
    MUST(kin_main_detach());
}

/* S218 */
static void *launch_immediate(UNUSED void *arg)
{
    MUST(on_immediate(say, "2"));
    return NULL;
}

TEST(immediate_is_posted_from_another_thread)
{
    attach();
    pthread_join(start_thread(launch_immediate, NULL), NULL);
    ev("1");
    CHECK(is_readable(0));
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
    CHECK_LOG("1 2");
    MUST(kin_main_detach());
}

/* S219 */
BODY(await_gate_then_say)
{
    KIN_TRY(kin_await(gate, NULL));
    ev(arg);
    return 0;
}

TEST(immediate_continues_inside_what_resumes_it)
{
    attach();
    gate = new_deferred(NULL);
    MUST(on_immediate(await_gate_then_say, "1"));
    open_gate(gate);
    ev("2");
    CHECK_LOG("1 2");
    kin_deferred_release(gate);
    MUST(kin_main_detach());
}

/* S220 */
BODY(open_gate_say_1)
{
    open_gate(gate);
    ev("1");
    return 0;
}

TEST(immediate_resumed_inside_an_immediate_slice_continues_after_it)
{
    attach();
    gate = new_deferred(NULL);
    MUST(on_immediate(await_gate_then_say, "2"));
    MUST(on_immediate(open_gate_say_1, NULL));
    CHECK_LOG("1 2");
    kin_deferred_release(gate);
    MUST(kin_main_detach());
}

/* S221 */
static int log_code(UNUSED kin_job *job, kin_error *error, UNUSED void *arg)
{
    ev(kin_error_name(kin_error_code(error)));
    return 0;
}

TEST(main_that_is_not_there_may_be_named_and_not_used)
{
    KIN_AUTO(kin_scope) scope = NULL;
    KIN_AUTO(kin_job) j = NULL;

    CHECK(!kin_main_is_attached());
    CHECK(!kin_main_is_current());
    CHECK_STR(kin_dispatcher_name(kin_main()), "Main");
    MUST(kin_main_scope(&scope));
    CHECK_FLAGS(kin_scope_job(scope), "100");
    CHECK_EQ(kin_launch(scope, say, "never", .job = &j, .handler = log_code),
             KIN_ENOMAIN);
    CHECK_LOG("KIN_ENOMAIN");
    CHECK_FLAGS(j, "011");
    CHECK_FLAGS(kin_scope_job(scope), "100");
}

/* S222 */
static int keep(kin_continuation continuation, UNUSED void *arg)
{
    kept = continuation;
    return 0;
}

BODY(park_then_clean_up)
{
    CHECK_EQ(gettid(), main_tid);
    int result = kin_suspend_cancellable(keep, NULL);

    CHECK_EQ(result, KIN_ECANCELED);
    CHECK(gettid() != main_tid);
    CHECK_FLAGS(kin_scope_job(scope), "001");
    ev("finally");
    return result;
}

TEST(resume_after_detach_cancels_the_job_and_cleans_up_on_io)
{
    KIN_AUTO(kin_job) j = NULL;

    attach();
    MUST(kin_launch(kin_global_scope(), park_then_clean_up, NULL, .job = &j,
                    .dispatcher = kin_main()));
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
    MUST(kin_main_detach());
    CHECK_FLAGS(j, "100");
    kin_resume(kept, 5);
    wait_for_job(j);
    CHECK_FLAGS(j, "011");
    CHECK_LOG("finally");
}

/* S223 */
TEST(view_of_main_is_main)
{
    KIN_AUTO(kin_dispatcher) one = NULL;
    KIN_AUTO(kin_dispatcher) many = NULL;

    MUST(kin_limited_parallelism(kin_main(), 1, NULL, &one));
    CHECK_PTR(one, kin_main());
    MUST(kin_limited_parallelism(kin_main_immediate(), 3, "v", &many));
    CHECK_PTR(many, kin_main_immediate());
}

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
    CHECK(kin_main_pump(KIN_MS(2)) >= 2);
    CHECK_LOG("1");
    kin_job_cancel(j, NULL);
    kin_main_pump(KIN_NEVER);
    CHECK_FLAGS(j, "011");
    MUST(kin_main_detach());
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

static void *post_after_5_ms(UNUSED void *arg)
{
    block_ms(5);
    MUST(on_main(say, "1"));
    return NULL;
}

TEST(descriptor_wakes_a_host_that_waits)
{
    attach();
    pthread_t thread = start_thread(post_after_5_ms, NULL);
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
    attach();
    int64_t before = kin_now();
    MUST(on_main(delay_10_then_say, "1"));
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
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

static void *quit_after_5_ms(UNUSED void *arg)
{
    block_ms(5);
    MUST(kin_main_quit());
    return NULL;
}

TEST(quit_from_a_thread_ends_a_run_that_waits)
{
    attach();
    pthread_t thread = start_thread(quit_after_5_ms, NULL);
    MUST(kin_main_run());
    pthread_join(thread, NULL);
    MUST(kin_main_detach());
}

static void quit_on_signal(UNUSED int signal)
{
    kin_main_quit();
}

static void *signal_after_5_ms(void *thread)
{
    block_ms(5);
    pthread_kill(*(pthread_t *)thread, SIGUSR1);
    return NULL;
}

TEST(quit_from_a_signal_handler_ends_a_run_that_waits)
{
    struct sigaction action = { .sa_handler = quit_on_signal };
    pthread_t self = pthread_self();

    attach();
    sigaction(SIGUSR1, &action, NULL);
    pthread_t thread = start_thread(signal_after_5_ms, &self);
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

static void *resume_after_5_ms(UNUSED void *arg)
{
    block_ms(5);
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
    CHECK_EQ(kin_main_pump(KIN_NEVER), 2);
    pthread_t thread = start_thread(resume_after_5_ms, NULL);
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
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
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

/* --- Errors --------------------------------------------------------------- */

static void *attach_is_refused(UNUSED void *arg)
{
    CHECK(kin_main_is_attached());
    CHECK(!kin_main_is_current());
    CHECK_EQ(kin_main_attach(), KIN_EALREADY);
    return NULL;
}

TEST(main_is_one_thread)
{
    attach();
    CHECK(kin_main_is_attached());
    CHECK(kin_main_is_current());
    CHECK_EQ(kin_main_attach(), KIN_EALREADY);
    pthread_join(start_thread(attach_is_refused, NULL), NULL);
    MUST(kin_main_detach());
}

static void *use_from_elsewhere(UNUSED void *arg)
{
    CHECK_EQ(kin_main_pump(0), KIN_EPERM);
    CHECK_EQ(kin_main_run(), KIN_EPERM);
    CHECK_EQ(kin_main_detach(), KIN_EPERM);
    return NULL;
}

static void pump_from_another_thread(UNUSED void *arg)
{
    attach();
    pthread_join(start_thread(use_from_elsewhere, NULL), NULL);
    MUST(kin_main_detach());
}

TEST(pump_run_and_detach_from_another_thread_are_not_allowed)
{
    check_misuse(pump_from_another_thread, "another thread is Main");
}

static void use_without_main(UNUSED void *arg)
{
    CHECK_EQ(kin_main_fd(), KIN_ENOMAIN);
    CHECK_EQ(kin_main_quit(), KIN_ENOMAIN);
    CHECK_EQ(kin_main_pump(0), KIN_ENOMAIN);
    CHECK_EQ(kin_main_run(), KIN_ENOMAIN);
    CHECK_EQ(kin_main_detach(), KIN_ENOMAIN);
}

TEST(pump_run_and_detach_need_an_attached_thread)
{
    check_misuse(use_without_main, "kin_main_attach");
}

BODY(pump_inside_the_pump)
{
    CHECK_EQ(kin_main_pump(0), KIN_EBUSY);
    CHECK_EQ(kin_main_run(), KIN_EBUSY);
    CHECK_EQ(kin_main_detach(), KIN_EBUSY);
    ev("1");
    return 0;
}

static void use_inside_the_pump(UNUSED void *arg)
{
    attach();
    MUST(on_main(pump_inside_the_pump, NULL));
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
    CHECK_LOG("1");
    log_clear();
    MUST(kin_main_detach());
}

TEST(pump_run_and_detach_inside_the_pump_are_busy)
{
    check_misuse(use_inside_the_pump, "inside the pump");
}

/* --- The main scope -------------------------------------------------------- */

BODY(say_where)
{
    CHECK(kin_main_is_current());
    CHECK_PTR(kin_current_element(&kin_key_dispatcher), kin_main());
    ev(arg);
    return 0;
}

TEST(main_scope_supervises_on_main)
{
    KIN_AUTO(kin_scope) scope = NULL;

    attach();
    MUST(kin_main_scope(&scope));
    kin_launch(scope, throw_error, E, .handler = log_failure);
    kin_launch(scope, say_where, "1");
    kin_main_pump(KIN_NEVER);
    CHECK_LOG("H(E) 1");
    CHECK(kin_scope_is_active(scope));
    MUST(kin_scope_cancel(scope, NULL));
    MUST(kin_launch(scope, say_where, "never"));
    kin_main_pump(KIN_NEVER);
    CHECK_LOG("H(E) 1");
    MUST(kin_main_detach());
}

TEST_MAIN
