/* job_main_test.c -- Main and Main.immediate: in which order they run, S213 to
 * S223, who may use them, and the scope on Main.
 *
 * The test is the host: it launches roots from outside of any fiber or from
 * inside one, and pumps when the scenario says so.  The pump itself is
 * job_main_host_test.c. */
#include "tests/main_host.h"

static kin_deferred *gate;

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

/* --- The main scope ----------------------------------------------------- */

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
