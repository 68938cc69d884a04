/* timeout.c -- delays, and blocks with a deadline. */
#include "kin/timeout.h"
#include "kin/checkpoint.h"

#include "core/chance.h"
#include "core/check.h"
#include "core/error.h"
#include "dispatch/scheduler.h"
#include "job/block.h"
#include "job/context.h"
#include "job/slice.h"

#include <inttypes.h>
#include <stdio.h>

int kin__set_timer(kin_dispatcher *dispatcher, struct kin_timer *timer,
                   int64_t deadline)
{
    timer->dispatcher = dispatcher;
    if (dispatcher->ops->set_timer)
        return dispatcher->ops->set_timer(dispatcher, timer, deadline);
    return kin__scheduler_set_timer(timer, deadline);
}

/* The clock of the dispatcher: that of its timers. */
static int64_t now_on(kin_dispatcher *dispatcher)
{
    return dispatcher->ops->now ? dispatcher->ops->now(dispatcher) : kin_now();
}

static int64_t after_on(kin_dispatcher *dispatcher, int64_t duration)
{
    int64_t now = now_on(dispatcher);

    if (duration <= 0)
        return now;
    return duration < KIN_NEVER - now ? now + duration : KIN_NEVER;
}

void kin__stop_timer(struct kin_timer *timer)
{
    kin_dispatcher *dispatcher = timer->dispatcher;

    if (dispatcher && dispatcher->ops->set_timer)
        dispatcher->ops->set_timer(dispatcher, timer, KIN_NEVER);
    kin__timers_disarm(timer);
}

/* --- Delay ---------------------------------------------------------------- */

struct delay {
    struct kin_timer timer;             /* first                             */
    struct kin__runnable *runnable;
    uint64_t generation;
};

static void delay_over(struct kin_timer *timer)
{
    struct delay *delay = (struct delay *)timer;

    kin__wait_wake(delay->runnable, delay->generation, 0, NULL);
}

/* What a wait that has ended by itself, or by cancellation, returns. */
static int outcome_of(struct kin__coroutine *co, struct kin__wait *wait,
                      int err)
{
    if (err) {
        kin_error_release(wait->error);
        return err;
    }
    if (wait->outcome == KIN__WAIT_CANCELLED)
        return kin__fail_with(wait->error, KIN_ECANCELED);
    return kin__check_cancelled(co);
}

/* Until it is cancelled; there is no timer. */
KIN_SUSPENDS
static int await_cancellation(struct kin__coroutine *co)
{
    struct kin__wait wait;

    kin__wait_begin_in(&wait, co, co->current->job);
    wait.what = "await_cancellation";
    wait.until = KIN_NEVER;
    return outcome_of(co, &wait, kin__wait_park(&wait));
}

KIN_SUSPENDS
static int delay_until(struct kin__coroutine *co, int64_t deadline)
{
    struct delay delay = { .timer = { .fire = delay_over } };
    struct kin__wait wait;
    int err = 0;

    kin__wait_begin_in(&wait, co, co->current->job);
    wait.what = "delay";
    wait.until = deadline;
    delay.runnable = wait.runnable;
    delay.generation = wait.generation;
    if (kin__wait_state(wait.runnable, wait.generation) == KIN__WAIT_UNDECIDED)
        err = kin__set_timer(co->dispatcher, &delay.timer, deadline);
    if (err)
        kin__wait_end(&wait);
    else
        err = kin__wait_park(&wait);
    kin__chance(KIN__CHANCE_DISARMS);
    if (wait.outcome != KIN__WAIT_IDLE)
        kin__stop_timer(&delay.timer);  /* also waits while it fires */
    return outcome_of(co, &wait, err);
}

int kin_delay(int64_t duration)
{
    struct kin__coroutine *co;
    int64_t deadline;
    int err = 0;

    co = kin__suspending("kin_delay", &err);
    if (!co || duration <= 0)
        return err;
    deadline = after_on(co->dispatcher, duration);
    return deadline == KIN_NEVER ? await_cancellation(co)
                                 : delay_until(co, deadline);
}

int kin_delay_until(int64_t deadline)
{
    struct kin__coroutine *co;
    int err = 0;

    co = kin__suspending("kin_delay_until", &err);
    if (!co || (deadline != KIN_NEVER && deadline <= now_on(co->dispatcher)))
        return err;
    return deadline == KIN_NEVER ? await_cancellation(co)
                                 : delay_until(co, deadline);
}

int kin_await_cancellation(void)
{
    struct kin__coroutine *co;
    int err = 0;

    co = kin__suspending("kin_await_cancellation", &err);
    if (!co)
        return err;
    err = await_cancellation(co);
    return err ? err : KIN_ECANCELED;
}

/* --- Timeouts ------------------------------------------------------------- */

static void text_of(int64_t duration, char *text, size_t size)
{
    snprintf(text, size, "timed out after %" PRId64 " ms",
             duration > 0 ? (duration + KIN_MS(1) - 1) / KIN_MS(1) : 0);
}

static kin_error *timeout_error(const void *owner, int64_t duration)
{
    char text[64];

    text_of(duration, text, sizeof text);
    return kin__error_make(KIN_ERROR_TIMEOUT, KIN_ETIMEDOUT, owner, NULL, "",
                           "%s", text);
}

static void expire(struct kin__block_scope *block)
{
    kin_error *error;

    /* relaxed: it decides only who of two cancels, which synchronises */
    if (atomic_exchange_explicit(&block->fired, true, memory_order_relaxed))
        return;
    error = timeout_error(block, block->timeout);
    /* relaxed: published by the job's LOCK; see expiry_of() of block.c */
    atomic_store_explicit(&block->expiry, error, memory_order_relaxed);
    kin__no_suspend_begin();
    kin__job_cancel(&block->job, error);
    kin__no_suspend_end();
    kin_error_release(error);
}

static void timeout_over(struct kin_timer *timer)
{
    expire((struct kin__block_scope *)
           ((char *)timer - offsetof(struct kin__block_scope, timer)));
}

void kin__timeouts_look(struct kin__coroutine *co)
{
    struct kin_scope *scope;
    bool held;

    for (scope = co->current; scope; scope = scope->outer) {
        struct kin__block_scope *block = kin__block_of_scope(scope);

        if (!scope->job || scope->job->kind != KIN__TIMEOUT
            || !block->timer.fire)
            continue;
        if (now_on(block->outer_dispatcher) >= block->deadline) {
            held = kin__in_place_hold();
            expire(block);
            kin__in_place_let_go(held);
        }
    }
}

/* Enters a block that lasts no longer than duration; *block is NULL if an error
 * says why not. */
KIN_SUSPENDS
static int enter_timeout(struct kin__coroutine *co, int64_t duration,
                         struct kin__block_scope **out)
{
    int64_t deadline = after_on(co->dispatcher, duration);
    struct kin__block_scope *block;
    int err;

    *out = NULL;
    if (duration <= 0)
        return kin__fail_with(timeout_error(NULL, duration), KIN_ETIMEDOUT);
    block = kin__block_enter_here(co, KIN__TIMEOUT);
    if (!block)
        return KIN_ENOMEM;
    block->timeout = duration;
    if (deadline != KIN_NEVER) {
        block->timer = (struct kin_timer){ .fire = timeout_over };
        block->deadline = deadline;
        err = kin__set_timer(co->dispatcher, &block->timer, deadline);
        if (err) {
            block->timer.fire = NULL;
            return kin__block_exit(co, block, err);
        }
    }
    kin__slice_on(co);
    *out = block;
    return 0;
}

/* The fiber that asks for a timeout. */
static struct kin__coroutine *asking(kin_body *body, int *err)
{
    if (body)
        return kin__suspending_here("kin_with_timeout", err);
    *err = kin__misuse(KIN_EINVAL, "kin_with_timeout", "body is NULL");
    return NULL;
}

KIN_SUSPENDS
static int with_timeout(struct kin__coroutine *co, int64_t duration,
                        kin_body *body, void *arg, bool *expired)
{
    struct kin__block_scope *block;
    int err, code;

    if (expired && duration <= 0) {
        *expired = true;
        return 0;
    }
    err = enter_timeout(co, duration, &block);
    if (!block)
        return err;
    block->or_null = expired != NULL;
    code = KIN__CALL_GUARDED("kin_with_timeout", body, &block->scope, arg);
    if (!expired)
        return kin__block_exit(co, block, code);
    kin_job_retain(&block->job);        /* to see whether it expired */
    err = kin__block_exit(co, block, code);
    *expired = block->expired && !err;
    kin_job_release(&block->job);
    return err;
}

int kin_with_timeout(int64_t duration, kin_body *body, void *arg)
{
    int err = 0;
    struct kin__coroutine *co = asking(body, &err);

    return co ? with_timeout(co, duration, body, arg, NULL) : err;
}

int kin_with_timeout_until(int64_t deadline, kin_body *body, void *arg)
{
    int err = 0;
    struct kin__coroutine *co = asking(body, &err);
    int64_t now;

    if (!co)
        return err;
    now = now_on(co->dispatcher);
    if (deadline != KIN_NEVER)
        deadline = deadline <= now ? 0 : deadline - now;
    return with_timeout(co, deadline, body, arg, NULL);
}

int kin_with_timeout_or_null(int64_t duration, kin_body *body, void *arg,
                             bool *expired)
{
    struct kin__coroutine *co;
    int err = 0;

    if (!expired)
        return kin__misuse(KIN_EINVAL, "kin_with_timeout_or_null",
                           "expired is NULL");
    *expired = false;
    co = asking(body, &err);
    return co ? with_timeout(co, duration, body, arg, expired) : err;
}

kin__block kin__block_timeout(int *result, int64_t duration)
{
    kin__block form = { .outcome = result };
    struct kin__coroutine *co = kin__suspending("KIN_WITH_TIMEOUT", result);
    struct kin__block_scope *block;

    if (!co)
        return form;
    *result = enter_timeout(co, duration, &block);
    form.scope = block ? &block->scope : NULL;
    return form;
}
