/* completion.c -- callbacks at the end, or at the cancelling, of a job.
 *
 * state:  LINKED -> RUNNING -> OVER      called
 *         LINKED -> OVER                 disposed of before
 *
 * LINKED ends under the job's lock, when the node is unlinked; a dispose that
 * finds RUNNING on another thread waits for OVER. */
#include "core/check.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/spin.h"
#include "core/thread.h"
#include "job/job.h"
#include "job/ledger.h"

enum { LINKED, RUNNING, OVER };

struct kin_registration {
    struct kin__node node;              /* first; guarded by the job's lock  */
    struct kin_job *job;                /* constant; retained                */
    kin_completion_fn *fn;              /* constant                          */
    void *arg;                          /* constant                          */
    int flags;                          /* constant                          */
    _Atomic int state;                  /* atomic: see above                 */
    _Atomic int refs;                   /* the list's, and the user's        */
    struct kin__thread *runs_on;        /* while RUNNING                     */
};

static void release(struct kin_registration *registration)
{
    /* acq_rel: pairs with itself: the last one frees what both have left */
    if (atomic_fetch_sub_explicit(&registration->refs, 1,
                                  memory_order_acq_rel) != 1)
        return;
    kin_job_release(registration->job);
    kin__free(registration);
}

bool kin__callback_is_cancelling(const struct kin__node *node)
{
    return ((const struct kin_registration *)node)->flags & KIN_ON_CANCELLING;
}

void kin__callback_run(struct kin_job *job, struct kin__node *node,
                       kin_error *cause)
{
    struct kin_registration *registration = (struct kin_registration *)node;
    kin_error *failure;

    registration->runs_on = kin__thread();
    /* release: publishes runs_on; pairs with acquire in
     * kin_registration_dispose() */
    atomic_store_explicit(&registration->state, RUNNING, memory_order_release);
    failure = kin__call_out(registration->fn, job, cause, registration->arg);
    if (failure)
        kin__callback_failed(job, failure);
    kin_error_release(failure);
    /* release: the call is over; pairs with acquire in
     * kin_registration_dispose() */
    atomic_store_explicit(&registration->state, OVER, memory_order_release);
    release(registration);
}

static bool is_final(uint32_t word)
{
    kin_job_state state = (kin_job_state)(word & KIN__JOB_STATE);

    return state == KIN_JOB_COMPLETED || state == KIN_JOB_CANCELLED;
}

/* It is too late to link it: calls it alone. */
static void call_at_once(struct kin_job *job, kin_completion_fn *fn, void *arg,
                         kin_error *cause)
{
    kin_error *failure = kin__call_out(fn, job, cause, arg);

    if (failure)
        kin__callback_failed_alone(job, failure);
    kin_error_release(failure);
}

/* Links it, or says that it is too late, and why it ended. */
static bool link_or_late(struct kin_registration *registration, bool *final,
                         kin_error **cause)
{
    struct kin_job *job = registration->job;
    uint32_t word = kin__job_lock(job);
    bool late;

    *final = is_final(word);
    late = *final || ((registration->flags & KIN_ON_CANCELLING)
                      && (word & KIN__JOB_STATE) == KIN_JOB_CANCELLING);
    *cause = late ? kin_error_retain(job->cause) : NULL;
    if (!late)
        kin__node_append(&job->list, &registration->node);
    kin__job_unlock(job, word);
    return !late;
}

static struct kin_registration *new_registration(kin_job *job,
                                                 kin_completion_fn *fn,
                                                 void *arg, int flags)
{
    struct kin_registration *registration = kin__malloc(sizeof *registration);

    if (!registration)
        return NULL;
    *registration = (struct kin_registration){
        .node = { .prev = &registration->node, .next = &registration->node,
                  .kind = KIN__NODE_CALLBACK },
        .job = kin_job_retain(job), .fn = fn, .arg = arg, .flags = flags,
        .state = LINKED, .refs = 2,
    };
    return registration;
}

int kin_invoke_on_completion(kin_job *job, kin_completion_fn *fn, void *arg,
                             int flags, kin_registration **out)
{
    struct kin_registration *registration;
    kin_error *cause;
    bool final;

    if (!job || !fn)
        return kin__misuse(KIN_EINVAL, "kin_invoke_on_completion",
                           "%s is NULL", job ? "fn" : "job");
    kin__ledger_check(KIN__LEDGER_JOB, job, "kin_invoke_on_completion");
    if (job->kind == KIN__NON_CANCELLABLE)
        return KIN_ENOTSUP;             /* it never ends */
    registration = new_registration(job, fn, arg, flags);
    if (!registration)
        return KIN_ENOMEM;
    if (!link_or_late(registration, &final, &cause)) {
        /* relaxed: not published yet */
        atomic_store_explicit(&registration->state, OVER,
                              memory_order_relaxed);
        if (!(flags & KIN_NOT_IMMEDIATELY))
            call_at_once(job, fn, arg, cause);
        kin_error_release(cause);
        release(registration);
    }
    if (out)
        *out = registration;
    else
        release(registration);
    return 0;
}

void kin_registration_dispose(kin_registration *registration)
{
    unsigned round = 0;
    uint32_t word;
    bool unlinked;

    if (!registration)
        return;
    word = kin__job_lock(registration->job);
    unlinked = kin__node_is_linked(&registration->node);
    if (unlinked)
        kin__node_unlink(&registration->node);
    kin__job_unlock(registration->job, word);
    if (unlinked) {
        release(registration);          /* the list's */
    } else {
        /* acquire: pairs with release in kin__callback_run() */
        while (atomic_load_explicit(&registration->state,
                                    memory_order_acquire) != OVER) {
            if (atomic_load_explicit(&registration->state,
                                     memory_order_acquire) == RUNNING
                && registration->runs_on == kin__thread())
                break;                  /* it disposes of itself */
            kin__spin_pause(&round);
        }
    }
    release(registration);
}
