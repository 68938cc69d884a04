/* block.c -- scopes on the running fiber; see block.h. */
#include "job/block.h"

#include "core/chance.h"
#include "core/check.h"
#include "core/error.h"
#include "core/memory.h"
#include "job/context.h"
#include "job/ledger.h"
#include "job/slice.h"
#include "kin/stack.h"

#include <stddef.h>

struct kin__block_scope *kin__block_enter(struct kin__coroutine *co,
                                          enum kin__job_kind kind,
                                          kin_context *context, bool owned,
                                          struct kin_job *parent)
{
    struct kin__thread *thread = kin__thread();
    struct kin__block_scope *block = kin__record_get(thread);

    if (KIN__UNLIKELY(!block))
        return NULL;
    block->scope = (struct kin_scope){
        .job = &block->job, .outer = co->current, .context = context,
        .owns_context = owned,
        .timed = kind == KIN__TIMEOUT || co->current->timed,
    };
    if (KIN__UNLIKELY(context->thread_elements)
        && kin__slice_prepare(&block->scope) != 0) {
        kin__record_put(thread, block);
        return NULL;
    }
    kin__slice_off(co);
    block->outer_dispatcher = co->dispatcher;
    block->parks_before = co->runnable.parks;
    block->shielded = parent && parent->kind == KIN__NON_CANCELLABLE;
    block->moved = block->or_null = block->expired = false;
    /* relaxed, both: not published yet */
    atomic_store_explicit(&block->fired, false, memory_order_relaxed);
    atomic_store_explicit(&block->expiry, NULL, memory_order_relaxed);
    block->timer.fire = NULL;           /* there is none */
    kin__job_init(&block->job, kind, KIN_JOB_ACTIVE);
    kin__ledger_job(&block->job);
    block->runner = &co->runnable;
    /* The machine's, and the fiber's until the exit.
     * relaxed: not published yet */
    atomic_store_explicit(&block->job.refs, 2, memory_order_relaxed);
    kin__job_attach(parent, &block->job);
    co->current = &block->scope;
    return block;
}

static struct kin__block_scope *block_of(struct kin_job *job)
{
    return (struct kin__block_scope *)
        ((char *)job - offsetof(struct kin__block_scope, job));
}

struct kin__runnable *kin__block_runner(struct kin_job *job)
{
    return block_of(job)->runner;
}

struct kin_scope *kin__scope_of_block(struct kin_job *job)
{
    return &block_of(job)->scope;
}

bool kin__block_tells_when_freed(const struct kin_job *job)
{
    const struct kin_scope *scope = &block_of((struct kin_job *)job)->scope;

    return kin__scope_owns(scope) && scope->context->foreign;
}

void kin__block_free(struct kin_job *job)
{
    struct kin__block_scope *block = block_of(job);

    kin__ledger_job_gone(job);
    if (KIN__UNLIKELY(block->scope.worn))
        kin__slice_free(&block->scope);
    if (kin__scope_owns(&block->scope))
        kin_context_release(block->scope.context);
    kin__record_put(kin__thread(), block);
}

static const kin_error *expiry_of(const struct kin__block_scope *block)
{
    /* relaxed: one that the job was cancelled with is seen, by its LOCK; one
     * that comes too late for that is none of the errors it has, be it seen
     * or not */
    return atomic_load_explicit(&((struct kin__block_scope *)block)->expiry,
                                memory_order_relaxed);
}

bool kin__block_is_timed(const struct kin_job *job)
{
    return block_of((struct kin_job *)job)->timer.fire;
}

const kin_error *kin__block_expiry(const struct kin_job *job)
{
    return job->kind == KIN__TIMEOUT ? expiry_of(block_of((kin_job *)job))
                                     : NULL;
}

/* Ends the block's job and waits until it is final, and its callbacks have been
 * called, perhaps by a child elsewhere: what they use may be on the stack of
 * whoever entered the block.  What it waits for has been told of any
 * cancellation, so the wait itself is deaf to it. */
KIN_SUSPENDS
static void end_job(struct kin__coroutine *co,
                    struct kin__block_scope *block, int code)
{
    kin_error *error = code < 0 ? kin__error_of_result(code) : NULL;
    kin_error *cause;

    kin__job_body_end(&block->job, error);
    if (!kin__job_is_settled(&block->job)) {
        while (kin__job_wait(co, &block->job, NULL, "children of", &cause)
               == KIN_ENOMEM)
            kin_trim();                 /* no stack to go to: cannot leave */
    }
}

static bool is_own_expiry(const struct kin__block_scope *block,
                          const kin_error *error)
{
    return error == expiry_of(block);
}

/* A block that never parked is not interrupted by its timeout. */
static bool ignores_timeout(const struct kin__coroutine *co,
                            const struct kin__block_scope *block,
                            kin_error *error, int code)
{
    return code >= 0 && is_own_expiry(block, error)
        && co->runnable.parks == block->parks_before;
}

/* The code under which the outcome is told: an outer timeout reaches an inner
 * block as a cancellation. */
static int outcome_code(const struct kin__block_scope *block, kin_error *error,
                        int code)
{
    if (!kin_error_is_cancellation(error)
        || is_own_expiry(block, error)
        || (code < 0 && code == kin_error_code(error)))
        return kin_error_code(error);
    return KIN_ECANCELED;
}

/* The outcome of a final job, its error made current. */
static int outcome(struct kin__coroutine *co, struct kin__block_scope *block,
                   int code)
{
    kin_error *error = kin__job_error(&block->job);

    if (!error || ignores_timeout(co, block, error, code))
        return 0;
    if (block->or_null && is_own_expiry(block, error)) {
        block->expired = true;
        return 0;
    }
    return kin__fail_with(kin_error_retain(error),
                          outcome_code(block, error, code));
}

/* Back to the dispatcher of before.  If that takes nothing any more, the fiber
 * stays where it is and its job is cancelled. */
KIN_SUSPENDS
static void move_back(struct kin__coroutine *co,
                      struct kin__block_scope *block)
{
    int err;

    if (!block->moved)
        return;
    err = kin__hop(co, block->outer_dispatcher);
    if (err) {
        kin_error *why = kin_error_new("", err, NULL, "cannot go back to %s",
                                       kin_dispatcher_name(
                                           block->outer_dispatcher));
        if (co->current->job)
            kin_job_cancel(co->current->job, why);
        kin_error_release(why);
        co->dispatcher = kin_io();
        kin__requeue(co);
    }
}

static void stop_timer(struct kin__block_scope *block)
{
    kin__chance(KIN__CHANCE_DISARMS);
    if (!block->timer.fire)
        return;
    kin__stop_timer(&block->timer);
    block->timer.fire = NULL;
}

int kin__block_exit(struct kin__coroutine *co, struct kin__block_scope *block,
                    int code)
{
    uint32_t parks = co->runnable.parks;
    int err;

    kin__chance(KIN__CHANCE_LEAVES);
    kin__timeout_if_due(co);
    kin__slice_off(co);
    /* Without children there is nothing more that could take too long. */
    if (block->timer.fire && kin__job_word(&block->job) == KIN_JOB_ACTIVE)
        stop_timer(block);
    end_job(co, block, code);
    stop_timer(block);
    co->current = block->scope.outer;
    move_back(co, block);
    kin__slice_on(co);
    err = outcome(co, block, code);
    /* Resumed by a child or a dispatcher, and cancelled before it ran: a value
     * is dropped. */
    if (!err && (block->moved
                 || (!block->shielded && co->runnable.parks != parks)))
        err = kin__check_cancelled(co);
    kin_job_release(&block->job);
    return err;
}

/* --- coroutine_scope, supervisor_scope ------------------------------------ */

KIN_SUSPENDS
static int scope_function(kin_body *body, void *arg, enum kin__job_kind kind,
                          const char *function)
{
    struct kin__block_scope *block;
    struct kin__coroutine *co;
    int err = 0;

    if (!body)
        return kin__misuse(KIN_EINVAL, function, "body is NULL");
    co = kin__suspending_here(function, &err);
    if (KIN__UNLIKELY(!co))
        return err;
    block = kin__block_enter_here(co, kind);
    if (!block)
        return KIN_ENOMEM;
    kin__slice_on(co);
    return kin__block_exit(co, block,
                           KIN__CALL_GUARDED(function, body, &block->scope,
                                             arg));
}

int kin_coroutine_scope(kin_body *body, void *arg)
{
    return scope_function(body, arg, KIN__SCOPE, "kin_coroutine_scope");
}

int kin_supervisor_scope(kin_body *body, void *arg)
{
    return scope_function(body, arg, KIN__SUPERVISOR_SCOPE,
                          "kin_supervisor_scope");
}

/* --- with_context --------------------------------------------------------- */

/* The context of the block (*owned: with a reference), and the parent of its
 * job. */
static int context_of(struct kin__coroutine *co,
                      const kin_context_options *options,
                      kin_context **context, bool *owned,
                      struct kin_job **parent)
{
    kin_context *sum = co->current->context;
    kin_job *job = NULL;

    *parent = co->current->job;
    *owned = false;
    *context = sum;
    if (!options->context && !options->name) {
        if (options->dispatcher && options->dispatcher != sum->dispatcher)
            *context = kin__context_on(sum, options->dispatcher, owned);
        return *context ? 0 : KIN_ENOMEM;
    }
    *owned = true;
    kin_context_retain(sum);
    if (options->context) {
        sum = kin_context_join(sum, kin_context_retain(options->context));
        job = kin_context_get(options->context, &kin_key_job);
    }
    if (options->name)
        sum = kin_context_join(sum, kin_context_of_name(options->name));
    if (options->dispatcher)
        sum = kin_context_join(sum,
                               kin_context_of_dispatcher(options->dispatcher));
    if (job)
        *parent = job;
    if (sum && job) {
        *context = kin_context_minus(sum, &kin_key_job);
        kin_context_release(sum);
    } else {
        *context = sum;
    }
    return *context ? 0 : KIN_ENOMEM;
}

/* True if the job that the block will belong to is no longer active. */
static bool is_dead(const struct kin_job *parent)
{
    return parent && parent->kind != KIN__NON_CANCELLABLE
        && kin__job_state(parent) > KIN_JOB_COMPLETING;
}

/* Enters; *block is NULL if an error says why not. */
KIN_SUSPENDS
static int enter_context(struct kin__coroutine *co,
                         const kin_context_options *options,
                         struct kin__block_scope **out)
{
    kin_dispatcher *target;
    kin_context *context;
    struct kin_job *parent;
    struct kin__block_scope *block;
    bool owned;
    int err;

    *out = NULL;
    KIN_TRY(context_of(co, options, &context, &owned, &parent));
    block = kin__block_enter(co, KIN__SCOPE, context, owned, parent);
    if (!block) {
        if (owned)
            kin_context_release(context);
        return KIN_ENOMEM;
    }
    target = kin__context_dispatcher(context);
    if (is_dead(parent))
        return kin__block_exit(co, block, kin__check_cancelled(co));
    if (target && target != co->dispatcher) {
        err = kin__hop(co, target);
        block->moved = !err;
        if (!err)
            err = kin__check_cancelled(co);
        if (err)
            return kin__block_exit(co, block, err);
    }
    kin__slice_on(co);
    *out = block;
    return 0;
}

static int check_dispatcher(const kin_context_options *options,
                            const char *function)
{
    if (options->dispatcher && !options->dispatcher->ops)
        return kin__misuse(KIN_EINVAL, function, "dispatcher was never "
                           "initialised");
    return 0;
}

int kin_with_context_with(kin_body *body, const kin_context_options *options)
{
    struct kin__block_scope *block;
    struct kin__coroutine *co;
    int err = 0, code;

    if (!body || !options)
        return kin__misuse(KIN_EINVAL, "kin_with_context", "%s is NULL",
                           body ? "options" : "body");
    KIN_TRY(check_dispatcher(options, "kin_with_context"));
    co = kin__suspending_here("kin_with_context", &err);
    if (KIN__UNLIKELY(!co))
        return err;
    err = enter_context(co, options, &block);
    if (!block)
        return err;
    code = KIN__CALL_GUARDED("kin_with_context", body, &block->scope,
                             options->arg);
    err = kin__block_exit(co, block, code);
    if (code >= 0 && err == KIN_ECANCELED && options->on_undelivered)
        kin__hand_back(options->on_undelivered, options->arg);
    return err;
}

/* --- The block forms ------------------------------------------------------ */

kin__block kin__block_scope(int *result, int supervisor)
{
    kin__block form = { .outcome = result };
    struct kin__coroutine *co = kin__suspending(
        supervisor ? "KIN_SUPERVISOR_SCOPE" : "KIN_COROUTINE_SCOPE", result);
    struct kin__block_scope *block;

    if (!co)
        return form;
    block = kin__block_enter_here(co, supervisor ? KIN__SUPERVISOR_SCOPE
                                                 : KIN__SCOPE);
    *result = block ? 0 : KIN_ENOMEM;
    if (block)
        kin__slice_on(co);
    form.scope = block ? &block->scope : NULL;
    return form;
}

kin__block kin__block_context(int *result, const kin_context_options *options)
{
    kin__block form = { .outcome = result };
    struct kin__coroutine *co = kin__suspending("KIN_WITH_CONTEXT", result);
    struct kin__block_scope *block;

    if (!co)
        return form;
    *result = check_dispatcher(options, "KIN_WITH_CONTEXT");
    if (*result)
        return form;
    *result = enter_context(co, options, &block);
    form.scope = block ? &block->scope : NULL;
    return form;
}

void kin__block_leave(kin__block *form)
{
    kin_error *current;
    struct kin__coroutine *co;
    int err;

    if (!form->scope)
        return;
    co = kin__coroutine_current();
    if (co->current != form->scope) {
        kin__misuse(KIN_EPERM, "a block", "left on another fiber, or not as "
                    "the innermost one");
        return;
    }
    current = kin_error_retain(kin_error_current());
    err = kin__block_exit(co, kin__block_of_scope(form->scope), 0);
    *form->outcome = err;
    if (!err && current)
        kin__error_set_current(current);    /* of a return inside the block */
    else
        kin_error_release(current);
}
