/* dispatch_fibers.h -- fibers without jobs: a body, and hops. */
#ifndef KIN_TESTS_DISPATCH_FIBERS_H
#define KIN_TESTS_DISPATCH_FIBERS_H

#include "core/run.h"
#include "core/timer.h"
#include "kin/dispatcher.h"
#include "tests/check.h"

#include <stdlib.h>

struct fiber {
    struct kin__runnable runnable;  /* first                                 */
    kin_dispatcher *dispatcher;
    uintptr_t tag;
    void (*fn)(struct fiber *self, void *arg);
    void *arg;
    struct kin_timer timer;
    int64_t deadline;
};

static inline void fiber_dispatch(void *arg)
{
    struct fiber *f = arg;

    f->runnable.task.tag |= f->tag;
    CHECK_EQ(f->dispatcher->ops->dispatch(f->dispatcher, &f->runnable.task),
             0);
}

static inline void fiber_body(struct kin__runnable *runnable,
                              struct kin__thread *thread)
{
    struct fiber *f = (struct fiber *)runnable;

    (void)thread;
    f->fn(f, f->arg);
    kin__thread()->current = NULL;
    free(f);
}

static inline void fiber_ready(struct kin__runnable *runnable)
{
    fiber_dispatch(runnable);
}

static inline void fiber_refuse(struct kin__runnable *runnable, int code)
{
    (void)runnable;
    FAIL("no stack: %d", code);
}

static inline struct fiber *fiber_start(kin_dispatcher *d,
                                        void (*fn)(struct fiber *, void *),
                                        void *arg)
{
    static const struct kin__runnable_ops ops = {
        .body = fiber_body, .ready = fiber_ready,
        .refuse = fiber_refuse, .reject = fiber_refuse,
    };
    struct fiber *f = calloc(1, sizeof *f);

    CHECK(f);
    f->runnable.task.run = kin__runnable_run;
    f->runnable.task.tag = KIN__TASK_RUNNABLE;
    f->runnable.ops = &ops;
    f->dispatcher = d;
    f->fn = fn;
    f->arg = arg;
    fiber_dispatch(f);
    return f;
}

/* Goes on on d. */
KIN_SUSPENDS
static inline void fiber_hop(struct fiber *f, kin_dispatcher *d)
{
    f->dispatcher = d;
    f->tag = 0;
    CHECK_EQ(kin__park(fiber_dispatch, f), 0);
}

KIN_SUSPENDS
static inline void fiber_yield(struct fiber *f)
{
    f->tag = KIN__TASK_FAIR;
    CHECK_EQ(kin__park(fiber_dispatch, f), 0);
    f->tag = 0;
}

static inline void fiber_wake(struct kin_timer *timer)
{
    struct fiber *f = (struct fiber *)(void *)
        ((char *)timer - offsetof(struct fiber, timer));

    fiber_dispatch(f);
}

static inline void fiber_arm(void *arg)
{
    struct fiber *f = arg;

    CHECK_EQ(f->dispatcher->ops->set_timer(f->dispatcher, &f->timer,
                                           f->deadline), 0);
}

KIN_SUSPENDS
static inline void fiber_sleep(struct fiber *f, int64_t duration)
{
    f->timer = (struct kin_timer){ .fire = fiber_wake };
    f->deadline = kin_after(duration);
    CHECK_EQ(kin__park(fiber_arm, f), 0);
    kin__timers_disarm(&f->timer);      /* its firing has ended, too */
}

#endif
