/* dispatcher.c -- what all dispatchers have in common. */
#include "kin/dispatcher.h"

#include "core/check.h"
#include "core/timer.h"
#include "dispatch/dispatcher_more.h"

#include <stdatomic.h>

int kin_dispatcher_init(kin_dispatcher *self, const kin_dispatcher_ops *ops,
                        const char *name)
{
    if (!self || !ops || !ops->dispatch)
        return kin__misuse(KIN_EINVAL, "kin_dispatcher_init", "%s is NULL",
                           !self ? "self" : !ops ? "ops" : "ops->dispatch");
    *self = (kin_dispatcher){ .ops = ops, .name = name ? name : "?",
                              .refs = 1 };
    return 0;
}

/* The public struct cannot say _Atomic, for the sake of C++. */
static _Atomic size_t *refs_of(kin_dispatcher *dispatcher)
{
    return (_Atomic size_t *)&dispatcher->refs;
}

kin_dispatcher *kin_dispatcher_retain(kin_dispatcher *dispatcher)
{
    if (dispatcher && !kin__dispatcher_is_immortal(dispatcher))
        /* relaxed: whoever retains holds a reference */
        atomic_fetch_add_explicit(refs_of(dispatcher), 1,
                                  memory_order_relaxed);
    return dispatcher;
}

void kin_dispatcher_release(kin_dispatcher *dispatcher)
{
    if (!dispatcher || kin__dispatcher_is_immortal(dispatcher))
        return;
    /* acq_rel: the last one sees what the others did; pairs with itself */
    if (atomic_fetch_sub_explicit(refs_of(dispatcher), 1,
                                  memory_order_acq_rel) == 1
        && dispatcher->ops->destroy)
        dispatcher->ops->destroy(dispatcher);
}

const char *kin_dispatcher_name(const kin_dispatcher *dispatcher)
{
    return dispatcher && dispatcher->name ? dispatcher->name : "?";
}

int kin_dispatcher_close(kin_dispatcher *dispatcher)
{
    if (!dispatcher)
        return kin__misuse(KIN_EINVAL, "kin_dispatcher_close",
                           "dispatcher is NULL");
    if (!dispatcher->more || !dispatcher->more->close)
        return KIN_ENOTSUP;
    return dispatcher->more->close(dispatcher);
}

int kin_limited_parallelism(kin_dispatcher *base, int n, const char *name,
                            kin_dispatcher **view)
{
    const struct kin__dispatcher_more *more;

    if (!base || !view)
        return kin__misuse(KIN_EINVAL, "kin_limited_parallelism",
                           "%s is NULL", base ? "view" : "base");
    if (n < 1)
        return kin__misuse(KIN_EINVAL, "kin_limited_parallelism",
                           "n is %d, must be at least 1", n);
    if (!base->ops)
        return kin__misuse(KIN_EINVAL, "kin_limited_parallelism",
                           "base was never initialised");
    more = base->more;
    if (more && more->limited)
        return more->limited(base, n, name, view);
    if (more && more->parallelism > 0 && more->parallelism <= n) {
        *view = kin_dispatcher_retain(base);
        return 0;
    }
    return kin__limited_new(base, n, name, view);
}

void kin_timer_fire(kin_timer *timer)
{
    if (!timer)
        kin__misuse(KIN_EINVAL, "kin_timer_fire", "timer is NULL");
    else
        timer->fire(timer);
}

void **kin_timer_user_data(kin_timer *timer)
{
    return timer ? &timer->user_data : NULL;
}
