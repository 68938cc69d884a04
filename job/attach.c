/* attach.c -- how a job begins: with a parent, and with a start. */
#include "core/error.h"
#include "job/coroutine.h"
#include "job/job.h"
#include "job/job_word.h"
#include "job/ledger.h"

bool kin__job_start(struct kin_job *job)
{
    uint32_t word;
    bool started;

    /* relaxed: only a New job needs the lock, and New is where it begins */
    if (state_of(atomic_load_explicit(&job->word, memory_order_relaxed))
        != KIN_JOB_NEW)
        return false;
    word = kin__job_lock(job);
    started = state_of(word) == KIN_JOB_NEW;
    kin__job_unlock(job, started ? move(word, KIN_JOB_ACTIVE) : word);
    if (started)
        kin__coroutine_dispatch(kin__thread(), kin__coroutine_of_job(job));
    return started;
}

/* The list of a locked job is a ring, and its children are as deep as they
 * must be, and no more than it waits for. */
static bool family_is_valid(struct kin_job *job)
{
    struct kin__node *node = &job->list;
    uint32_t children = 0;

    do {
        if (!kin__node_is_valid(node))
            return false;
        if (node->kind == KIN__NODE_CHILD
            && (kin__job_of_child(node)->depth != job->depth + 1
                || ++children > job->pending))
            return false;
        node = node->next;
    } while (node != &job->list);
    return true;
}

void kin__job_attach(struct kin_job *parent, struct kin_job *child)
{
    kin_error *cause;
    uint32_t word;
    bool late;

    kin__ledger_attach(parent, child);
    if (!parent || parent->kind == KIN__NON_CANCELLABLE) {
        kin__root_link(child);
        return;
    }
    word = kin__job_lock(parent);
    late = is_over(word) || state_of(word) == KIN_JOB_CANCELLING;
    if (late)
        kin__job_retain(child);         /* whoever cancels may end it, too */
    if (!is_over(word)) {
        if (!kin__job_has_body(parent))
            kin__job_retain(parent);    /* the child's */
        if (!kin__job_has_body(child))
            kin__job_retain(child);     /* the list's */
        child->parent = parent;
        child->depth = parent->depth + 1;
        kin__node_append(&parent->list, &child->child);
        parent->pending++;
        KIN_SLOW_OF(parent->pending, family_is_valid(parent));
        word |= KIN__JOB_PARENT;
    }
    kin__job_unlock(parent, word);
    if (is_over(word)) {
        if (kin__job_has_body(child))
            kin__scope_own(kin__job_scope(child));
        kin__root_link(child);
    }
    if (state_of(word) == KIN_JOB_NEW)
        kin__job_start(parent);
    if (!late)
        return;
    cause = kin__job_cancellation(parent);
    if (!cause)
        cause = kin__error_make(KIN_ERROR_CANCELLATION, KIN_ECANCELED, parent,
                                NULL, "", "the parent has completed");
    kin__job_cancel(child, cause);
    kin_error_release(cause);
    kin_job_release(child);
}
