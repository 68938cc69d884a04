/* end.c -- how a job ends.
 *
 *   body ends --> SEALED: what it waited for is over, its outcome decided
 *             --> told: a failure, to the parent or to whoever hears of it
 *             --> final; leaves its parent, which may be sealed by that
 *             --> callbacks and waiters, in order
 *             --> the machine's reference goes
 *
 * finish_one() does that for one job and names the parent if it is next.
 *
 * Three short cuts, for what happens most.  A body that returned 0, with no
 * child left: sealed and final are one step (complete()).  If besides one fiber
 * waits and nobody else is to be told of anything, so are the steps after it
 * (end_plainly()).  If nobody has a handle and nothing is registered, the job
 * ends under its parent's LOCK alone (end_quietly()): whoever comes to it from
 * elsewhere either has a reference or takes one under that LOCK. */
#include "core/chance.h"
#include "core/check.h"
#include "core/error.h"
#include "core/record.h"
#include "core/thread.h"
#include "job/block.h"
#include "job/context.h"
#include "job/coroutine.h"
#include "job/job.h"
#include "job/job_word.h"
#include "job/ledger.h"

#include <stddef.h>

/* --- What waits for the end ----------------------------------------------- */

/* Runs it, in order; the job is final.  Callbacks that have failed are told of
 * when the last has run, before those who wait behind it go on: what a handler
 * uses may be theirs. */
static void run_completions(struct kin_job *job, kin_error *cause,
                            struct kin_job *parent, kin_error **broken)
{
    for (;;) {
        uint32_t word = kin__job_lock(job);
        struct kin__node *node = job->list.next;
        struct kin__waiter waiter = { .runnable = NULL };

        if (job->more && !kin__job_has(job, KIN__NODE_CALLBACK)) {
            kin__job_unlock(job, word);
            kin__callbacks_settle(job, parent, broken);
            continue;
        }
        while (node->kind == KIN__NODE_CURSOR)
            node = node->next;
        if (node == &job->list) {
            kin__job_unlock(job, word & ~(uint32_t)KIN__JOB_TELLING);
            return;
        }
        kin__node_unlink(node);
        if (node->kind == KIN__NODE_WAITER)
            waiter = *(struct kin__waiter *)node;
        /* A waiter that has been cancelled may go now, and the node with it. */
        kin__job_unlock(job, word);
        if (waiter.runnable)
            kin__wait_wake(waiter.runnable, waiter.generation, 0, NULL);
        else
            kin__callback_run(job, node, cause);
    }
}

/* --- Final ---------------------------------------------------------------- */

/* What is left to do when a job has become final. */
struct farewell {
    struct kin_job *parent;             /* NULL: it had none                 */
    bool drop;                          /* it still waits for the job        */
    bool sealed;                        /* it is to be finished              */
    bool counted;                       /* the job has a reference to it     */
    bool told;                          /* nobody waits, but for this one:   */
    struct kin__runnable *waiter;       /* NULL: nobody                      */
    uint64_t generation;
};

static bool tells_when_freed(const struct kin_job *job)
{
    return job->kind == KIN__DEFERRED ? kin__deferred_tells_when_freed(job)
                                      : kin__coroutine_tells_when_freed(job);
}

/* Something of the user's is told at the end, or when the record is freed. */
static bool tells_user(const struct kin_job *job)
{
    return job->more || kin__job_has(job, KIN__NODE_CALLBACK)
        || tells_when_freed(job);
}

/* Takes the only waiter along, if there is nothing else. */
static void take_waiter(struct kin_job *job, struct farewell *farewell)
    KIN_REQUIRES(*job)
{
    struct kin__node *node = job->list.next;

    farewell->waiter = NULL;
    farewell->told = node == &job->list && !job->more;
    if (node->kind != KIN__NODE_WAITER || node->next != &job->list
        || job->more)
        return;
    farewell->waiter = ((struct kin__waiter *)node)->runnable;
    farewell->generation = ((struct kin__waiter *)node)->generation;
    farewell->told = true;
    kin__node_unlink(node);
}

/* Makes it final with that outcome.  Unlocks. */
static void make_final(struct kin_job *job, uint32_t word, kin_error *outcome,
                       struct farewell *farewell)
    KIN_UNLOCKS(*job)
{
    kin_error *before = job->cause;

    farewell->parent = job->parent;
    farewell->drop = tells_user(job);
    farewell->sealed = false;
    farewell->counted = job->parent && !kin__job_has_body(job->parent);
    take_waiter(job, farewell);
    if (kin__job_has_body(job))
        kin__scope_keep(kin__job_scope(job),
                        farewell->drop || kin__job_given_name(job));
    /* What it keeps may be released last by it. */
    farewell->drop = farewell->drop || tells_when_freed(job);
    word = move(word, outcome ? KIN_JOB_CANCELLED : KIN_JOB_COMPLETED);
    if (!farewell->told)
        word |= KIN__JOB_TELLING;       /* see run_completions() */
    job->cause = outcome;
    job->parent = NULL;
    kin__job_unlock(job, word);
    kin_error_release(before);
}

/* One off what a locked parent waits for.  What is on a list itself is kept by
 * that until it is final: so the job's reference to it goes in the same hold.
 * Later it could be the last, and hand back what was to go back earlier. */
static void drop_parent(struct kin_job *parent, uint32_t *word,
                        struct farewell *farewell)
    KIN_REQUIRES(*parent)
{
    farewell->sealed = drop_locked(parent, word);
    if (farewell->counted && !farewell->sealed && parent->parent) {
        /* release: pairs with acq_rel in kin_job_release() */
        atomic_fetch_sub_explicit(&parent->refs, 1, memory_order_release);
        farewell->counted = false;
    }
}

/* Leaves the family.  The parent stops waiting at once, so that a fiber which
 * this job's end wakes finds it gone; but if the user is told something, only
 * after that: what he uses then may belong to the parent's body. */
static void leave_parent(struct kin_job *job, struct farewell *farewell)
{
    struct kin_job *parent = farewell->parent;
    uint32_t word;

    if (!parent) {
        kin__root_unlink(job);
        return;
    }
    word = kin__job_lock(parent);
    kin__node_unlink(&job->child);
    if (!farewell->drop)
        drop_parent(parent, &word, farewell);
    kin__job_unlock(parent, word);
}

static void wake_waiter(const struct farewell *farewell)
{
    if (farewell->waiter)
        kin__wait_wake(farewell->waiter, farewell->generation, 0, NULL);
}

/* The job may be gone then, and its parent waits for it no longer. */
static void let_go(struct kin_job *job, struct farewell *farewell)
{
    if (farewell->parent || kin__job_has_body(job))
        kin_job_release(job);           /* the list's, or the machine's */
    kin__chance(KIN__CHANCE_FREED);
    if (farewell->parent && farewell->drop) {
        uint32_t word = kin__job_lock(farewell->parent);

        drop_parent(farewell->parent, &word, farewell);
        kin__job_unlock(farewell->parent, word);
    }
}

/* A final job tells and goes; returns its parent if that is sealed now, with
 * the child's reference to it. */
static struct kin_job *say_farewell(struct kin_job *job, kin_error *outcome,
                                    struct farewell *farewell,
                                    kin_error **broken)
{
    leave_parent(job, farewell);
    kin__chance(KIN__CHANCE_FINAL);
    if (job->kind == KIN__DEFERRED && farewell->told) {
        /* Who waits has a handle, or there is no need of the value. */
        let_go(job, farewell);
        wake_waiter(farewell);
    } else {
        wake_waiter(farewell);
        if (!farewell->told)
            run_completions(job, outcome, farewell->parent, broken);
        if (job->kind == KIN__BLOCKING)
            kin__coroutine_tell_done(job);
        if (kin__job_has_body(job))
            kin__ledger_settled(job);
        let_go(job, farewell);
    }
    if (farewell->counted && !farewell->sealed)
        kin_job_release(farewell->parent);  /* else it may be gone */
    return farewell->sealed ? farewell->parent : NULL;
}

/* Ends one sealed job; returns as say_farewell. */
static struct kin_job *finish_one(struct kin_job *job, kin_error **broken)
{
    kin_error *outcome = kin__failures_settle(job);
    struct farewell farewell;
    uint32_t word;

    if (outcome && !kin_error_is_cancellation(outcome)
        && !kin__job_tell_parent(job, outcome))
        kin__failure_report(job, outcome);
    kin__chance(KIN__CHANCE_SEALED);
    word = kin__job_lock(job);
    make_final(job, word, outcome, &farewell);
    return say_farewell(job, outcome, &farewell, broken);
}

/* Finishes a parent that is sealed (NULL: none is), and who is sealed by that.
 * The reference that a child has to a job without a body is let go: before
 * that of the list it is on, which is let go while its own parent waits. */
static void finish_above(struct kin_job *job)
{
    while (job) {
        bool counted = !kin__job_has_body(job), listed = job->parent;
        struct kin_job *parent;

        if (counted && listed)
            kin_job_release(job);
        parent = finish_one(job, NULL);
        if (counted && !listed)
            kin_job_release(job);       /* else it is gone */
        job = parent;
    }
}

void kin__job_finish(struct kin_job *job, kin_error **broken)
{
    finish_above(finish_one(job, broken));
}

/* --- The body has ended --------------------------------------------------- */

/* Nobody but who ends it has a reference, or has come to it, or could come
 * without one, as a child does: there has been none.  Without the parent's LOCK
 * this may change at any moment.  `word`: Active, or Cancelling. */
static bool looks_quiet(const struct kin_job *job, uint32_t refs, uint32_t word)
{
    /* acquire: pairs with acq_rel in kin_job_release(); kin__job_word()
     * acquires what was done under its LOCK */
    return atomic_load_explicit(&((struct kin_job *)job)->refs,
                                memory_order_acquire) == refs
        && kin__job_word(job) == word;
}

/* Nor has anybody left anything with it.  The parent is locked: who would come
 * from there cannot. */
static bool is_quiet(const struct kin_job *job, uint32_t refs, uint32_t word)
{
    return looks_quiet(job, refs, word)
        && !job->pending && !job->more && job->list.next == &job->list;
}

/* Of these the machine's is one. */
static uint32_t own_refs(const struct kin_job *job)
{
    return job->kind <= KIN__ASYNC ? 1 : 2;     /* a block: the fiber's */
}

static bool may_end_quietly(const struct kin_job *job)
{
    return job->parent && kin__job_has_body(job->parent)
        && (job->kind <= KIN__ASYNC   ? !kin__coroutine_tells_when_freed(job)
          : job->kind == KIN__TIMEOUT ? !kin__block_is_timed(job)
                                      : job->kind != KIN__BLOCKING);
}

/* Takes it off its parent's list, if it is quiet, and cancelled for `cause`
 * (NULL: not); *sealed: the parent is next, and stays until it is finished. */
static inline __attribute__((always_inline)) bool
leave_quietly(struct kin_job *job, const kin_error *cause, bool *sealed)
{
    uint32_t word = cause ? KIN_JOB_CANCELLING : KIN_JOB_ACTIVE;
    struct kin_job *parent = job->parent;
    uint32_t refs = own_refs(job), parent_word;
    bool quiet;

    if (!looks_quiet(job, refs, word))
        return false;
    kin__chance(KIN__CHANCE_ENDS);
    parent_word = kin__job_lock(parent);
    quiet = is_quiet(job, refs, word) && job->cause == cause;
    if (KIN__LIKELY(quiet)) {
        kin__node_unlink(&job->child);
        *sealed = drop_locked(parent, &parent_word);
    }
    kin__job_unlock(parent, parent_word);
    return quiet;
}

/* Ends a job of which nobody knows; false if somebody does. */
static bool end_quietly(struct kin_job *job)
{
    struct kin_job *parent = job->parent;
    uint32_t refs = own_refs(job);
    bool sealed = false;

    if (!may_end_quietly(job) || !leave_quietly(job, NULL, &sealed))
        return false;
    job->parent = NULL;
    /* relaxed: nobody else can come to it any more */
    atomic_store_explicit(&job->word, KIN_JOB_COMPLETED | KIN__JOB_BODY_DONE
                                          | KIN__JOB_SEALED,
                          memory_order_relaxed);
    atomic_store_explicit(&job->refs, refs - 1, memory_order_relaxed);
    if (refs == 1)
        kin__coroutine_free(job);
    if (KIN__UNLIKELY(sealed))
        finish_above(parent);
    return true;
}

/* The same for one that was cancelled as a part of its family, and has ended
 * with that very error, whose reference is taken then. */
static bool end_cancelled_quietly(struct kin_job *job, kin_error *error)
{
    struct kin_job *parent = job->parent;
    bool sealed = false;

    if (job->kind > KIN__ASYNC || !kin_error_is_cancellation(error)
        || !may_end_quietly(job) || !leave_quietly(job, error, &sealed))
        return false;
    kin__error_release_many(error, job->cancellation == error ? 3 : 2);
    if (job->cancellation && job->cancellation != error)
        kin_error_release(job->cancellation);
    kin__coroutine_free(job);
    if (KIN__UNLIKELY(sealed))
        finish_above(parent);
    return true;
}

/* Nothing of it is asked for after its end, and no value is handed back then:
 * see kin__scope_keep() and kin__coroutine_tells_when_freed(). */
static bool is_forgotten(const struct kin_job *job)
{
    const struct kin__coroutine *co = kin__coroutine_of_job(job);

    return !kin__scope_owns(&co->scope) && !co->scope.kept && !co->scope.named
        && !co->scope.context->handler && !(co->on_undelivered && co->value);
}

/* A job that ends by itself, and concerns nobody but the one who waits. */
static bool is_plain(const struct kin_job *job, uint32_t word)
    KIN_REQUIRES(*job)
{
    struct kin__node *node = job->list.next;

    return job->kind <= KIN__ASYNC && job->parent
        && kin__job_has_body(job->parent)
        && (word & ~(uint32_t)KIN__JOB_PARENT) == KIN_JOB_ACTIVE
        && !job->pending && !job->more
        && node->kind == KIN__NODE_WAITER && node->next == &job->list
        && is_forgotten(job);
}

/* Ends a plain job, as make_final() and say_farewell() would.  Unlocks. */
static void end_plainly(struct kin_job *job, uint32_t word)
    KIN_UNLOCKS(*job)
{
    struct kin__waiter *node = (struct kin__waiter *)job->list.next;
    struct kin__runnable *waiter = node->runnable;
    uint64_t generation = node->generation;
    struct kin_job *parent = job->parent;
    bool sealed;

    kin__node_unlink(&node->node);
    kin__coroutine_of_job(job)->scope.context = kin_context_empty();
    job->parent = NULL;
    kin__job_unlock(job, KIN_JOB_COMPLETED | KIN__JOB_BODY_DONE
                             | KIN__JOB_SEALED | (word & KIN__JOB_PARENT));
    word = kin__job_lock(parent);
    kin__node_unlink(&job->child);
    sealed = drop_locked(parent, &word);
    kin__job_unlock(parent, word);
    kin__chance(KIN__CHANCE_FINAL);
    kin__wait_wake(waiter, generation, 0, NULL);
    kin__ledger_settled(job);
    kin_job_release(job);               /* the machine's */
    kin__chance(KIN__CHANCE_FREED);
    if (KIN__UNLIKELY(sealed))
        finish_above(parent);
}

/* Seals if there is nothing else to wait for. */
static void complete(struct kin_job *job)
{
    uint32_t word;
    bool is_sealed;
    struct farewell farewell;

    kin__chance(KIN__CHANCE_ENDS);
    word = kin__job_lock(job);
    if (is_plain(job, word)) {
        end_plainly(job, word);
        return;
    }
    word |= KIN__JOB_BODY_DONE;
    is_sealed = !job->pending && !is_over(word);
    if (is_sealed)
        word |= KIN__JOB_SEALED;
    if (is_sealed && state_of(word) == KIN_JOB_ACTIVE && !job->more) {
        make_final(job, word, NULL, &farewell);
        finish_above(say_farewell(job, NULL, &farewell, NULL));
        return;
    }
    if (!is_sealed && state_of(word) == KIN_JOB_ACTIVE)
        word = move(word, KIN_JOB_COMPLETING);
    kin__job_unlock(job, word);
    if (is_sealed)
        kin__job_finish(job, NULL);
}

void kin__job_body_end(struct kin_job *job, kin_error *error)
{
    if (KIN__UNLIKELY(error)) {
        if (end_cancelled_quietly(job, error))
            return;
        kin__chance(KIN__CHANCE_ENDS);
        kin__job_cancel(job, error);
        kin_error_release(error);
    } else if (end_quietly(job)) {
        return;
    }
    complete(job);
}

/* --- By hand -------------------------------------------------------------- */

/* What a locked job waits for may be but those who look on (walk.c), or the
 * callbacks of children that are final: neither has a say in its outcome. */
static bool waits_for_child(const struct kin_job *job)
{
    return job->pending && kin__job_has(job, KIN__NODE_CHILD);
}

bool kin__job_claim(struct kin_job *job, bool succeeds)
{
    uint32_t word = kin__job_lock(job);
    bool first = state_of(word) == KIN_JOB_ACTIVE
              && !(word & (KIN__JOB_BODY_DONE | KIN__JOB_SEALED));

    if (first) {
        kin__job_retain(job);           /* it may end by this */
        word |= KIN__JOB_BODY_DONE;
        if (succeeds && !waits_for_child(job))
            word |= KIN__JOB_SEALED;    /* a cancellation comes too late */
        job->pending++;
    }
    kin__job_unlock(job, word);
    return first;
}

/* The claim is settled: true if that was all the job has waited for. */
static bool end_claim(struct kin_job *job)
{
    uint32_t word = kin__job_lock(job);
    bool ready = drop_locked(job, &word);

    if (!ready && state_of(word) == KIN_JOB_ACTIVE)
        word = move(word, KIN_JOB_COMPLETING);
    kin__job_unlock(job, word);
    return ready;
}

int kin__job_claimed_end(struct kin_job *job, kin_error *error)
{
    kin_error *broken = NULL;

    if (error)
        kin__job_cancel(job, error);
    if (end_claim(job))
        kin__job_finish(job, &broken);
    kin_job_release(job);
    return broken ? kin__fail_with(broken, KIN_EHANDLER) : 1;
}
