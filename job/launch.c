/* launch.c -- launch, async and run_blocking. */
#include "kin/launch.h"

#include "core/check.h"
#include "core/error.h"
#include "core/hold.h"
#include "dispatch/event_loop.h"
#include "job/context.h"
#include "job/coroutine.h"
#include "job/deadlock.h"
#include "job/ledger.h"
#include "kin/stack.h"

#include <stdint.h>

/* True if what is launched has the context that scope has, but for the
 * dispatcher. */
static bool is_inherited(const kin_context *own,
                         const kin_launch_options *options)
{
    return !options->context && !options->name && !options->handler
        && (own->dispatcher || options->dispatcher) && !own->copyable;
}

/* The scope's own, on `dispatcher` if that is given. */
static kin_context *inherited(kin_scope *scope, kin_context *own,
                              kin_dispatcher *dispatcher, bool *owned)
{
    kin_context *context = own;

    *owned = false;
    if (dispatcher)
        context = kin__context_on(own, dispatcher, owned);
    if (*owned || kin__scope_lends(scope))
        return context;
    *owned = true;
    return kin_context_retain(context);
}

/* scope's context + .context + what has an option of its own, and Default if
 * there is no dispatcher; no job.  *owned: a reference is the caller's; else
 * it is borrowed from the scope. */
static kin_context *context_of(kin_scope *scope,
                               const kin_launch_options *options, bool *owned)
{
    kin_context *own = kin__scope_context(scope), *sum;

    if (KIN__LIKELY(is_inherited(own, options)))
        return inherited(scope, own, options->dispatcher, owned);
    *owned = true;
    sum = kin__context_inherit(own, options->context);
    if (options->name)
        sum = kin_context_join(sum, kin_context_of_name(options->name));
    if (options->handler)
        sum = kin_context_join(sum,
                               kin_context_of_handler(options->handler,
                                                      options->handler_arg));
    if (options->dispatcher)
        sum = kin_context_join(sum,
                               kin_context_of_dispatcher(options->dispatcher));
    if (sum && !kin__context_dispatcher(sum))
        sum = kin_context_join(sum, kin_context_of_dispatcher(kin_default()));
    if (options->context && sum) {
        kin_context *rest = kin_context_minus(sum, &kin_key_job);

        kin_context_release(sum);
        sum = rest;
    }
    return sum;
}

static struct kin_job *parent_of(kin_scope *scope,
                                 const kin_launch_options *options)
{
    kin_job *given = options->context
        ? kin_context_get(options->context, &kin_key_job) : NULL;

    return given ? given : scope->job;
}

static int check_options(const kin_launch_options *options,
                         const char *function)
{
    if (!options)
        return kin__misuse(KIN_EINVAL, function, "options is NULL");
    if (options->stack_size > KIN_STACK_SIZE_MAX)
        return kin__misuse(KIN_EINVAL, function, "stack_size is %zu, the most "
                           "is %zu", options->stack_size,
                           (size_t)KIN_STACK_SIZE_MAX);
    if ((unsigned)options->start > KIN_START_UNDISPATCHED)
        return kin__misuse(KIN_EINVAL, function, "start is %d",
                           (int)options->start);
    if (options->dispatcher && !options->dispatcher->ops)
        return kin__misuse(KIN_EINVAL, function, "dispatcher was never "
                           "initialised");
    return 0;
}

/* Has a new job run as its start mode says. */
static int start(struct kin__thread *thread, struct kin__coroutine *co,
                 kin_start mode)
{
    switch (mode) {
    case KIN_START_LAZY:
        return 0;
    case KIN_START_UNDISPATCHED:
        kin__runnable_run(&co->runnable.task);
        return 0;
    default:
        return kin__coroutine_dispatch(thread, co);
    }
}

/* Makes, attaches and starts; done is told when it has ended.  *out, if asked
 * for, gets a reference, also when a dispatcher refused. */
static int launch(enum kin__job_kind kind, kin_scope *scope, kin_body *body,
                  const kin_launch_options *options, struct kin__done *done,
                  kin_job **out)
{
    struct kin__thread *thread = kin__thread();
    bool owned;
    kin_context *context = context_of(scope, options, &owned);
    struct kin__coroutine *co = NULL;

    if (context)
        co = kin__coroutine_new(thread, kind, context, owned, body, options);
    if (KIN__UNLIKELY(!co)) {
        if (owned)
            kin_context_release(context);
        return KIN_ENOMEM;
    }
    if (done)
        co->done = done;
    if (out) {
        /* relaxed: not published yet */
        atomic_store_explicit(&co->job.refs, 2, memory_order_relaxed);
        *out = &co->job;
    }
    kin__job_attach(parent_of(scope, options), &co->job);
    return start(thread, co, options->start);
}

static int check_launch(kin_scope *scope, kin_body *body)
{
    if (!scope || !body)
        return kin__misuse(KIN_EINVAL, "kin_launch", "%s is NULL",
                           scope ? "body" : "scope");
    kin__ledger_check(KIN__LEDGER_SCOPE, scope, "kin_launch");
    return 0;
}

int kin_launch_with(kin_scope *scope, kin_body *body,
                    const kin_launch_options *options)
{
    KIN_TRY(check_launch(scope, body));
    KIN_TRY(check_options(options, "kin_launch"));
    return launch(KIN__LAUNCHED, scope, body, options, NULL, options->job);
}

int kin_launch_plain(kin_scope *scope, kin_body *body, void *arg,
                     const char *site)
{
    kin_launch_options options = { .arg = arg, .site = site };

    KIN_TRY(check_launch(scope, body));
    return launch(KIN__LAUNCHED, scope, body, &options, NULL, NULL);
}

static int check_async(kin_scope *scope, kin_deferred **deferred,
                       kin_body *body)
{
    if (!scope || !body || !deferred)
        return kin__misuse(KIN_EINVAL, "kin_async", "%s is NULL",
                           !scope ? "scope" : !body ? "body" : "deferred");
    kin__ledger_check(KIN__LEDGER_SCOPE, scope, "kin_async");
    return 0;
}

int kin_async_plain(kin_scope *scope, kin_deferred **deferred, kin_body *body,
                    void *arg, const char *site)
{
    kin_launch_options options = { .arg = arg, .site = site };
    kin_job *job = NULL;
    int err;

    KIN_TRY(check_async(scope, deferred, body));
    err = launch(KIN__ASYNC, scope, body, &options, NULL, &job);
    *deferred = (kin_deferred *)job;
    return err;
}

int kin_async_with(kin_scope *scope, kin_deferred **deferred, kin_body *body,
                   const kin_launch_options *options)
{
    kin_job *job = NULL;
    int err;

    KIN_TRY(check_async(scope, deferred, body));
    KIN_TRY(check_options(options, "kin_async"));
    err = launch(KIN__ASYNC, scope, body, options, NULL, &job);
    if (job && options->job)
        *options->job = kin_job_retain(job);
    *deferred = (kin_deferred *)job;
    return err;
}

/* --- run_blocking --------------------------------------------------------- */

/* The outcome of a final job, to a caller that may have no fiber. */
static int outcome_of(kin_job *job)
{
    kin_error *error = kin__job_error(job);

    if (!error)
        return 0;
    return kin__fail_with(kin_error_retain(error), kin_error_code(error));
}

static void look_for_deadlock(void *job)
{
    kin__deadlock_look(job);
}

/* Launches body, and blocks on loop until it has ended. */
static int run_on(struct kin__event_loop *loop, bool is_new, kin_body *body,
                  const kin_launch_options *options)
{
    struct kin__done done = { .loop = loop, .idle = look_for_deadlock,
                              .idle_ns = kin__deadlock_after };
    kin_job *job = NULL;
    int err = kin__frame_prepare();

    if (err)
        return err;
    err = launch(KIN__BLOCKING, kin_global_scope(), body, options, &done,
                 &job);
    if (!job)
        return err;
    done.arg = job;
    err = kin__event_loop_run(loop, is_new, &done);
    KIN_CHECK(!err);                    /* prepared: there is a stack */
    err = outcome_of(job);
    kin__ledger_report(job);
    kin_job_release(job);
    return err;
}

/* True if the options, or their context, name a dispatcher. */
static bool has_dispatcher(const kin_launch_options *options)
{
    return options->dispatcher
        || (options->context && kin__context_dispatcher(options->context));
}

int kin_run_blocking_with(kin_body *body, const kin_launch_options *options)
{
    struct kin__event_loop *loop;
    kin_launch_options own;
    bool is_new;
    int err;

    if (!body)
        return kin__misuse(KIN_EINVAL, "kin_run_blocking", "body is NULL");
    KIN_TRY(check_options(options, "kin_run_blocking"));
    if (kin__thread()->no_suspend)
        return kin__hold_refuse("kin_run_blocking", "block");
    loop = kin__event_loop_here(&is_new);
    if (!loop)
        return KIN_ENOMEM;
    own = *options;
    own.job = NULL;                     /* it is over when this returns */
    if (own.start == KIN_START_LAZY)
        own.start = KIN_START_DEFAULT;  /* who else should start it? */
    if (!has_dispatcher(options))
        own.dispatcher = &loop->dispatcher;
    err = run_on(loop, is_new, body, &own);
    kin_dispatcher_release(&loop->dispatcher);
    return err;
}
