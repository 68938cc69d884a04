/* dispatch_helpers.h -- tasks that are functions. */
#ifndef KIN_TESTS_DISPATCH_HELPERS_H
#define KIN_TESTS_DISPATCH_HELPERS_H

#include "kin/dispatcher.h"
#include "tests/check.h"
#include "tests/counter.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct call {
    struct kin_task task;           /* first                                 */
    void (*fn)(void *arg);
    void *arg;
};

static inline void call_run(struct kin_task *task)
{
    struct call call = *(struct call *)task;

    free(task);
    call.fn(call.arg);
}

static inline int try_post(kin_dispatcher *d, void (*fn)(void *), void *arg,
                           uintptr_t tag)
{
    struct call *call = malloc(sizeof *call);
    int err;

    CHECK(call);
    *call = (struct call){ { NULL, call_run, tag }, fn, arg };
    err = d->ops->dispatch(d, &call->task);
    if (err)
        free(call);
    return err;
}

static inline void post(kin_dispatcher *d, void (*fn)(void *), void *arg)
{
    CHECK_EQ(try_post(d, fn, arg, 0), 0);
}

#endif
