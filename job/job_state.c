/* job_state.c -- how a job moves, and how failure and cancellation travel.
 *
 * Downwards: a walk over the list of the job that began to cancel, depth first
 * in the order of attachment.  It keeps its place with a cursor in each list,
 * and its way back in walk_up, so it needs no recursion, no memory, and no lock
 * while it calls out.  A job is walked once: by whoever moved it to CANCELLING.
 * Most children are leaves, and cancelled in batches (leaves.c); the others are
 * entered one by one.
 *
 * Upwards: a failure goes from parent to parent as long as each accepts it; the
 * jobs it went through are held (pending) until the top has been told, so that
 * none of them is finished under way. */
#include "core/chance.h"
#include "core/check.h"
#include "core/error.h"
#include "core/thread.h"
#include "job/coroutine.h"
#include "job/job.h"
#include "job/job_word.h"
#include "job/leaves.h"

#include <stddef.h>

/* --- Why it is cancelled -------------------------------------------------- */

kin_error *kin__job_cancellation(struct kin_job *job)
{
    kin_error *error = NULL, *made;
    uint32_t word = kin__job_lock(job);
    bool wrap = job->cause && !job->cancellation;

    if (wrap && kin_error_is_cancellation(job->cause)) {
        job->cancellation = kin_error_retain(job->cause);
        wrap = false;
    }
    error = kin_error_retain(wrap ? job->cause : job->cancellation);
    kin__job_unlock(job, word);
    if (KIN__LIKELY(!wrap))
        return error;
    made = kin__error_make(KIN_ERROR_CANCELLATION, KIN_ECANCELED, job,
                           error, "", "the job has failed: %s",
                           kin_error_message(error));
    kin_error_release(error);
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
        job->cursor.kind = KIN__NODE_CURSOR;
        job->cursor.prev = &job->list;
        job->cursor.next = job->list.next;
        job->list.next->prev = &job->cursor;
        job->list.next = &job->cursor;
    }
    kin__job_unlock(job, word);
    return begun;
}

static void release_hold(struct kin_job *job)
{
    if (drop_pending(job))
        kin__job_finish(job, NULL);
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

/* Cancels the leaves that come next; then moves the cursor behind the next
 * child or, if wanted, cancelling callback, and returns it; NULL at the end,
 * when the cursor has left, or if there was no room for more leaves.  A child
 * is retained, a callback unlinked. */
static struct kin__node *walk_step(struct kin_job *job,
                                   struct kin__node *cursor, bool callbacks,
                                   struct kin__leaves *leaves)
{
    uint32_t word = kin__job_lock(job);
    struct kin__node *node = kin__leaves_cancel(leaves, job, cursor->next);

    while (leaves->room && node != &job->list && node->kind != KIN__NODE_CHILD
           && !(callbacks && is_cancelling(node)))
        node = node->next;
    /* Whoever is woken may withdraw it, so that is not done with it in hand. */
    if (node->kind == KIN__NODE_CALLBACK && leaves->woken.head)
        leaves->room = 0;
    kin__node_unlink(cursor);
    if (!leaves->room) {
        kin__node_append(node, cursor);         /* that is: before it */
        node = NULL;
    } else if (node == &job->list) {
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
     * pairs with publish() of wait.c */
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
        struct kin__leaves leaves;
        struct kin__node *node;

        kin__chance(KIN__CHANCE_WALKS);
        kin__leaves_begin(&leaves, NULL);
        node = walk_step(job, &job->cursor, true, &leaves);
        if (kin__leaves_end(&leaves))
            continue;
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
    struct kin__leaves leaves;
    struct kin__node *node;
    uint32_t word = kin__job_lock(job);
    bool over = is_over(word), more;

    if (!over) {
        kin__node_append(job->list.next, &cursor);  /* at the front */
        job->pending++;         /* what is let go of here may be its body's */
    }
    kin__job_unlock(job, word);
    if (over)
        return;
    do {
        kin__leaves_begin(&leaves, cause);
        node = walk_step(job, &cursor, false, &leaves);
        more = kin__leaves_end(&leaves);
        if (node) {
            kin__job_cancel(kin__job_of_child(node), cause);
            kin_job_release(kin__job_of_child(node));
        }
    } while (node || more);
    release_hold(job);
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

bool kin__job_tell_parent(struct kin_job *job, kin_error *error)
{
    struct kin_job *parent = told_parent(job, error);

    if (is_scoped(job))
        return true;                    /* its caller gets it */
    return parent && kin__job_cancel(parent, error) && parent->handles;
}
