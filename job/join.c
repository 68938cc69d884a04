/* join.c -- waiting for jobs: join and await. */
#include "core/chance.h"
#include "core/check.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/spin.h"
#include "job/coroutine.h"
#include "job/job.h"
#include "job/ledger.h"

#include <stddef.h>

/* --- Waiting for one job -------------------------------------------------- */

/* The fiber was cancelled.  That may be before it is registered, and then it
 * must not leave: publish_waiter() is about to link what lies on its stack. */
static void unlink_waiter(struct kin_job *job, struct kin__waiter *waiter)
{
    uint32_t word = kin__job_lock(job);
    unsigned round = 0;

    while (!waiter->published) {
        kin__job_unlock(job, word);
        kin__spin_pause(&round);
        word = kin__job_lock(job);
    }
    kin__node_unlink(&waiter->node);
    kin__job_unlock(job, word);
}

static bool is_active(uint32_t word)
{
    kin_job_state state = (kin_job_state)(word & KIN__JOB_STATE);

    return state == KIN_JOB_ACTIVE || state == KIN_JOB_COMPLETING;
}

static bool is_final(uint32_t word)
{
    kin_job_state state = (kin_job_state)(word & KIN__JOB_STATE);

    return state == KIN_JOB_COMPLETED || state == KIN_JOB_CANCELLED;
}

/* The owner's cancellation came too early to see the wait.  cause is taken. */
static void cancel_late(struct kin__runnable *runnable, uint64_t generation,
                        kin_error *cause)
{
    kin__wait_cancel(runnable, generation, cause);
    kin_error_release(cause);
}

void kin__wait_begin_in(struct kin__wait *wait, struct kin__coroutine *co,
                        struct kin_job *owner)
{
    kin__wait_prepare(wait, &co->runnable, owner);
    if (owner) {
        wait->own = owner == &co->job;
        wait->owner_word = &owner->word;
        wait->owner_alive = 1u << KIN_JOB_ACTIVE | 1u << KIN_JOB_COMPLETING;
    }
    kin__wait_begin(wait);
    kin__chance(KIN__CHANCE_BEGUN);
    /* relaxed: a cancellation of just now is seen when it parks */
    if (owner && !is_active(atomic_load_explicit(&owner->word,
                                                 memory_order_relaxed)))
        cancel_late(wait->runnable, wait->generation,
                    kin__job_cancellation(owner));
}

struct job_wait {
    struct kin__wait wait;
    struct kin__waiter waiter;
    struct kin_job *job, *owner;
};

/* On the next stack.  Once the wait is open the fiber may be resumed, by a
 * cancellation, but until it is published it comes no further than
 * unlink_waiter(): so the owner is asked before that, and not touched later,
 * when it may be gone.
 *
 *   publish                          cancel of the owner
 *   1 the wait is open               1 owner's state = cancelled
 *   2 (locked operation)             2 (locked operation)
 *   3 owner's state cancelled?       3 the wait is open?
 * Either the one sees the cancellation, or the other the wait. */
static void publish_waiter(void *arg)
{
    struct job_wait *self = arg;
    struct kin_job *job = self->job, *owner = self->owner;
    struct kin__runnable *r = self->wait.runnable, *next;
    uint64_t generation = self->wait.generation;
    kin_error *late = NULL;
    uint32_t word;
    bool open;

    kin__chance(KIN__CHANCE_LEFT);
    kin__wait_open(&self->wait);
    word = kin__job_lock(job);
    kin__full_barrier_after_rmw();
    /* seq_cst: pairs with seq_cst in cancel_wait() of job_state.c */
    if (KIN__UNLIKELY(owner
                      && !is_active(atomic_load_explicit(
                             &owner->word, memory_order_seq_cst)))) {
        kin__job_unlock(job, word);
        late = kin__job_cancellation(owner);
        word = kin__job_lock(job);
    }
    open = !is_final(word) || word & KIN__JOB_TELLING;
    if (open)
        kin__node_append(&job->list, &self->waiter.node);
    self->waiter.published = true;
    kin__job_unlock(job, word);
    if (KIN__LIKELY(open && !late))
        return;
    next = kin__hide_next();
    if (late)
        cancel_late(r, generation, late);
    if (!open)
        kin__wait_wake(r, generation, 0, NULL);
    kin__show_next(next);
}

int kin__job_wait(struct kin__coroutine *co, struct kin_job *job,
                  struct kin_job *owner, const char *what, kin_error **cause)
{
    struct job_wait self;
    int err;

    *cause = NULL;
    kin__wait_prepare(&self.wait, &co->runnable, owner);
    self.wait.own = owner == &co->job;
    self.wait.what = what;
    self.wait.target = job;
    kin__node_init(&self.waiter.node, KIN__NODE_WAITER);
    self.waiter.runnable = &co->runnable;
    self.waiter.generation = self.wait.generation;
    self.waiter.published = false;
    self.job = job;
    self.owner = owner;
    kin__chance(KIN__CHANCE_LINKS);
    err = kin__wait_park_open(&self.wait, publish_waiter, &self);
    if (err)
        return err;
    if (KIN__UNLIKELY(self.wait.outcome != KIN__WAIT_RESUMED))
        unlink_waiter(job, &self.waiter);
    *cause = self.wait.error;
    return self.wait.outcome == KIN__WAIT_CANCELLED ? KIN_ECANCELED : 0;
}

/* --- Join ----------------------------------------------------------------- */

/* True if job is the fiber's own, or one above it: it would wait for itself. */
static bool is_own(const struct kin__coroutine *co, const struct kin_job *job)
{
    const struct kin_job *each = co->current->job;

    while (each && each->depth > job->depth)
        each = each->parent;
    return each == job;
}

static int check_target(struct kin__coroutine *co, struct kin_job *job,
                        const char *function)
{
    if (job->kind == KIN__NON_CANCELLABLE)
        return kin__misuse(KIN_ENOTSUP, function, "the non-cancellable job "
                           "never ends");
    if (is_own(co, job))
        return kin__misuse(KIN_EDEADLK, function, "job \"%s\" waits for itself",
                           kin_job_name(job));
    return 0;
}

int kin_join(kin_job *job)
{
    struct kin__coroutine *co;
    kin_error *cause;
    int err = 0;

    if (!job)
        return kin__misuse(KIN_EINVAL, "kin_join", "job is NULL");
    kin__ledger_check(KIN__LEDGER_JOB, job, "kin_join");
    co = kin__suspending("kin_join", &err);
    if (!co)
        return err;
    err = kin__check_cancelled(co);
    if (err)
        return err;
    if (!is_final(kin__job_word(job))) {
        err = check_target(co, job, "kin_join");
        if (err)
            return err;
        kin__job_start(job);
        err = kin__job_wait(co, job, co->current->job, "join", &cause);
        if (err)
            return kin__fail_with(cause, err);
    }
    return kin__check_cancelled(co);
}

int kin_join_all(kin_job *const *jobs, size_t count)
{
    int err = 0;

    if (!jobs && count)
        return kin__misuse(KIN_EINVAL, "kin_join_all", "jobs is NULL");
    for (size_t i = 0; i < count; i++)
        if (!jobs[i])
            return kin__misuse(KIN_EINVAL, "kin_join_all", "jobs[%zu] is NULL",
                               i);
    if (!kin__suspending("kin_join_all", &err))
        return err;
    for (size_t i = 0; i < count; i++)
        KIN_TRY(kin_join(jobs[i]));
    return 0;
}

int kin_cancel_and_join(kin_job *job)
{
    if (!job)
        return kin__misuse(KIN_EINVAL, "kin_cancel_and_join", "job is NULL");
    kin_job_cancel(job, NULL);
    return kin_join(job);
}

/* --- Await ---------------------------------------------------------------- */

/* Why job is failing or has failed: a new reference, or NULL. */
static kin_error *root_cause(struct kin_job *job)
{
    uint32_t word = kin__job_lock(job);
    kin_error *cause = kin_error_retain(job->cause);

    kin__job_unlock(job, word);
    return cause;
}

/* The caller was cancelled by `cause` while it waited: by the failure of the
 * very job it waits for?  Then that is what it is told.  Not so if both were
 * cancelled by one and the same, as by a timeout around them. */
static int awaiting_cancelled(struct kin_job *job, kin_error *cause)
{
    kin_error *root = root_cause(job), *each = cause;

    while (each && each != root)
        each = kin_error_cause(each);
    if (!root || !each || kin_error_is_cancellation(root)) {
        kin_error_release(root);
        return kin__fail_with(cause, KIN_ECANCELED);
    }
    kin_error_release(cause);
    return kin__fail_with(root, kin_error_code(root));
}

/* Waits until the job is final. */
KIN_SUSPENDS
static int await_final(struct kin__coroutine *co, struct kin_job *job)
{
    kin_error *cause;
    int err = check_target(co, job, "kin_await");

    if (err)
        return err;
    kin__job_start(job);
    err = kin__job_wait(co, job, co->current->job, "await", &cause);
    if (err == KIN_ECANCELED)
        return awaiting_cancelled(job, cause);
    if (err)
        return kin__fail_with(cause, err);
    /* Resumed, and cancelled since: a value is lost, a failure is told. */
    return kin__job_error(job) ? 0 : kin__check_cancelled(co);
}

int kin_await(kin_deferred *deferred, void *value)
{
    struct kin_job *job = (struct kin_job *)deferred;
    struct kin__coroutine *co;
    int err = 0;

    if (!deferred)
        return kin__misuse(KIN_EINVAL, "kin_await", "deferred is NULL");
    kin__ledger_check(KIN__LEDGER_JOB, job, "kin_await");
    co = kin__suspending("kin_await", &err);
    if (!co)
        return err;
    if (!is_final(kin__job_word(job))) {
        err = await_final(co, job);
        if (err)
            return err;
    }
    return kin_deferred_get(deferred, value);
}

/* One completion callback for all that are awaited at once. */
struct await_all {
    struct kin__runnable *runnable;
    uint64_t generation;
    _Atomic size_t left;            /* to succeed                            */
};

static int one_ended(kin_job *job, kin_error *cause, void *arg)
{
    struct await_all *all = arg;

    (void)job;
    /* A failure does not count: none that succeeds after it is the last.
     * acq_rel: the last one sees what the others did; pairs with itself */
    if (cause)
        kin__wait_wake(all->runnable, all->generation, kin_error_code(cause),
                       kin_error_retain(cause));
    else if (atomic_fetch_sub_explicit(&all->left, 1, memory_order_acq_rel)
             == 1)
        kin__wait_wake(all->runnable, all->generation, 0, NULL);
    return 0;
}

/* Registers with all of them, and parks. */
KIN_SUSPENDS
static int wait_for_all(struct kin__coroutine *co, struct kin_job *const *jobs,
                        size_t count, kin_registration **registrations,
                        kin_error **error)
{
    struct kin__wait wait;
    struct await_all all = { .left = count };
    size_t made;
    int err = 0;

    kin__wait_begin_in(&wait, co, co->current->job);
    wait.what = "await_all";
    all.runnable = wait.runnable;
    all.generation = wait.generation;
    for (made = 0; made < count && !err; made++) {
        kin__job_start(jobs[made]);
        err = kin_invoke_on_completion(jobs[made], one_ended, &all, 0,
                                       &registrations[made]);
    }
    if (err) {
        made--;
        kin__wait_end(&wait);
    } else {
        err = kin__wait_park(&wait);
    }
    while (made--)
        kin_registration_dispose(registrations[made]);
    *error = wait.error;
    if (!err && wait.outcome == KIN__WAIT_CANCELLED)
        err = KIN_ECANCELED;
    return err ? err : wait.result;
}

/* The first that has failed already, or count; starts the lazy ones, in order,
 * which may run there and then. */
static size_t find_failed(struct kin_job *const *jobs, size_t count)
{
    size_t failed = count;

    for (size_t i = 0; i < count; i++) {
        kin__job_start(jobs[i]);
        if (failed == count && kin__job_error(jobs[i]))
            failed = i;
    }
    return failed;
}

KIN_SUSPENDS
static int await_all_checked(struct kin__coroutine *co,
                             kin_deferred *const *deferreds, size_t count)
{
    struct kin_job *const *jobs = (struct kin_job *const *)deferreds;
    kin_registration **registrations;
    kin_error *error = NULL;
    size_t failed = find_failed(jobs, count);
    int err;

    if (failed < count)
        return kin_deferred_get(deferreds[failed], NULL);
    registrations = kin__calloc(count, sizeof *registrations);
    if (!registrations)
        return KIN_ENOMEM;
    err = wait_for_all(co, jobs, count, registrations, &error);
    kin__free(registrations);
    if (err)
        return kin__fail_with(error, err);
    kin_error_release(error);
    return kin__check_cancelled(co);
}

int kin_await_all(kin_deferred *const *deferreds, size_t count, void **values)
{
    struct kin__coroutine *co;
    int err = 0;

    if (!deferreds && count)
        return kin__misuse(KIN_EINVAL, "kin_await_all", "deferreds is NULL");
    co = kin__suspending("kin_await_all", &err);
    if (!co)
        return err;
    for (size_t i = 0; i < count; i++) {
        if (!deferreds[i])
            return kin__misuse(KIN_EINVAL, "kin_await_all",
                               "deferreds[%zu] is NULL", i);
        KIN_TRY(check_target(co, (struct kin_job *)deferreds[i],
                             "kin_await_all"));
    }
    if (count)
        KIN_TRY(await_all_checked(co, deferreds, count));
    for (size_t i = 0; i < count; i++)
        KIN_TRY(kin_deferred_get(deferreds[i], values ? &values[i] : NULL));
    return 0;
}
