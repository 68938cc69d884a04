/* thread.c -- the thread-locals of kin: a thread's record, and a word that says
 * where it is.
 *
 * Never built with link-time optimisation: an inlined accessor would let the
 * compiler keep the address of one thread's variable across a switch that ends
 * on another.
 *
 * The word lies in the static block (the initial-exec model), of which the C
 * library keeps some for libraries that are loaded later; the record would be
 * too big for it.
 *
 * A library that was loaded later gets its thread-locals from malloc, on the
 * first access of each thread, which a signal handler must not do.  So whoever
 * only looks asks for the value of a key, which is set when a thread enters.
 *
 * Android's compilers emulate thread-locals before level 29, with a lock and a
 * search; from there on they cost a loaded library a call, too.  There the key
 * is all there is (KIN__THREAD_KEY), and the record is got from malloc: outside
 * core/memory.h, since a thread without its record cannot even report that.
 */
#include "core/thread.h"

#include "core/fork.h"
#include "core/overflow.h"
#include "core/record.h"
#include "core/run.h"
#include "core/sanitize.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define NO_KEY ((pthread_key_t)-1)

static pthread_key_t key = NO_KEY;
static pthread_once_t entered_once = PTHREAD_ONCE_INIT;

/* The calling thread's record, if it has entered; sets up nothing. */
static struct kin__thread *look(void)
{
    return key == NO_KEY ? NULL : pthread_getspecific(key);
}

#if KIN__THREAD_KEY
static struct kin__thread *here(void)
{
    return look();
}

static struct kin__thread *make(void)
{
    struct kin__thread *thread = calloc(1, sizeof *thread);

    if (!thread || pthread_setspecific(key, thread) != 0) {
        fprintf(stderr, "kin: no memory, or no key, for a thread's record\n");
        abort();
    }
    return thread;
}

static void drop(struct kin__thread *thread)
{
    pthread_setspecific(key, NULL);
    free(thread);
}
#else
static _Thread_local struct kin__thread this_thread;

#if KIN__THREAD_WORD
/* Read by kin__thread(), which is in assembly. */
extern _Thread_local struct kin__thread *kin__thread_word;
__attribute__((tls_model("initial-exec"), used))
_Thread_local struct kin__thread *kin__thread_word;

static void set_word(struct kin__thread *thread)
{
    kin__thread_word = thread;
}
#else
static void set_word(struct kin__thread *thread)
{
    (void)thread;
}

static struct kin__thread *here(void)
{
    return &this_thread;
}
#endif

static struct kin__thread *make(void)
{
    if (key != NO_KEY)
        pthread_setspecific(key, &this_thread);
    set_word(&this_thread);
    return &this_thread;
}

static void drop(struct kin__thread *thread)
{
    pthread_setspecific(key, NULL);
    thread->entered = false;
    set_word(NULL);
}
#endif

/* Other destructors may enter again after this one. */
static void thread_exit(void *arg)
{
    struct kin__thread *thread = arg;

    pthread_setspecific(key, thread);   /* what follows looks, too */
    kin__run_thread_exit(thread);
    kin__record_thread_exit(thread);
    kin__stack_cache_drain(&thread->stacks);
    kin__overflow_thread_leave();
    kin_error_release(thread->error);
    thread->error = NULL;
    drop(thread);
}

static struct kin__stack_cache *cache_here(void)
{
    struct kin__thread *thread = look();

    return thread ? &thread->stacks : NULL;
}

/* Also in a signal handler, on a thread that may never have run a fiber. */
static const struct kin__stack *stack_running(void)
{
    struct kin__thread *thread = look();
    struct kin_fiber *fiber = thread ? thread->fiber : NULL;

    return fiber && fiber != &thread->native ? &fiber->stack : NULL;
}

static void once(void)
{
    if (pthread_key_create(&key, thread_exit) != 0)
        key = NO_KEY;                       /* caches then leak at exit */
    kin__fork_watch();
    kin__stack_cache_here = cache_here;
    kin__overflow_running = stack_running;
    if (!kin__overflow_describe)
        kin__overflow_describe = kin__run_describe;
}

__attribute__((noinline, cold)) struct kin__thread *kin__thread_enter(void)
{
    struct kin__thread *thread;

    pthread_once(&entered_once, once);
    thread = make();
    thread->entered = true;
    thread->fiber = &thread->native;
#if KIN__TSAN
    thread->native.tsan = __tsan_get_current_fiber();
#endif
    return thread;
}

#if !KIN__THREAD_WORD
__attribute__((noinline)) struct kin__thread *kin__thread(void)
{
    struct kin__thread *thread = here();

    if (__builtin_expect(!thread || !thread->entered, 0))
        thread = kin__thread_enter();
    __asm__ volatile("" : "+r"(thread) : : "memory");
    return thread;
}
#endif

void kin__no_suspend_begin(void)
{
    kin__thread()->no_suspend++;
}

void kin__no_suspend_end(void)
{
    kin__thread()->no_suspend--;
}
