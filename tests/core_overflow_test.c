/* Overflow: deep recursion, a frame and an alloca that jump over the guard are
 * told, with the name and the knob, on any thread, and the process then dies
 * as it would have; handlers installed before ours still get their turn. */
#include "core/memory.h"
#include "core/overflow.h"
#include "core/sanitize.h"
#include "core/stack.h"
#include "core/thread.h"
#include "kin/stack.h"
#include "tests/check.h"

#include <alloca.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOLD "kin: stack overflow: fiber \"greedy\", launched at here.c:12"

/* A function of a program that was not built as kin is. */
#ifdef __clang__
#define UNPROBED __attribute__((noinline))
#else
#define UNPROBED \
    __attribute__((noinline, optimize("no-stack-clash-protection")))
#endif

static volatile char sink;

static struct kin__stack *greedy;

static void describe(const struct kin__stack *stack, char *buffer,
                     size_t size)
{
    const char text[] = "fiber \"greedy\", launched at here.c:12";

    if (stack == greedy && size >= sizeof text)
        memcpy(buffer, text, sizeof text);
}

static const struct kin__stack *running(void)
{
    struct kin_fiber *fiber = kin__thread()->fiber;

    return fiber == &kin__thread()->native ? NULL : &fiber->stack;
}

/* --- Ways to overflow ------------------------------------------------- */

__attribute__((noinline)) static int recurse(int depth)
{
    volatile char frame[200];

    frame[depth % 200] = (char)depth;
    if (depth < 0)
        return 0;
    return recurse(depth + 1) + frame[depth % 200];
}

static void *deep_recursion(void *value)
{
    sink = (char)recurse(1);
    return value;
}

__attribute__((noinline)) static void big_frame(void)
{
    volatile char frame[1 << 20];

    frame[sink & 1] = 1;
    sink = frame[0];
}

static void *one_mebibyte(void *value)
{
    big_frame();
    return value;
}

/* The compiler probes each page, or we do. */
static void *alloca_too_much(void *value)
{
    intptr_t size = (intptr_t)value;
    volatile char *block = alloca((size_t)size);

    for (intptr_t i = size - 1; i >= 0; i -= 1000)
        block[i] = 1;
    sink = block[0];
    return value;
}

/* Jumps over its own guard and two stacks, into the guard of a third. */
UNPROBED static void *jump_into_a_guard(void *other)
{
    char *guard = (char *)((struct kin__stack *)other)->base - 512;
    char *here = __builtin_frame_address(0);
    volatile char *block = alloca((size_t)(here - guard));

    block[0] = 1;
    sink = block[0];
    return NULL;
}

/* --- Running them ----------------------------------------------------- */

static void run_fiber(kin_fiber_body *body, size_t size, void *value)
{
    kin_fiber *fiber;

    kin__overflow_describe = describe;
    kin__overflow_running = running;
    CHECK_EQ(kin__overflow_thread_enter(), 0);
    CHECK_EQ(kin_fiber_new(body, &fiber, .stack_size = size), 0);
    greedy = &fiber->stack;
    kin_fiber_resume(fiber, value, NULL);
}

static void by_recursion(void *unused)
{
    (void)unused;
    run_fiber(deep_recursion, 0, NULL);
}

static void by_recursion_on_16_kib(void *unused)
{
    (void)unused;
    run_fiber(deep_recursion, 16384, NULL);
}

static void by_big_frame(void *unused)
{
    (void)unused;
    run_fiber(one_mebibyte, 0, NULL);
}

static void by_alloca(void *unused)
{
    (void)unused;
    run_fiber(alloca_too_much, 0, (void *)200000);
}

static void by_big_alloca(void *unused)
{
    (void)unused;
    run_fiber(alloca_too_much, 0, (void *)(32 << 20));
}

static void by_jump(void *unused)
{
    kin_fiber *others[4];

    for (int i = 0; i < 4; i++)
        CHECK_EQ(kin_fiber_new(deep_recursion, &others[i]), 0);
    (void)unused;
    run_fiber(jump_into_a_guard, 0, others[1]);
}

static void *thread_body(void *unused)
{
    by_recursion(unused);
    return NULL;
}

static void on_a_thread(void *unused)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, thread_body, unused), 0);
    pthread_join(thread, NULL);
}

static void by_recursion_unknown(void *unused)
{
    kin_fiber *fiber;

    (void)unused;
    CHECK_EQ(kin__overflow_thread_enter(), 0);
    kin__overflow_running = NULL;
    CHECK_EQ(kin_fiber_new(deep_recursion, &fiber), 0);
    kin_fiber_resume(fiber, NULL, NULL);
}

static void check_told(void (*fn)(void *), const char *text)
{
    int status = check_dies(fn, NULL, text);

    /* A sanitizer's handler, which has its turn next, may exit instead. */
    if (!KIN__ASAN && !KIN__TSAN) {
        CHECK(WIFSIGNALED(status));
        CHECK_EQ(WTERMSIG(status), SIGSEGV);
    }
}

TEST(deep_recursion_is_told)
{
    check_told(by_recursion, TOLD);
}

TEST(the_stacks_size_and_the_knob_are_told)
{
    check_told(by_recursion, "stack of 64 KiB");
    check_told(by_recursion, ".stack_size = 131072");
    check_told(by_recursion, "most used on this stack before: ");
}

TEST(the_smallest_stack_is_told)
{
    check_told(by_recursion_on_16_kib, ".stack_size = 32768");
}

TEST(a_frame_of_1_mib_is_told)
{
    check_told(by_big_frame, TOLD);
}

TEST(an_alloca_is_told)
{
    check_told(by_alloca, TOLD);
}

TEST(an_alloca_of_32_mib_is_told)
{
    check_told(by_big_alloca, TOLD);
}

TEST(a_jump_into_the_guard_of_another_stack_is_told_of_its_own)
{
    check_told(by_jump, TOLD);
    check_told(by_jump, "stack of 64 KiB");
}

TEST(a_worker_thread_is_told)
{
    check_told(on_a_thread, TOLD);
}

TEST(without_names_it_is_told_nevertheless)
{
    check_told(by_recursion_unknown, "kin: stack overflow: a fiber\n");
}

static void by_recursion_mprotect(void *unused)
{
    kin__stack_force_guard(KIN__GUARD_MPROTECT);
    by_recursion(unused);
}

TEST(a_guard_by_mprotect_is_told)
{
    check_told(by_recursion_mprotect, TOLD);
}

/* --- What is not an overflow ------------------------------------------ */

static void *wild_access(void *value)
{
    *(volatile char *)value = 1;
    return NULL;
}

static void say_and_exit(int number)
{
    const char text[] = "former handler\n";

    (void)number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(2);
    _exit(3);
}

static void by_wild_access(void *unused)
{
    (void)unused;
    signal(SIGSEGV, say_and_exit);
    run_fiber(wild_access, 0, (void *)64);
}

TEST(a_wild_access_goes_to_the_former_handler)
{
    int status = check_dies(by_wild_access, NULL, "former handler");

    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 3);
}

static void by_sent_signal(void *unused)
{
    (void)unused;
    run_fiber(wild_access, 0, (void *)&sink);
    raise(SIGSEGV);
    pause();
}

TEST(a_signal_that_was_sent_kills)
{
    check_told(by_sent_signal, "");
}

/* --- Handing on ------------------------------------------------------- */

static sigjmp_buf back;

static void jump_back(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (number == SIGSEGV && info->si_addr)
        siglongjmp(back, 1);
}

static void recurse_with_former(void *unused)
{
    signal(SIGSEGV, say_and_exit);
    by_recursion(unused);
}

TEST(a_plain_former_handler_runs_after_the_report)
{
    int status = check_dies(recurse_with_former, NULL, "\nformer handler");

    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 3);
}

static void recurse_ignored(void *unused)
{
    signal(SIGSEGV, SIG_IGN);
    by_recursion(unused);
}

TEST(an_ignored_signal_kills_as_the_kernel_would)
{
    check_told(recurse_ignored, TOLD);
}

static void recurse_and_jump(void *unused)
{
    if (sigsetjmp(back, 1) == 0)
        by_recursion(unused);
    kin__thread()->fiber = &kin__thread()->native;
}

static void recurse_three_times(void *unused)
{
    struct sigaction action = { .sa_flags = SA_SIGINFO };

    action.sa_sigaction = jump_back;
    sigaction(SIGSEGV, &action, NULL);
    for (int i = 0; i < 3; i++)
        recurse_and_jump(unused);
}

TEST(a_former_handler_may_jump_out_again_and_again)
{
    if (KIN__ASAN || KIN__TSAN)
        SKIP("sanitizers do not follow a jump off a fiber");
    check_says(recurse_three_times, NULL, TOLD);
}

static bool is_former(void)
{
    struct sigaction now;

    CHECK_EQ(sigaction(SIGSEGV, NULL, &now), 0);
    return now.sa_handler == say_and_exit;
}

TEST(the_report_can_be_refused)
{
    kin_fiber *fiber;

    signal(SIGSEGV, say_and_exit);
    kin_stack_report_overflow(false);
    CHECK_EQ(kin_fiber_new(wild_access, &fiber), 0);
    CHECK(is_former());
    kin_stack_report_overflow(true);
    CHECK(!is_former());
    kin_stack_report_overflow(true);
    kin_stack_report_overflow(false);
    CHECK(is_former());
    kin_fiber_destroy(fiber);
}

/* --- Alternate stacks ------------------------------------------------- */

TEST(an_alternate_stack_is_put_back)
{
    struct kin__memory_stats before, after;
    stack_t was, is;

    CHECK_EQ(sigaltstack(NULL, &was), 0);
    kin__memory_get_stats(&before);
    CHECK_EQ(kin__overflow_thread_enter(), 0);
    CHECK_EQ(kin__overflow_thread_enter(), 0);
    CHECK_EQ(sigaltstack(NULL, &is), 0);
    CHECK(!(is.ss_flags & SS_DISABLE));
    kin__overflow_thread_leave();
    kin__overflow_thread_leave();
    CHECK_EQ(sigaltstack(NULL, &is), 0);
    CHECK_EQ(is.ss_flags, was.ss_flags);
    kin__memory_get_stats(&after);
    CHECK_EQ(after.bytes_mapped, before.bytes_mapped);
}

TEST(a_big_alternate_stack_of_the_programs_is_kept)
{
    stack_t mine = { .ss_sp = malloc(1 << 16), .ss_size = 1 << 16 };
    stack_t is;

    CHECK_EQ(sigaltstack(&mine, NULL), 0);
    CHECK_EQ(kin__overflow_thread_enter(), 0);
    CHECK_EQ(sigaltstack(NULL, &is), 0);
    CHECK(is.ss_sp == mine.ss_sp);
    kin__overflow_thread_leave();
    CHECK_EQ(sigaltstack(NULL, &is), 0);
    CHECK(is.ss_sp == mine.ss_sp);
    is.ss_flags = SS_DISABLE;
    CHECK_EQ(sigaltstack(&is, NULL), 0);
    free(mine.ss_sp);
}

TEST(a_refused_alternate_stack_is_told)
{
    stack_t off = { .ss_flags = SS_DISABLE };

    CHECK_EQ(sigaltstack(&off, NULL), 0);
    kin__fail_at(1, true);
    CHECK_EQ(kin__overflow_thread_enter(), KIN_ENOMEM);
    kin__fail_at(2, true);
    CHECK_EQ(kin__overflow_thread_enter(), 0);
    kin__overflow_thread_leave();
    CHECK_EQ(kin__overflow_thread_enter(), 0);
    kin__fail_at(0, false);
    kin__overflow_thread_leave();
}

/* --- The smallest stack ----------------------------------------------- */

static volatile sig_atomic_t signals_seen;

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    signals_seen += number == SIGUSR1;
}

static void *print_and_get_a_signal(void *out)
{
    volatile double number = 1.0 / 3;
    char text[400];

    raise(SIGUSR1);
    snprintf(text, sizeof text, "%s %.17g %Lf", "x", number,
             (long double)number);
    raise(SIGUSR1);
    fprintf(out, "%s\n", text);
    raise(SIGUSR1);
    return NULL;
}

TEST(the_smallest_stack_holds_printf_and_a_signal)
{
    struct sigaction action = { .sa_flags = SA_SIGINFO };
    FILE *out = fopen("/dev/null", "w");
    kin_fiber *fiber;

    if (KIN__ASAN || KIN__TSAN)
        SKIP("their frames are bigger");
    action.sa_sigaction = on_signal;
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_EQ(kin_fiber_new(print_and_get_a_signal, &fiber,
                           .stack_size = 4096), 0);
    CHECK_EQ(kin_fiber_resume(fiber, out, NULL), 0);
    CHECK(kin_fiber_is_done(fiber));
    CHECK_EQ(signals_seen, 3);
    fclose(out);
    kin_fiber_destroy(fiber);
}

TEST_MAIN
