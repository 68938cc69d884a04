/* deferred.c -- jobs with a value: a coroutine's, or given by hand.
 *
 * A kin_deferred is the kin_job in it; where the value lies depends on the
 * kind. */
#include "core/check.h"
#include "core/error.h"
#include "core/memory.h"
#include "job/coroutine.h"
#include "job/job.h"
#include "job/ledger.h"

#include <string.h>

/* A deferred without a body. */
struct by_hand {
    struct kin_job job;                 /* first                             */
    void *value;                        /* published by completing           */
    void (*on_undelivered)(void *value);
    _Atomic bool delivered;
};

static struct kin_job *job_of(kin_deferred *deferred)
{
    return (struct kin_job *)deferred;
}

kin_job *kin_deferred_job(kin_deferred *deferred)
{
    if (!deferred)
        kin__misuse(KIN_EINVAL, "kin_deferred_job", "deferred is NULL");
    return job_of(deferred);
}

kin_deferred *kin_deferred_retain(kin_deferred *deferred)
{
    kin_job_retain(job_of(deferred));
    return deferred;
}

void kin_deferred_release(kin_deferred *deferred)
{
    kin_job_release(job_of(deferred));
}

int kin_return(kin_scope *scope, void *value)
{
    if (!scope)
        return kin__misuse(KIN_EINVAL, "kin_return", "scope is NULL");
    if (!scope->job || scope->job->kind != KIN__ASYNC)
        return kin__misuse(KIN_ENOTSUP, "kin_return", "the scope is not that "
                           "of a body launched by kin_async");
    kin__coroutine_of_job(scope->job)->value = value;
    return 0;
}

/* The value of a completed one; marks it as received. */
static void *receive(struct kin_job *job)
{
    /* relaxed: read when the last reference is gone, which synchronises */
    if (job->kind == KIN__DEFERRED) {
        struct by_hand *self = (struct by_hand *)job;

        atomic_store_explicit(&self->delivered, true, memory_order_relaxed);
        return self->value;
    }
    struct kin__coroutine *co = kin__coroutine_of_job(job);

    kin__coroutine_phase(co, KIN__PHASE_RECEIVED);
    return co->value;
}

int kin_deferred_get(kin_deferred *deferred, void *value)
{
    struct kin_job *job = job_of(deferred);
    kin_error *error;
    void *received;

    if (!deferred)
        return kin__misuse(KIN_EINVAL, "kin_deferred_get", "deferred is NULL");
    kin__ledger_check(KIN__LEDGER_JOB, job, "kin_deferred_get");
    if (!kin_job_is_completed(job))
        return KIN_EBUSY;
    error = kin__job_error(job);
    if (error)
        return kin__fail_with(kin_error_retain(error), kin_error_code(error));
    if (!value)
        return 0;
    received = receive(job);
    memcpy(value, &received, sizeof received);
    return 0;
}

int kin_deferred_error(kin_deferred *deferred, kin_error **error)
{
    if (!deferred || !error)
        return kin__misuse(KIN_EINVAL, "kin_deferred_error", "%s is NULL",
                           deferred ? "error" : "deferred");
    kin__ledger_check(KIN__LEDGER_JOB, deferred, "kin_deferred_error");
    if (!kin_job_is_completed(job_of(deferred)))
        return KIN_EBUSY;
    *error = kin_error_retain(kin__job_error(job_of(deferred)));
    return 0;
}

/* --- By hand -------------------------------------------------------------- */

int kin_deferred_new(kin_job *parent, void (*on_undelivered)(void *value),
                     kin_deferred **deferred)
{
    struct by_hand *self;

    if (!deferred)
        return kin__misuse(KIN_EINVAL, "kin_deferred_new",
                           "where the handle goes is NULL");
    self = kin__malloc(sizeof *self);
    if (!self)
        return KIN_ENOMEM;
    kin__job_init(&self->job, KIN__DEFERRED, KIN_JOB_ACTIVE);
    kin__ledger_job(&self->job);
    kin__ledger_where(&self->job, __builtin_return_address(0));
    self->value = NULL;
    self->on_undelivered = on_undelivered;
    /* relaxed: not published yet */
    atomic_store_explicit(&self->delivered, false, memory_order_relaxed);
    kin__job_attach(parent, &self->job);
    *deferred = (kin_deferred *)self;
    return 0;
}

static int complete_check(kin_deferred *deferred, const char *function)
{
    if (!deferred)
        return kin__misuse(KIN_EINVAL, function, "deferred is NULL");
    kin__ledger_check(KIN__LEDGER_JOB, deferred, function);
    if (job_of(deferred)->kind != KIN__DEFERRED)
        return kin__misuse(KIN_ENOTSUP, function, "it has a body, which "
                           "completes it");
    return 0;
}

int kin_deferred_complete(kin_deferred *deferred, void *value)
{
    int err = complete_check(deferred, "kin_deferred_complete");

    if (err)
        return err;
    if (!kin__job_claim(job_of(deferred), true))
        return 0;
    ((struct by_hand *)deferred)->value = value;
    return kin__job_claimed_end(job_of(deferred), NULL);
}

int kin_deferred_fail(kin_deferred *deferred, kin_error *error)
{
    int err = complete_check(deferred, "kin_deferred_fail");

    if (!err && !error)
        err = kin__misuse(KIN_EINVAL, "kin_deferred_fail", "error is NULL");
    if (err)
        return err;
    if (!kin__job_claim(job_of(deferred), false))
        return 0;
    return kin__job_claimed_end(job_of(deferred), error);
}

bool kin__deferred_tells_when_freed(const struct kin_job *job)
{
    return ((const struct by_hand *)job)->on_undelivered != NULL;
}

void kin__deferred_free(struct kin_job *job)
{
    struct by_hand *self = (struct by_hand *)job;

    /* relaxed: the last reference has synchronised */
    if (self->on_undelivered && self->value
        && !atomic_load_explicit(&self->delivered, memory_order_relaxed))
        kin__hand_back(self->on_undelivered, self->value);
    kin__ledger_job_gone(job);
    kin__free(self);
}
