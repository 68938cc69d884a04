/* checkpoint.c -- yield, and asking whether to go on. */
#include "kin/checkpoint.h"

#include "core/check.h"
#include "dispatch/event_loop.h"
#include "dispatch/unconfined.h"
#include "job/block.h"
#include "job/coroutine.h"

int kin_yield(void)
{
    struct kin__coroutine *co;
    int err = 0;

    co = kin__suspending("kin_yield", &err);
    if (!co)
        return err;
    err = kin__check_cancelled(co);
    if (err)
        return err;
    if (co->dispatcher == kin_unconfined()) {
        err = kin__unconfined_yield();
    } else {
        err = kin__event_loop_yield(co->dispatcher);
        if (err == KIN_ENOTSUP)
            err = kin__requeue(co);
    }
    return err ? err : kin__check_cancelled(co);
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
