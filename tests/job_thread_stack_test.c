/* Code that needs a big stack, or the one the system knows of: 512 KiB deep
 * from a fiber of 16 KiB, on every dispatcher, and in it what Android's runtime
 * asks at each call into Java: does the stack pointer lie in the stack that
 * pthread_getattr_np() says this thread has? */
#include "tests/main_host.h"

enum { FRAME = 4096, DEPTH = 128 };

/* Whether the frame lies in the stack that the system gave the thread. */
static bool is_on_thread_stack(const char *frame)
{
    pthread_attr_t attributes;
    void *start;
    size_t size;

    MUST(pthread_getattr_np(pthread_self(), &attributes));
    MUST(pthread_attr_getstack(&attributes, &start, &size));
    MUST(pthread_attr_destroy(&attributes));
    return frame >= (char *)start && frame < (char *)start + size;
}

struct deep {
    int depth;
    const char *highest, *lowest;
    pid_t thread;
    bool was_outside;
};

__attribute__((noinline)) static void go_deep(void *arg)
{
    struct deep *deep = arg;
    volatile char frame[FRAME];

    frame[0] = frame[FRAME - 1] = 1;
    __asm__ volatile("" : : "r"(frame) : "memory");
    deep->lowest = __builtin_frame_address(0);
    if (!deep->highest)
        deep->highest = deep->lowest;
    if (!is_on_thread_stack(deep->lowest))
        deep->was_outside = true;
    deep->thread = gettid();
    if (++deep->depth < DEPTH)
        go_deep(deep);
    /* The frame is needed still: else clang makes a loop of this. */
    __asm__ volatile("" : : "r"(frame) : "memory");
}

static void check_deep(void)
{
    struct deep deep = { 0 };
    pid_t thread = gettid();

    CHECK(!is_on_thread_stack(__builtin_frame_address(0)));
    kin_call_on_thread_stack(go_deep, &deep);
    CHECK_EQ(deep.depth, DEPTH);
    CHECK(deep.highest - deep.lowest >= (DEPTH - 1) * FRAME);
    CHECK(!deep.was_outside);
    CHECK_EQ(deep.thread, thread);
    CHECK(!is_on_thread_stack(__builtin_frame_address(0)));
}

/* Before it has ever parked, and after. */
BODY(go_deep_twice)
{
    check_deep();
    KIN_TRY(kin_yield());
    check_deep();
    KIN_TRY(kin_delay(KIN_MS(1)));
    check_deep();
    ev("deep");
    return 0;
}

BODY(launch_deep_ones)
{
    for (int i = 0; i < 3; i++)
        KIN_TRY(kin_launch(scope, go_deep_twice, NULL, .stack_size = 16384,
                           .dispatcher = arg));
    return 0;
}

static void check_on(kin_dispatcher *dispatcher)
{
    CHECK_EQ(kin_run_blocking(launch_deep_ones, dispatcher), 0);
    CHECK_LOG("deep deep deep");
}

TEST(thread_s_stack_on_an_event_loop)
{
    check_on(NULL);
}

TEST(thread_s_stack_on_default)
{
    check_on(kin_default());
}

TEST(thread_s_stack_on_io)
{
    check_on(kin_io());
}

TEST(thread_s_stack_unconfined)
{
    check_on(kin_unconfined());
}

TEST(thread_s_stack_on_a_pool)
{
    kin_dispatcher *pool = NULL;

    MUST(kin_fixed_pool(2, "pool", &pool));
    check_on(pool);
    kin_dispatcher_close(pool);
    kin_dispatcher_release(pool);
}

TEST(thread_s_stack_on_a_limited_view)
{
    kin_dispatcher *view = NULL;

    MUST(kin_limited_parallelism(kin_io(), 1, "view", &view));
    check_on(view);
    kin_dispatcher_release(view);
}

TEST(thread_s_stack_on_main)
{
    KIN_AUTO(kin_job) job = NULL;

    attach();
    MUST(kin_launch(kin_global_scope(), launch_deep_ones, NULL, .job = &job,
                    .dispatcher = kin_main()));
    pump_until(job);
    CHECK_LOG("deep deep deep");
    MUST(kin_main_detach());
}

/* A loop in a fiber: the thread's stack is in use below it. */
BODY(run_a_loop_inside)
{
    check_deep();
    return kin_run_blocking(go_deep_twice, NULL);
}

TEST(thread_s_stack_in_a_loop_inside_a_fiber)
{
    CHECK_EQ(kin_run_blocking(run_a_loop_inside, NULL), 0);
    CHECK_LOG("deep");
}

TEST_MAIN
