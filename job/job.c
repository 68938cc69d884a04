/* job.c -- what one can ask of a job, and its references; the state machine is
 * in job_state.c. */
#include "job/job.h"

#include "core/check.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/spin.h"
#include "core/thread.h"
#include "job/context.h"
#include "job/coroutine.h"
#include "job/ledger.h"

#include <sched.h>
#include <stddef.h>

KIN_UNCHECKED
/* Looks before it tries: each try takes the line away from the holder. */
uint32_t kin__job_lock_contended(struct kin_job *job)
{
    uint32_t word;

    for (unsigned rounds = 1;; rounds++) {
        /* relaxed: the exchange below orders it */
        word = atomic_load_explicit(&job->word, memory_order_relaxed);
        /* acquire: pairs with release in kin__job_unlock() */
        if (!(word & KIN__JOB_LOCK)
            && atomic_compare_exchange_weak_explicit(
                   &job->word, &word, word | KIN__JOB_LOCK,
                   memory_order_acquire, memory_order_relaxed))
            return word;
        KIN__CPU_RELAX();
        if (rounds % 64 == 0)
            sched_yield();              /* its holder may have been preempted */
    }
}

/* --- References ----------------------------------------------------------- */

kin_job *kin_job_retain(kin_job *job)
{
    kin__ledger_check(KIN__LEDGER_JOB, job, "kin_job_retain");
    if (job && job->kind != KIN__NON_CANCELLABLE)
        kin__job_retain(job);
    return job;
}

/* One that is freed without being final has no parent: it is listed still. */
static void leave_roots(struct kin_job *job)
{
    if (kin__job_state(job) < KIN_JOB_CANCELLED)
        kin__root_unlink(job);
}

static void free_job(struct kin_job *job)
{
    if (KIN__UNLIKELY(job->cause || job->cancellation)) {
        kin_error_release(job->cause);
        kin_error_release(job->cancellation);
    }
    switch (job->kind) {
    case KIN__LAUNCHED:
    case KIN__ASYNC:
    case KIN__BLOCKING:
        kin__coroutine_free(job);
        break;
    case KIN__SCOPE:
    case KIN__SUPERVISOR_SCOPE:
    case KIN__TIMEOUT:
        kin__block_free(job);
        break;
    case KIN__DEFERRED:
        leave_roots(job);
        kin__deferred_free(job);
        break;
    default:
        leave_roots(job);
        kin__ledger_job_gone(job);
        kin__free(job);
    }
}

void kin_job_release(kin_job *job)
{
    kin__ledger_check(KIN__LEDGER_JOB, job, "kin_job_release");
    if (!job || job->kind == KIN__NON_CANCELLABLE)
        return;
    /* The last reference to one with a body: it is final, on no list, and
     * nobody can take another.  acquire: pairs with acq_rel below */
    if (kin__job_has_body(job)
        && atomic_load_explicit(&job->refs, memory_order_acquire) == 1) {
        kin__ledger_check_last(job);
        free_job(job);
        return;
    }
    /* acq_rel: the last one sees what the others did; pairs with itself */
    if (atomic_fetch_sub_explicit(&job->refs, 1, memory_order_acq_rel) == 1)
        free_job(job);
}

/* --- By hand -------------------------------------------------------------- */

/* A bare job keeps a failure for its child only if somebody above it does. */
static bool ancestor_handles(const struct kin_job *parent)
{
    return parent && parent->handles;
}

static int new_bare(struct kin_job *parent, enum kin__job_kind kind,
                    struct kin_job **out, const char *function)
{
    struct kin_job *job;

    if (!out)
        return kin__misuse(KIN_EINVAL, function, "where the handle goes is "
                                                 "NULL");
    job = kin__malloc(sizeof *job);
    if (!job)
        return KIN_ENOMEM;
    kin__job_init(job, kind, KIN_JOB_ACTIVE);
    kin__ledger_job(job);
    job->handles = ancestor_handles(parent);
    kin__job_attach(parent, job);
    *out = job;
    return 0;
}

int kin_job_new(kin_job *parent, kin_job **job)
{
    KIN_TRY(new_bare(parent, KIN__BARE, job, "kin_job_new"));
    kin__ledger_where(*job, __builtin_return_address(0));
    return 0;
}

int kin_supervisor_new(kin_job *parent, kin_job **job)
{
    KIN_TRY(new_bare(parent, KIN__SUPERVISOR, job, "kin_supervisor_new"));
    kin__ledger_where(*job, __builtin_return_address(0));
    return 0;
}

static int complete_check(const struct kin_job *job, const char *function)
{
    if (!job)
        return kin__misuse(KIN_EINVAL, function, "job is NULL");
    kin__ledger_check(KIN__LEDGER_JOB, job, function);
    if (job->kind != KIN__BARE && job->kind != KIN__SUPERVISOR)
        return kin__misuse(KIN_ENOTSUP, function, "job \"%s\" has a body or a "
                           "value; it ends by itself", kin_job_name(job));
    return 0;
}

static int complete(struct kin_job *job, kin_error *error)
{
    if (!kin__job_claim(job, !error))
        return 0;
    return kin__job_claimed_end(job, error);
}

int kin_job_complete(kin_job *job)
{
    int err = complete_check(job, "kin_job_complete");

    return err ? err : complete(job, NULL);
}

int kin_job_fail(kin_job *job, kin_error *error)
{
    int err = complete_check(job, "kin_job_fail");

    if (!err && !error)
        err = kin__misuse(KIN_EINVAL, "kin_job_fail", "error is NULL");
    return err ? err : complete(job, error);
}

struct kin_job kin__non_cancellable = {
    .word = KIN_JOB_ACTIVE, .refs = 1, .kind = KIN__NON_CANCELLABLE,
};

kin_job *kin_non_cancellable(void)
{
    return &kin__non_cancellable;
}

/* --- Asking --------------------------------------------------------------- */

/* The bits of the states; bit n is state n. */
enum {
    ACTIVE_STATES    = 1 << KIN_JOB_ACTIVE | 1 << KIN_JOB_COMPLETING,
    COMPLETED_STATES = 1 << KIN_JOB_COMPLETED | 1 << KIN_JOB_CANCELLED,
    CANCELLED_STATES = 1 << KIN_JOB_CANCELLING | 1 << KIN_JOB_CANCELLED
};

static bool is_one_of(const kin_job *job, int states, const char *function)
{
    if (!job) {
        kin__misuse(KIN_EINVAL, function, "job is NULL");
        return false;
    }
    kin__ledger_check(KIN__LEDGER_JOB, job, function);
    return 1 << kin__job_state(job) & states;
}

kin_job_state kin_job_state_of(const kin_job *job)
{
    if (!job)
        kin__misuse(KIN_EINVAL, "kin_job_state_of", "job is NULL");
    kin__ledger_check(KIN__LEDGER_JOB, job, "kin_job_state_of");
    return job ? kin__job_state(job) : KIN_JOB_COMPLETED;
}

bool kin_job_is_active(const kin_job *job)
{
    return is_one_of(job, ACTIVE_STATES, "kin_job_is_active");
}

bool kin_job_is_completed(const kin_job *job)
{
    return is_one_of(job, COMPLETED_STATES, "kin_job_is_completed");
}

bool kin_job_is_cancelled(const kin_job *job)
{
    return is_one_of(job, CANCELLED_STATES, "kin_job_is_cancelled");
}

const char *kin_job_name(const kin_job *job)
{
    if (!job)
        kin__misuse(KIN_EINVAL, "kin_job_name", "job is NULL");
    kin__ledger_check(KIN__LEDGER_JOB, job, "kin_job_name");
    return kin__job_name(job);
}

const char *kin__job_name(const kin_job *job)
{
    const char *name = job ? kin__job_given_name(job) : NULL;

    if (!name && job)
        name = kin__job_site(job);
    return name ? name : "?";
}

int kin_job_cancellation(kin_job *job, kin_error **cause)
{
    kin_error *why;

    if (!job || !cause)
        return kin__misuse(KIN_EINVAL, "kin_job_cancellation", "%s is NULL",
                           job ? "cause" : "job");
    kin__ledger_check(KIN__LEDGER_JOB, job, "kin_job_cancellation");
    why = kin__job_cancellation(job);
    if (!why && kin__job_state(job) == KIN_JOB_COMPLETED)
        why = kin__error_make(KIN_ERROR_CANCELLATION, KIN_ECANCELED, job,
                              NULL, "", "the job has completed normally");
    if (!why)
        return KIN_EBUSY;
    *cause = why;
    return 0;
}

int kin_job_parent(kin_job *job, kin_job **parent)
{
    uint32_t word;

    if (!job || !parent)
        return kin__misuse(KIN_EINVAL, "kin_job_parent", "%s is NULL",
                           job ? "parent" : "job");
    kin__ledger_check(KIN__LEDGER_JOB, job, "kin_job_parent");
    *parent = NULL;
    if (job->kind == KIN__NON_CANCELLABLE)
        return 0;
    word = kin__job_lock(job);
    *parent = kin_job_retain(job->parent);
    kin__job_unlock(job, word);
    return 0;
}

size_t kin_job_children(kin_job *job, kin_job **children, size_t room)
{
    struct kin__node *node;
    size_t count = 0;
    uint32_t word;

    if (!job)
        kin__misuse(KIN_EINVAL, "kin_job_children", "job is NULL");
    kin__ledger_check(KIN__LEDGER_JOB, job, "kin_job_children");
    if (!job || job->kind == KIN__NON_CANCELLABLE)
        return 0;
    word = kin__job_lock(job);
    for (node = job->list.next; node != &job->list; node = node->next) {
        if (node->kind != KIN__NODE_CHILD)
            continue;
        if (children && count < room)
            children[count] = kin_job_retain(kin__job_of_child(node));
        count++;
    }
    kin__job_unlock(job, word);
    return count;
}

/* --- Acting --------------------------------------------------------------- */

int kin_job_start(kin_job *job)
{
    if (!job)
        return kin__misuse(KIN_EINVAL, "kin_job_start", "job is NULL");
    kin__ledger_check(KIN__LEDGER_JOB, job, "kin_job_start");
    return kin__job_start(job);
}

/* What a user gave as a cause, as a cancellation; a new reference. */
static kin_error *as_cancellation(struct kin_job *job, kin_error *cause)
{
    if (!cause)
        return kin__error_make(KIN_ERROR_CANCELLATION, KIN_ECANCELED, job,
                               NULL, "", "the job was cancelled");
    if (kin_error_is_cancellation(cause))
        return kin_error_retain(cause);
    return kin__error_make(KIN_ERROR_CANCELLATION, KIN_ECANCELED, job, cause,
                           "", "%s", kin_error_message(cause));
}

void kin_job_cancel(kin_job *job, kin_error *cause)
{
    kin_error *cancellation;

    if (!job) {
        kin__misuse(KIN_EINVAL, "kin_job_cancel", "job is NULL");
        return;
    }
    kin__ledger_check(KIN__LEDGER_JOB, job, "kin_job_cancel");
    if (job->kind == KIN__NON_CANCELLABLE || kin_job_is_completed(job))
        return;
    cancellation = as_cancellation(job, cause);
    kin__job_retain(job);               /* it may end by this */
    kin__job_cancel(job, cancellation);
    kin_job_release(job);
    kin_error_release(cancellation);
}

void kin_job_cancel_children(kin_job *job, kin_error *cause)
{
    kin_error *cancellation;

    if (!job) {
        kin__misuse(KIN_EINVAL, "kin_job_cancel_children", "job is NULL");
        return;
    }
    kin__ledger_check(KIN__LEDGER_JOB, job, "kin_job_cancel_children");
    if (job->kind == KIN__NON_CANCELLABLE)
        return;
    cancellation = as_cancellation(job, cause);
    kin__job_retain(job);               /* it may end by this */
    kin__job_cancel_children(job, cancellation);
    kin_job_release(job);
    kin_error_release(cancellation);
}

kin_job *kin_current_job(void)
{
    struct kin__coroutine *co = kin__coroutine_current();

    return co ? co->current->job : NULL;
}
