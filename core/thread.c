/* thread.c -- the one thread-local of kin.
 *
 * Never built with link-time optimisation: an inlined accessor would let the
 * compiler keep the address of one thread's variable across a switch that ends
 * on another. */
#include "core/thread.h"

#include "core/overflow.h"
#include "core/record.h"
#include "core/run.h"
#include "core/sanitize.h"

#include <pthread.h>

static _Thread_local struct kin__thread this_thread;

static pthread_key_t exit_key;
static pthread_once_t entered_once = PTHREAD_ONCE_INIT;

static void thread_exit(void *arg)
{
    struct kin__thread *thread = arg;

    kin__run_thread_exit(thread);
    kin__record_thread_exit(thread);
    kin__stack_cache_drain(&thread->stacks);
    kin__overflow_thread_leave();
    kin_error_release(thread->error);
    thread->error = NULL;
    thread->entered = false;
}

static void make_exit_key(void)
{
    if (pthread_key_create(&exit_key, thread_exit) != 0)
        exit_key = (pthread_key_t)-1;       /* caches then leak at exit */
}

/* Both may be called on a thread that never ran a fiber, and the second in a
 * signal handler: they look, and set up nothing. */
static struct kin__stack_cache *cache_here(void)
{
    return this_thread.entered ? &this_thread.stacks : NULL;
}

static const struct kin__stack *stack_running(void)
{
    struct kin_fiber *fiber = this_thread.fiber;

    return fiber && fiber != &this_thread.native ? &fiber->stack : NULL;
}

static void once(void)
{
    make_exit_key();
    kin__stack_cache_here = cache_here;
    kin__overflow_running = stack_running;
    if (!kin__overflow_describe)
        kin__overflow_describe = kin__run_describe;
}

static __attribute__((noinline, cold)) void enter(struct kin__thread *thread)
{
    thread->entered = true;
    thread->fiber = &thread->native;
#if KIN__TSAN
    thread->native.tsan = __tsan_get_current_fiber();
#endif
    pthread_once(&entered_once, once);
    if (exit_key != (pthread_key_t)-1)
        pthread_setspecific(exit_key, thread);
}

__attribute__((noinline)) struct kin__thread *kin__thread(void)
{
    struct kin__thread *thread = &this_thread;

    if (__builtin_expect(!thread->entered, 0))
        enter(thread);
    __asm__ volatile("" : "+r"(thread) : : "memory");
    return thread;
}

void kin__no_suspend_begin(void)
{
    kin__thread()->no_suspend++;
}

void kin__no_suspend_end(void)
{
    kin__thread()->no_suspend--;
}
