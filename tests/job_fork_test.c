/* fork in a program that runs kin: the child may exec.  Any other use of kin in
 * it is refused with a report, or, where a fiber goes on, ends it with one; and
 * the parent never notices.  Before kin ran, and after a run without threads,
 * the child may run kin. */
#include "tests/job_helpers.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/words.h"

/* How a child ended that did fn. */
static int child_does(void (*fn)(void))
{
    int status = 0;
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        struct rlimit no_core = { 0, 0 };

        setrlimit(RLIMIT_CORE, &no_core);
        alarm((unsigned)check_slow(10));
        fn();
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static void exec_true(void)
{
    execlp("true", "true", (char *)NULL);
    _exit(99);
}

BODY(use_workers)
{
    MUST(kin_with_context(do_nothing, NULL, .dispatcher = kin_default()));
    return 0;
}

BODY(fork_and_exec)
{
    CHECK_EQ(child_does(exec_true), 0);
    MUST(kin_yield());
    MUST(kin_with_context(do_nothing, NULL, .dispatcher = kin_io()));
    CHECK_EQ(child_does(exec_true), 0);
    return 0;
}

BODY(fork_on_each)
{
    MUST(kin_launch(scope, fork_and_exec, NULL));
    MUST(kin_launch(scope, fork_and_exec, NULL, .dispatcher = kin_default()));
    MUST(kin_launch(scope, fork_and_exec, NULL, .dispatcher = kin_io()));
    return 0;
}

TEST(a_child_of_any_fiber_may_exec)
{
    RUN(fork_on_each);
    CHECK_EQ(child_does(exec_true), 0);
}

/* --- Other use ------------------------------------------------------------ */

static void run_blocking(void)
{
    CHECK_EQ(kin_run_blocking(do_nothing, NULL), KIN_EPERM);
}

static void launch(void)
{
    CHECK_EQ(kin_launch(kin_global_scope(), do_nothing, NULL), KIN_EPERM);
}

static void launch_on_io(void)
{
    CHECK_EQ(kin_launch(kin_global_scope(), do_nothing, NULL,
                        .dispatcher = kin_io()), KIN_EPERM);
}

static void attach(void)
{
    CHECK_EQ(kin_main_attach(), KIN_EPERM);
}

static void new_fiber(void)
{
    kin_fiber *fiber = NULL;

    CHECK_EQ(kin_fiber_new(NULL, &fiber), KIN_EPERM);
}

static void new_pool(void)
{
    kin_dispatcher *pool = NULL;

    CHECK_EQ(kin_fixed_pool(2, "pool", &pool), KIN_EPERM);
}

static void (*const uses[])(void) = {
    run_blocking, launch, launch_on_io, attach, new_fiber, new_pool
};

static void child_is_refused(void *fn)
{
    CHECK_EQ(child_does(*(void (*const *)(void))fn), 0);
}

static bool is_death(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void child_dies(void *fn)
{
    CHECK(is_death(child_does(*(void (*const *)(void))fn)));
}

static void use_in_a_child(void)
{
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++)
        check_says(MISUSE_ABORTS ? child_dies : child_is_refused,
                   (void *)(uintptr_t)&uses[i],
                   "it may only exec");
}

TEST(a_child_of_a_program_with_workers_is_refused_any_use)
{
    RUN(use_workers);
    use_in_a_child();
}

static kin_dispatcher *old_pool;

static void launch_on_the_pool(void)
{
    CHECK_EQ(kin_launch(kin_global_scope(), do_nothing, NULL,
                        .dispatcher = old_pool), KIN_EPERM);
}

TEST(a_pool_of_the_parent_is_refused_to_the_child)
{
    static void (*const use)(void) = launch_on_the_pool;

    MUST(kin_fixed_pool(1, "old", &old_pool));
    check_says(MISUSE_ABORTS ? child_dies : child_is_refused,
               (void *)(uintptr_t)&use, "it may only exec");
    MUST(kin_dispatcher_close(old_pool));
    kin_dispatcher_release(old_pool);
}

KIN_UNCHECKED
static void suspend(void)
{
    CHECK_EQ(kin_yield(), KIN_EPERM);
    CHECK_EQ(kin_delay(KIN_MS(1)), KIN_EPERM);
}

BODY(suspend_in_the_child)
{
    CHECK(MISUSE_ABORTS ? is_death(child_does(suspend))
                        : child_does(suspend) == 0);
    return 0;
}

static void run_suspend_in_the_child(void *unused)
{
    (void)unused;
    RUN(suspend_in_the_child);
}

TEST(a_fiber_may_not_suspend_in_the_child)
{
    check_says(run_suspend_in_the_child, NULL, "it may only exec");
}

/* --- A fiber that goes on ------------------------------------------------- */

BODY(fork_and_go_on)
{
    int status = 0;
    struct rlimit no_core = { 0, 0 };
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        return 0;                           /* as if nothing had happened */
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(is_death(status));
    ev("parent");
    return 0;
}

BODY(say_next)
{
    ev("next");
    return 0;
}

BODY(fork_before_another)
{
    MUST(kin_launch(scope, fork_and_go_on, NULL, .dispatcher = arg));
    MUST(kin_launch(scope, say_next, NULL));
    return 0;
}

static void go_on_in_the_child(void *dispatcher)
{
    CHECK_EQ(kin_run_blocking(fork_before_another, dispatcher), 0);
}

TEST(a_fiber_that_goes_on_in_the_child_ends_it)
{
    check_says(go_on_in_the_child, NULL,
               "a fiber went on in the child of a fork");
    check_says(go_on_in_the_child, kin_default(),
               "a fiber went on in the child of a fork");
}

/* --- Where it is allowed -------------------------------------------------- */

static void run_kin(void)
{
    RUN(use_workers);
}

TEST(a_child_made_before_kin_ran_may_run_it)
{
    CHECK_EQ(child_does(run_kin), 0);
}

TEST(a_child_made_after_a_run_without_threads_may_run_it)
{
    RUN(say_next);
    CHECK_EQ(child_does(run_kin), 0);
    RUN(use_workers);
}

TEST_MAIN
