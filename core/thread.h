/* core/thread.h -- what kin knows of an OS thread: its record.
 *
 * A fiber may park on one thread and go on on another, and compilers keep the
 * address of a thread-local in a register meanwhile.  So nobody but thread.c
 * has thread-local variables; they are behind an accessor that no compiler sees
 * through: a function, or assembly that is carried out each time.  Its result
 * must not be used again after anything that may have switched. */
#ifndef KIN_CORE_THREAD_H
#define KIN_CORE_THREAD_H

#include "core/check.h"
#include "core/fiber.h"
#include "core/stack.h"
#include "core/task.h"
#include "kin/error.h"

#ifndef KIN__THREAD_KEY
#ifdef __ANDROID__
#define KIN__THREAD_KEY 1
#else
#define KIN__THREAD_KEY 0
#endif
#endif

struct kin__frame;
struct kin__held;
struct free_record;
struct kin__runnable;

/* Everything here is the thread's own: no other thread looks at it. */
struct kin__thread {
    struct kin_fiber *fiber;        /* the stack that is running             */
    struct kin_fiber *left;         /* ASan: the one left last               */
    void (*then)(void *arg);        /* sanitizers: what runs after a switch  */
    void *then_arg;
    struct kin__runnable *current;  /* what runs on it, or NULL              */
    struct kin__frame *frame;       /* who gets control back (core/run.h)    */
    struct kin_task *pending;       /* for the host stack switched to        */
    struct kin_fiber *spare;        /* a host stack, suspended and idle      */
    unsigned no_suspend;            /* > 0: inside a callback, see below     */

    struct {                        /* in-place slices (core/run.h)          */
        bool active;
        struct kin__task_queue queue;
    } in_place;

    struct kin__held *held;         /* locks, newest first (core/hold.c)     */
    void *loop;                     /* dispatch/: this thread's event loop   */
    void *main;                     /* dispatch/: Main, if it is this thread */
    void *worker;                   /* dispatch/: this thread as a worker    */
    kin_error *error;               /* current error when there is no fiber  */
    struct free_record *records;     /* free records (core/record.c)          */
    size_t record_count;            /* how many */
    struct kin__stack_cache stacks;
    struct kin_fiber native;        /* stands for the thread's own stack     */
    bool entered;                   /* set up, and to be torn down at exit   */
    bool ready;                     /* has what running fibers needs         */
};

/* Where reading a thread-local takes two instructions, also in a library that
 * was loaded later (a word of the static block; see thread.c). */
#ifndef KIN__THREAD_WORD
#if defined(__x86_64__) && !defined(__ILP32__) && !defined(__ANDROID__) \
    && !KIN__THREAD_KEY
#define KIN__THREAD_WORD 1
#else
#define KIN__THREAD_WORD 0
#endif
#endif

/* Sets up the calling thread's record; for kin__thread() only. */
struct kin__thread *kin__thread_enter(void);

/* The calling thread's record.  Valid until the next switch. */
#if KIN__THREAD_WORD
static inline struct kin__thread *kin__thread(void)
{
    struct kin__thread *thread;

    __asm__ volatile("movq kin__thread_word@gottpoff(%%rip), %0\n\t"
                     "movq %%fs:(%0), %0" : "=r"(thread) : : "memory");
    return KIN__LIKELY(thread != NULL) ? thread : kin__thread_enter();
}
#else
struct kin__thread *kin__thread(void);
#endif

/* A callback that must not suspend runs between these two. */
void kin__no_suspend_begin(void);
void kin__no_suspend_end(void);

#endif /* KIN_CORE_THREAD_H */
