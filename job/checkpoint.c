/* checkpoint.c -- yield, and asking whether to go on. */
#include "kin/checkpoint.h"

#include "core/check.h"
#include "dispatch/event_loop.h"
#include "dispatch/unconfined.h"
#include "job/block.h"
#include "job/coroutine.h"

/* The long way, for all but an event loop. */
KIN_SUSPENDS static int yield_to_dispatcher(struct kin__coroutine *co)
{
    if (co->dispatcher == kin_unconfined())
        return kin__unconfined_yield();
    return kin__requeue(co);
}

int kin_yield(void)
{
    struct kin__thread *thread = kin__thread();
    struct kin__coroutine *co = kin__suspending_on(thread);
    int err = 0;

    if (KIN__UNLIKELY(!co)) {
        kin__suspending("kin_yield", &err);
        return err;
    }
    if (KIN__UNLIKELY(kin__is_cancelled(co)))
        return kin__check_cancelled(co);
#ifdef KIN_HARD
    err = KIN_ENOTSUP;                  /* the long way: switches for certain */
#else
    err = kin__event_loop_yield(thread, co->dispatcher);
#endif
    if (KIN__UNLIKELY(err == KIN_ENOTSUP))
        err = yield_to_dispatcher(co);
    if (KIN__UNLIKELY(!err && kin__is_cancelled(co)))
        return kin__check_cancelled(co);
    return err;
}

int kin_ensure_active(void)
{
    struct kin__coroutine *co = kin__coroutine_current();

    if (!co)
        return kin__misuse(KIN_ENOFIBER, "kin_ensure_active",
                           "must be called on a fiber");
    kin__timeout_if_due(co);
    return kin__check_cancelled(co);
}

bool kin_is_active(void)
{
    struct kin__coroutine *co = kin__coroutine_current();

    if (!co)
        return true;
    kin__timeout_if_due(co);
    return !kin__is_cancelled(co);
}
