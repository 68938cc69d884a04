/* kin/dispatcher.h -- where a fiber's code runs.
 *
 * A dispatcher takes tasks and runs each of them once, later, somewhere.  A
 * task is one slice of a fiber: from its beginning, or from where it parked,
 * to where it parks next or ends.  kin brings Default, IO, Unconfined, Main,
 * views that limit parallelism, and pools with threads of their own; whoever
 * has another loop or job system makes a dispatcher of it with a table of
 * functions (struct kin_dispatcher_ops), of which one is required.
 *
 * Unless its comment says otherwise, a function here
 *   - may be called on any thread, and never suspends;
 *   - borrows its pointers, for the duration of the call only;
 *   - returns 0 or a negative KIN_E* code, and a failed call has no effect.
 *
 * Layer: dispatch. */
#ifndef KIN_DISPATCHER_H
#define KIN_DISPATCHER_H

#include <kin/error.h>
#include <kin/task.h>
#include <kin/time.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kin_dispatcher kin_dispatcher;
typedef struct kin_timer kin_timer;

/* --- The dispatchers that are always there -------------------------------
 * Borrowed; retain and release do nothing to them. */

/* CPU-bound work: as many workers at once as there are cores (at least 2). */
kin_dispatcher *kin_default(void);

/* How long a worker of Default may be blocked (asleep in a system call, or on a
 * lock) before it is reported on stderr, with the fiber that blocks it, and
 * another worker takes its place until it is back.  One that computes is not
 * blocked.  1 s at first; KIN_NEVER: never; 0 or less changes nothing.  Returns
 * what it was.  Looked at four times in that time, while anybody works.
 *
 * Thread: any. */
int64_t kin_blocked_limit(int64_t limit);

/* Blocking work: up to max(64, cores) at once, on the same threads as Default,
 * so that going from Default to IO usually changes no thread.  With
 * KIN_IO_PARALLELISM=n in the environment, 1 to 4096, up to n at once. */
kin_dispatcher *kin_io(void);

/* No dispatch at all: starts and resumes in place, on the thread that does it.
 * A start or resume from inside another such slice is queued until that one
 * parks or ends, so long chains need no stack. */
kin_dispatcher *kin_unconfined(void);

/* The host's thread (see kin/main.h).  Naming them without an attached thread
 * is harmless; using them is KIN_ENOMAIN.  Immediate runs in place when it is
 * already on Main. */
kin_dispatcher *kin_main(void);
kin_dispatcher *kin_main_immediate(void);

/* --- Views and pools ------------------------------------------------------ */

/* A view of base that never runs more than n slices at once, in FIFO order.
 * It is not a mutex: between two suspensions others run.  Views nest, the
 * stricter limit wins; a view of IO is not bound by IO's own limit.  Where the
 * base is already as strict, *view is the base itself, retained.  name may be
 * NULL, and is copied.
 *
 * Owns:   *view is the caller's to release; the view retains base.
 * Errors: KIN_EINVAL for n < 1, KIN_ENOTSUP for Unconfined, KIN_ENOMEM. */
int kin_limited_parallelism(kin_dispatcher *base, int n, const char *name,
                            kin_dispatcher **view) KIN__MUST_CHECK;

/* A dispatcher with n threads (name-1 … name-n) of its own.
 *
 * Owns:   *pool is the caller's: close it, then release it.
 * Errors: KIN_EINVAL for n < 1 or a name that is NULL, KIN_EAGAIN when the
 *         system gives no thread, KIN_ENOMEM. */
int kin_fixed_pool(int n, const char *name, kin_dispatcher **pool)
    KIN__MUST_CHECK;
int kin_single_thread(const char *name, kin_dispatcher **thread)
    KIN__MUST_CHECK;

/* Closes a pool: what is queued still runs, then its threads end.  Whatever is
 * dispatched to it afterwards has its job cancelled and runs on IO, so that
 * its cleanup executes.  Does not wait for the threads unless called off them:
 * then it returns when they have ended.  Closing twice is fine.
 *
 * Errors: KIN_ENOTSUP for a dispatcher that cannot be closed. */
int kin_dispatcher_close(kin_dispatcher *dispatcher);

kin_dispatcher *kin_dispatcher_retain(kin_dispatcher *dispatcher);
void kin_dispatcher_release(kin_dispatcher *dispatcher);
KIN__AUTO_RELEASE(kin_dispatcher)

/* Its name, borrowed; "?" for NULL. */
const char *kin_dispatcher_name(const kin_dispatcher *dispatcher);

/* --- Bring your own -------------------------------------------------------
 *
 *     struct my_loop { kin_dispatcher dispatcher; ... };
 *
 *     static int my_dispatch(kin_dispatcher *self, kin_task *task)
 *     {
 *         struct my_loop *loop = (struct my_loop *)self;
 *         push(loop->inbox, task);         // task->next is yours meanwhile
 *         wake(loop);
 *         return 0;
 *     }
 *     ... later, on the loop's thread, for each: kin_task_run(task);
 */

typedef struct kin_dispatcher_ops {
    /* Takes task, to have kin_task_run(task) called once, later, not inside
     * this call.  Any thread.  A negative code refuses the task: its job is
     * then cancelled and it runs on IO.  Required. */
    int (*dispatch)(kin_dispatcher *self, kin_task *task);

    /* False: this thread is already where the dispatcher's code runs, do it in
     * place.  NULL: always dispatch. */
    bool (*needs_dispatch)(kin_dispatcher *self);

    /* Arms timer: kin_timer_fire(timer) is to be called once, at or after
     * deadline (kin_now's clock).  KIN_NEVER disarms; arming again moves it.
     * Disarming waits for a firing that is under way on another thread; called
     * from inside kin_timer_fire it returns at once.  When it has returned the
     * timer must not be touched any more: its memory is gone.
     * NULL: kin keeps the time itself.  Any thread. */
    int (*set_timer)(kin_dispatcher *self, kin_timer *timer, int64_t deadline);

    /* The clock that set_timer's deadlines are on.  NULL: kin_now's. */
    int64_t (*now)(kin_dispatcher *self);

    /* Called when the last reference is released.  NULL: nothing to do. */
    void (*destroy)(kin_dispatcher *self);
} kin_dispatcher_ops;

/* Embed it in a struct of your own; the fields are private. */
struct kin_dispatcher {
    const kin_dispatcher_ops *ops;
    const struct kin__dispatcher_more *more;
    const char *name;
    size_t refs;
};

/* Makes self a dispatcher with one reference, the caller's.  ops and name must
 * outlive it.
 * Errors: KIN_EINVAL for NULL or a table without `dispatch`. */
int kin_dispatcher_init(kin_dispatcher *self, const kin_dispatcher_ops *ops,
                        const char *name) KIN__MUST_CHECK;

/* For set_timer: tells kin that the time has come; a word in the timer that is
 * the dispatcher's own, NULL at first. */
void kin_timer_fire(kin_timer *timer);
void **kin_timer_user_data(kin_timer *timer);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_DISPATCHER_H */
