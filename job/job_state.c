/* job_state.c -- how a job moves, and how failure and cancellation travel.
 *
 * Downwards: a walk over the list of the job that began to cancel, depth first
 * in the order of attachment.  It keeps its place with a cursor in each list,
 * and its way back in walk_up, so it needs no recursion, no memory, and no lock
 * while it calls out.  A job is walked once: by whoever moved it to CANCELLING.
 *
 * Upwards: a failure goes from parent to parent as long as each accepts it; the
 * jobs it went through are held (pending) until the top has been told, so that
 * none of them is finished under way.
 *
 * The end: finish_one() seals, tells, and frees one job, and names the parent
 * if that can be finished now; finish() goes on with it. */
#include "core/chance.h"
#include "core/check.h"
#include "core/error.h"
#include "core/thread.h"
#include "job/coroutine.h"
#include "job/job.h"
#include "job/job_word.h"

#include <stddef.h>

static void finish(struct kin_job *sealed, kin_error **broken);

/* --- Why it is cancelled -------------------------------------------------- */

kin_error *kin__job_cancellation(struct kin_job *job)
{
    kin_error *error = NULL, *made = NULL;
    uint32_t word = kin__job_lock(job);
    bool wrap = job->cause && !job->cancellation;

    if (wrap && kin_error_is_cancellation(job->cause)) {
        job->cancellation = kin_error_retain(job->cause);
        wrap = false;
    }
    if (wrap)                           /* made outside the lock */
        error = kin_error_retain(job->cause);
    kin__job_unlock(job, word);
    if (wrap) {
        made = kin__error_make(KIN_ERROR_CANCELLATION, KIN_ECANCELED, job,
                               error, "", "the job has failed: %s",
                               kin_error_message(error));
        kin_error_release(error);
    }
    word = kin__job_lock(job);
    if (made && !job->cancellation) {
        job->cancellation = made;
        made = NULL;
    }
    error = kin_error_retain(job->cancellation);
    kin__job_unlock(job, word);
    kin_error_release(made);            /* somebody else was first */
    return error;
}

/* --- Down ----------------------------------------------------------------- */

enum begun { TOO_LATE, ADDED, BEGUN };

/* Moves job to CANCELLING, with its cursor in place and held once. */
static enum begun begin_cancelling(struct kin_job *job, kin_error *cause)
{
    uint32_t word = kin__job_lock(job);
    enum begun begun = BEGUN;

    if (is_over(word)) {
        begun = TOO_LATE;
    } else if (state_of(word) == KIN_JOB_CANCELLING) {
        if (job->cause != cause)
            kin__failures_add(job, cause);
        begun = ADDED;
    } else {
        if (state_of(word) == KIN_JOB_NEW || !kin__job_has_body(job))
            word |= KIN__JOB_BODY_DONE;
        word = move(word, KIN_JOB_CANCELLING);
        job->cause = kin_error_retain(cause);
        job->pending++;
        job->cursor.prev = &job->list;
        job->cursor.next = job->list.next;
        job->list.next->prev = &job->cursor;
        job->list.next = &job->cursor;
    }
    kin__job_unlock(job, word);
    return begun;
}

/* One off what a locked job waits for; true if it is sealed by that. */
static bool drop_locked(struct kin_job *job, uint32_t *word)
    KIN_REQUIRES(*job)
{
    bool ready;

    job->pending--;
    ready = !job->pending && (*word & KIN__JOB_BODY_DONE) && !is_over(*word);
    if (ready)
        *word |= KIN__JOB_SEALED;
    return ready;
}

static bool drop_pending(struct kin_job *job)
{
    uint32_t word = kin__job_lock(job);
    bool ready = drop_locked(job, &word);

    kin__job_unlock(job, word);
    return ready;
}

static void release_hold(struct kin_job *job)
{
    if (drop_pending(job))
        finish(job, NULL);
}

void kin__job_let_go(struct kin_job *job)
{
    release_hold(job);
}

static bool is_cancelling(const struct kin__node *node)
{
    return node->kind == KIN__NODE_CALLBACK
        && kin__callback_is_cancelling(node);
}

/* Moves the cursor behind the next child or, if wanted, cancelling callback,
 * and returns it; NULL at the end, when the cursor has left.  A child is
 * retained, a callback unlinked. */
static struct kin__node *walk_step(struct kin_job *job,
                                   struct kin__node *cursor, bool callbacks)
{
    uint32_t word = kin__job_lock(job);
    struct kin__node *node = cursor->next;

    while (node != &job->list && node->kind != KIN__NODE_CHILD
           && !(callbacks && is_cancelling(node)))
        node = node->next;
    kin__node_unlink(cursor);
    if (node == &job->list) {
        node = NULL;
    } else {
        kin__node_append(node->next, cursor);   /* that is: right behind it */
        if (node->kind == KIN__NODE_CHILD)
            kin__job_retain(kin__job_of_child(node));
        else
            kin__node_unlink(node);
    }
    kin__job_unlock(job, word);
    return node;
}

/* The fiber that runs the body, or NULL. */
static struct kin__runnable *runner_of(struct kin_job *job)
{
    if (!kin__job_has_body(job))
        return NULL;
    return job->kind <= KIN__BLOCKING ? &kin__coroutine_of_job(job)->runnable
                                      : kin__block_runner(job);
}

/* Wakes what the job's own fiber waits for in it. */
static void cancel_wait(struct kin_job *job)
{
    struct kin__runnable *runner = runner_of(job);
    kin_error *cause;

    if (!runner)
        return;
    /* seq_cst, a change of nothing: the state before the look at the wait;
     * pairs with seq_cst in kin__cancel_if_late() */
    atomic_fetch_or_explicit(&job->word, 0, memory_order_seq_cst);
    cause = kin__job_cancellation(job);
    kin__wait_cancel_owned(runner, job, cause);
    kin_error_release(cause);
}

/* Cancels child as a part of the walk; true if it is to be walked next. */
static bool enter_child(struct kin_job *parent, struct kin_job *child)
{
    kin_error *cause = kin__job_cancellation(parent);
    bool begun = begin_cancelling(child, cause) == BEGUN;

    kin_error_release(cause);
    if (begun)
        child->walk_up = parent;
    else
        kin_job_release(child);
    return begun;
}

static void run_cancelling(struct kin_job *job, struct kin__node *node)
{
    kin__callback_run(job, node, job->cause);
}

/* Tells everything below root, which has begun to cancel and is held. */
static void walk(struct kin_job *root)
{
    struct kin_job *job = root;

    for (;;) {
        struct kin__node *node;

        kin__chance(KIN__CHANCE_WALKS);
        node = walk_step(job, &job->cursor, true);
        if (node && node->kind == KIN__NODE_CHILD) {
            if (enter_child(job, kin__job_of_child(node)))
                job = kin__job_of_child(node);
        } else if (node) {
            run_cancelling(job, node);
        } else {
            struct kin_job *done = job;

            cancel_wait(done);
            if (done == root)
                return;
            job = done->walk_up;
            release_hold(done);
            kin_job_release(done);
        }
    }
}

void kin__job_cancel_children(struct kin_job *job, kin_error *cause)
{
    struct kin__node cursor = { .kind = KIN__NODE_CURSOR };
    struct kin__node *node;
    uint32_t word = kin__job_lock(job);

    kin__node_append(job->list.next, &cursor);      /* at the front */
    kin__job_unlock(job, word);
    while ((node = walk_step(job, &cursor, false))) {
        kin__job_cancel(kin__job_of_child(node), cause);
        kin_job_release(kin__job_of_child(node));
    }
}

/* --- Up ------------------------------------------------------------------- */

static bool is_scoped(const struct kin_job *job)
{
    return job->kind == KIN__SCOPE || job->kind == KIN__SUPERVISOR_SCOPE
        || job->kind == KIN__TIMEOUT || job->kind == KIN__BLOCKING;
}

static bool is_supervisor(const struct kin_job *job)
{
    return job->kind == KIN__SUPERVISOR || job->kind == KIN__SUPERVISOR_SCOPE;
}

/* The parent that a failure of job goes to, or NULL. */
static struct kin_job *told_parent(struct kin_job *job, kin_error *error)
{
    if (is_scoped(job) || kin_error_is_cancellation(error) || !job->parent
        || is_supervisor(job->parent))
        return NULL;
    return job->parent;
}

bool kin__job_cancel(struct kin_job *job, kin_error *cause)
{
    struct kin_job *held = NULL, *current = job;
    enum begun begun, first = TOO_LATE;

    while (current) {
        begun = begin_cancelling(current, cause);
        if (current == job)
            first = begun;
        if (begun != BEGUN)
            break;
        walk(current);
        current->walk_up = held;
        held = current;
        current = told_parent(current, cause);
    }
    while (held) {                      /* the topmost first */
        struct kin_job *below = held->walk_up;

        release_hold(held);
        held = below;
    }
    return first != TOO_LATE;
}

/* True if somebody above has taken the failure. */
static bool tell_parent(struct kin_job *job, kin_error *error)
{
    struct kin_job *parent = told_parent(job, error);

    if (is_scoped(job))
        return true;                    /* its caller gets it */
    return parent && kin__job_cancel(parent, error) && parent->handles;
}

/* --- The end -------------------------------------------------------------- */

/* Runs what waits for the end, in order; the job is final.  Callbacks that have
 * failed are told of when the last has run, before those who wait behind it go
 * on: what a handler uses may be theirs. */
static void run_completions(struct kin_job *job, kin_error *cause,
                            struct kin_job *parent, kin_error **broken)
{
    for (;;) {
        uint32_t word = kin__job_lock(job);
        struct kin__node *node = job->list.next;
        struct kin__waiter waiter = { .runnable = NULL };

        if (job->more && !kin__job_has_callbacks(job)) {
            kin__job_unlock(job, word);
            kin__callbacks_settle(job, parent, broken);
            continue;
        }
        while (node->kind == KIN__NODE_CURSOR)
            node = node->next;
        if (node == &job->list) {
            kin__job_unlock(job, word);
            return;
        }
        kin__node_unlink(node);
        if (node->kind == KIN__NODE_WAITER)
            waiter = *(struct kin__waiter *)node;
        kin__job_unlock(job, word);     /* a waiter's node may be gone now */
        if (node->kind == KIN__NODE_CALLBACK)
            kin__callback_run(job, node, cause);
        else
            kin__wait_wake(waiter.runnable, waiter.generation, 0, NULL);
    }
}

/* What is left to do for the parent of a job that has become final. */
struct farewell {
    struct kin_job *parent;             /* NULL: it had none                 */
    bool drop;                          /* it still waits for the job        */
    bool sealed;                        /* it is to be finished              */
    bool counted;                       /* the job has a reference to it     */
};

/* Something of the user's is told at the end, or when the record is freed. */
static bool tells_user(const struct kin_job *job)
{
    return job->more || kin__job_has_callbacks(job)
        || kin__coroutine_tells_when_freed(job);
}

/* Leaves the family.  The parent stops waiting at once, so that a fiber which
 * this job's end wakes finds it gone; but if the user is told something, only
 * after that: what he uses then may belong to the parent's body. */
static void leave_parent(struct kin_job *job, struct farewell *farewell)
{
    struct kin_job *parent = farewell->parent;
    uint32_t word = kin__job_lock(parent);

    kin__node_unlink(&job->child);
    if (!farewell->drop)
        farewell->sealed = drop_locked(parent, &word);
    kin__job_unlock(parent, word);
}

/* Makes it final with that outcome. */
static struct farewell make_final(struct kin_job *job, kin_error *outcome)
{
    uint32_t word = kin__job_lock(job);
    struct farewell farewell = {
        .parent = job->parent, .drop = tells_user(job),
        .counted = job->parent && !kin__job_has_body(job->parent),
    };
    kin_error *before = job->cause;

    word = move(word, outcome ? KIN_JOB_CANCELLED : KIN_JOB_COMPLETED);
    job->cause = outcome;
    job->parent = NULL;
    kin__job_unlock(job, word);
    kin_error_release(before);
    if (farewell.parent)
        leave_parent(job, &farewell);
    else
        kin__root_unlink(job);
    return farewell;
}

/* Ends one sealed job; returns its parent if that is sealed now, with the
 * child's reference to it.  broken, if not NULL, gets what callbacks failed
 * with. */
static struct kin_job *finish_one(struct kin_job *job, kin_error **broken)
{
    kin_error *outcome = kin__failures_settle(job);
    struct farewell farewell;

    if (outcome && !kin_error_is_cancellation(outcome)
        && !tell_parent(job, outcome))
        kin__failure_report(job, outcome);
    kin__chance(KIN__CHANCE_SEALED);
    farewell = make_final(job, outcome);
    kin__chance(KIN__CHANCE_FINAL);
    run_completions(job, outcome, farewell.parent, broken);
    if (job->kind == KIN__BLOCKING)
        kin__coroutine_tell_done(job);
    if (farewell.parent || kin__job_has_body(job))
        kin_job_release(job);           /* the list's, or the machine's */
    kin__chance(KIN__CHANCE_FREED);
    if (farewell.parent && farewell.drop)
        farewell.sealed = drop_pending(farewell.parent);
    if (farewell.counted && !farewell.sealed)
        kin_job_release(farewell.parent);   /* else it may be gone */
    return farewell.sealed ? farewell.parent : NULL;
}

static void finish(struct kin_job *job, kin_error **broken)
{
    struct kin_job *child_of = finish_one(job, broken);

    while (child_of) {
        bool counted = !kin__job_has_body(child_of);

        job = child_of;
        child_of = finish_one(job, NULL);
        if (counted)
            kin_job_release(job);       /* else it is gone */
    }
}

/* The body has ended; seals if there is nothing else to wait for. */
static void body_done(struct kin_job *job)
{
    uint32_t word = kin__job_lock(job) | KIN__JOB_BODY_DONE;
    bool ready = !job->pending && !is_over(word);

    if (ready)
        word |= KIN__JOB_SEALED;
    else if (state_of(word) == KIN_JOB_ACTIVE)
        word = move(word, KIN_JOB_COMPLETING);
    kin__job_unlock(job, word);
    if (ready)
        finish(job, NULL);
}

void kin__job_body_end(struct kin_job *job, kin_error *error)
{
    kin__chance(KIN__CHANCE_ENDS);
    if (error) {
        kin__job_cancel(job, error);
        kin_error_release(error);
    }
    body_done(job);
}

bool kin__job_claim(struct kin_job *job, bool succeeds)
{
    uint32_t word = kin__job_lock(job);
    bool first = state_of(word) == KIN_JOB_ACTIVE
              && !(word & (KIN__JOB_BODY_DONE | KIN__JOB_SEALED));

    if (first) {
        kin__job_retain(job);           /* it may end by this */
        word |= KIN__JOB_BODY_DONE;
        if (succeeds && !job->pending)
            word |= KIN__JOB_SEALED;    /* a cancellation comes too late */
        else
            job->pending++;
    }
    kin__job_unlock(job, word);
    return first;
}

/* The claim is settled: true if the job is sealed by now. */
static bool end_claim(struct kin_job *job)
{
    uint32_t word = kin__job_lock(job);
    bool sealed = is_over(word);

    if (!sealed && state_of(word) == KIN_JOB_ACTIVE)
        word = move(word, KIN_JOB_COMPLETING);
    kin__job_unlock(job, word);
    return sealed || drop_pending(job);
}

int kin__job_claimed_end(struct kin_job *job, kin_error *error)
{
    kin_error *broken = NULL;

    if (error)
        kin__job_cancel(job, error);
    if (end_claim(job))
        finish(job, &broken);
    kin_job_release(job);
    return broken ? kin__fail_with(broken, KIN_EHANDLER) : 1;
}
