/* coroutine.c -- from launch to end: how a body gets to its dispatcher, runs,
 * moves between dispatchers, and ends its job. */
#include "job/coroutine.h"

#include "core/chance.h"
#include "core/check.h"
#include "core/error.h"
#include "core/hold.h"
#include "core/memory.h"
#include "dispatch/dispatcher_more.h"
#include "dispatch/event_loop.h"
#include "dispatch/scheduler.h"
#include "job/context.h"
#include "job/ledger.h"
#include "job/slice.h"

#include <stddef.h>

static struct kin__coroutine *of_runnable(struct kin__runnable *runnable)
{
    return (struct kin__coroutine *)runnable;
}

/* --- To the dispatcher ---------------------------------------------------- */

static bool runs_in_place(kin_dispatcher *dispatcher)
{
    return dispatcher->ops->needs_dispatch
        && !dispatcher->ops->needs_dispatch(dispatcher);
}

/* Its dispatcher takes nothing: cancels the job, and has IO run the rest, so
 * that cleanup executes.  It cannot end before that; then it may be gone. */
static void move_to_io(struct kin__coroutine *co, int code)
{
    kin_error *why = kin_error_new("", code, NULL, "dispatcher %s refused",
                                   kin_dispatcher_name(co->dispatcher));
    struct kin_task *task = &co->runnable.task;

    kin_job_cancel(&co->job, why);
    kin_error_release(why);
    co->dispatcher = kin_io();
    if (kin__dispatch(kin_io(), task) != 0)
        kin__run_in_place(task);        /* no thread to be had: this one */
}

static void ready(struct kin__runnable *runnable)
{
    struct kin__coroutine *co = of_runnable(runnable);
    kin_dispatcher *dispatcher = co->dispatcher;
    int err;

    if (kin__event_loop_push(kin__thread(), dispatcher, &runnable->task))
        return;
    if (runs_in_place(dispatcher)) {
        kin__run_in_place(&runnable->task);
        return;
    }
    err = kin__dispatch(dispatcher, &runnable->task);
    if (err)
        move_to_io(co, err);
}

/* --- The body ------------------------------------------------------------- */

int kin__fail_with(kin_error *error, int code)
{
    kin__error_set_current(error);
    return code;
}

kin_error *kin__error_of_result(int code)
{
    kin_error *current = kin_error_current();

    /* A cancelled call returns KIN_ECANCELED, whatever the cause's own code:
     * that of a timeout differs. */
    if (code == KIN_ECANCELED && kin_error_is_cancellation(current))
        code = kin_error_code(current);
    return kin__error_take(code);
}

static int run_body(struct kin__coroutine *co)
{
    void *arg = co->value;

    co->value = NULL;
    if (!co->job.starts_cancelled && kin__is_cancelled(co))
        return kin__fail_cancelled(co);
    return KIN__CALL_GUARDED("the body", co->body, &co->scope, arg);
}

/* The body's code, as its error: a new reference; NULL: it has not failed. */
static kin_error *error_of(struct kin__runnable *runnable, int code)
{
    kin_error *error = code < 0 ? kin__error_of_result(code) : NULL;

    if (runnable->error)
        kin_error_clear();
    return error;
}

static void body(struct kin__runnable *runnable, struct kin__thread *thread)
{
    struct kin__coroutine *co = of_runnable(runnable);
    const void *function = (const void *)(uintptr_t)co->body;
    kin_error *error;
    int code;

    kin__stack_use_begin(&thread->stacks, &thread->fiber->stack, function);
    if (KIN__UNLIKELY(co->scope.worn))
        kin__slice_on(co);
    kin__coroutine_phase(co, KIN__PHASE_BEGUN);
    code = run_body(co);
    if (KIN__UNLIKELY(runnable->dressed))
        kin__slice_off(co);
    thread = kin__thread();
    if (KIN_DEBUG)
        kin__hold_end(thread);
    kin__stack_use_end(&thread->stacks, &thread->fiber->stack, function);
    error = error_of(runnable, code);
    thread->current = NULL;
    kin__job_body_end(&co->job, error);
}

static void refuse(struct kin__runnable *runnable, int code)
{
    struct kin__coroutine *co = of_runnable(runnable);

    kin__job_body_end(&co->job,
                      kin_error_new("", code, NULL, "no stack for the body"));
}

static void reject(struct kin__runnable *runnable, int code)
{
    move_to_io(of_runnable(runnable), code);
}

static void describe(struct kin__runnable *runnable, char *buffer, size_t size)
{
    struct kin__coroutine *co = of_runnable(runnable);
    size_t length = kin__append(buffer, size, 0, "fiber \"");

    length = kin__append(buffer, size, length, kin__job_name(&co->job));
    length = kin__append(buffer, size, length, "\", launched at ");
    length = kin__append(buffer, size, length, co->site ? co->site : "?");
    length = kin__append(buffer, size, length, ", job ");
    if (length < size)
        kin__job_path(&co->job, buffer + length, size - length);
}

static kin_error *cancellation(const void *owner)
{
    return kin__job_cancellation((struct kin_job *)owner);
}

static const struct kin__runnable_ops coroutine_ops = {
    .body = body, .ready = ready, .cancellation = cancellation,
    .refuse = refuse, .reject = reject, .describe = describe,
    .leave = kin__slice_leave, .enter = kin__slice_enter,
};

/* Before main(): here, for whatever launches has this file. */
__attribute__((constructor)) static void name_who_blocks(void)
{
    kin__blocked_tell = kin__blocked_report;
}

/* --- Making and freeing --------------------------------------------------- */

struct kin__coroutine *kin__coroutine_new(struct kin__thread *thread,
                                          enum kin__job_kind kind,
                                          kin_context *context, bool owned,
                                          kin_body *fn,
                                          const kin_launch_options *options)
{
    struct kin__coroutine *co = kin__record_get(thread);

    if (KIN__UNLIKELY(!co))
        return NULL;
    co->runnable.task.run = kin__runnable_run;
    co->runnable.task.tag = KIN__TASK_RUNNABLE;
    co->runnable.ops = &coroutine_ops;
    co->runnable.fiber = NULL;
    co->runnable.error = NULL;
    co->runnable.stack_size = (uint32_t)options->stack_size;
    co->runnable.parks = 0;
    co->runnable.dressed = kin__exceptions_exist() ? KIN__WEARS_EXCEPTIONS : 0;
    co->scope = (struct kin_scope){ .job = &co->job, .context = context,
                                    .owns_context = owned,
                                    .named = context->name };
    if (KIN__UNLIKELY(context->thread_elements)
        && kin__slice_prepare(&co->scope) != 0) {
        kin__record_put(thread, co);
        return NULL;
    }
    co->current = &co->scope;
    co->dispatcher = context->dispatcher ? context->dispatcher : kin_default();
    co->body = fn;
    co->site = options->site;
    co->value = options->arg;
    co->on_undelivered = options->on_undelivered;
    kin__job_init(&co->job, kind, options->start == KIN_START_LAZY
                                      ? KIN_JOB_NEW : KIN_JOB_ACTIVE);
    co->job.starts_cancelled = options->start == KIN_START_ATOMIC
                            || options->start == KIN_START_UNDISPATCHED;
    kin__coroutine_phase(co, KIN__PHASE_QUEUED);
    kin__ledger_job(&co->job);
    return co;
}

void kin__hand_back(void (*on_undelivered)(void *value), void *value)
{
    kin__no_suspend_begin();
    on_undelivered(value);
    kin__no_suspend_end();
}

/* A value that the body has left and nobody has received. */
static bool has_undelivered(const struct kin__coroutine *co)
{
    /* relaxed: the last reference has synchronised */
    uint8_t phase = atomic_load_explicit(&co->job.phase, memory_order_relaxed);

    return co->job.kind == KIN__ASYNC && co->on_undelivered && co->value
        && phase != KIN__PHASE_QUEUED && phase != KIN__PHASE_RECEIVED;
}

void kin__coroutine_free(struct kin_job *job)
{
    struct kin__coroutine *co = kin__coroutine_of_job(job);

    if (KIN__UNLIKELY(has_undelivered(co)))
        kin__hand_back(co->on_undelivered, co->value);
    kin__ledger_job_gone(job);
    if (KIN__UNLIKELY(co->scope.worn))
        kin__slice_free(&co->scope);
    if (kin__scope_owns(&co->scope))
        kin_context_release(co->scope.context);
    kin__record_put(kin__thread(), co);
}

bool kin__coroutine_tells_when_freed(const struct kin_job *job)
{
    const struct kin__coroutine *co = kin__coroutine_of_job(job);

    if (job->kind != KIN__LAUNCHED && job->kind != KIN__ASYNC)
        return false;
    return (co->on_undelivered && co->value)
        || (kin__scope_owns(&co->scope) && co->scope.context->foreign);
}

void kin__coroutine_tell_done(struct kin_job *job)
{
    kin__done_set(kin__coroutine_of_job(job)->done);
}

static int dispatch(struct kin__coroutine *co)
{
    kin_dispatcher *dispatcher = co->dispatcher;
    int err;

    if (runs_in_place(dispatcher)) {
        kin__run_in_place(&co->runnable.task);
        return 0;
    }
    err = kin__dispatch(dispatcher, &co->runnable.task);
    if (err)
        kin__job_body_end(&co->job,
                          kin_error_new("", err, NULL, "dispatcher %s refused",
                                        kin_dispatcher_name(dispatcher)));
    return err;
}

int kin__coroutine_dispatch(struct kin__thread *thread,
                            struct kin__coroutine *co)
{
    if (KIN__LIKELY(kin__event_loop_push(thread, co->dispatcher,
                                         &co->runnable.task)))
        return 0;
    return dispatch(co);
}

/* --- For calls that may suspend ------------------------------------------- */

struct kin__coroutine *kin__suspending(const char *function, int *err)
{
    struct kin__thread *thread = kin__thread();

    if (KIN__LIKELY(thread->current && !thread->no_suspend))
        return (struct kin__coroutine *)thread->current;
    if (!thread->current)
        *err = kin__misuse(KIN_ENOFIBER, function, "must be called on a fiber; "
                           "this is a plain thread: use kin_run_blocking");
    else
        *err = kin__hold_refuse(function, "suspend");
    return NULL;
}

int kin__fail_cancelled(struct kin__coroutine *co)
{
    kin_error *cause = kin__job_cancellation(co->current->job);

    if (!cause)
        cause = kin__error_make(KIN_ERROR_CANCELLATION, KIN_ECANCELED,
                                co->current->job, NULL, "",
                                "the job has completed");
    return kin__fail_with(cause, KIN_ECANCELED);
}

struct hop {
    struct kin__coroutine *co;
    kin_dispatcher *from, *to;
    int err;
};

/* On the next stack: the fiber is saved. */
static void hop_publish(void *arg)
{
    struct hop *hop = arg;
    struct kin__coroutine *co = hop->co;
    struct kin__runnable *next = kin__hide_next();
    int err;

    kin__chance(KIN__CHANCE_HOPS);
    co->dispatcher = hop->to;
    if (runs_in_place(hop->to)) {
        kin__run_in_place(&co->runnable.task);
    } else if ((err = kin__dispatch(hop->to, &co->runnable.task)) != 0) {
        hop->err = err;                 /* still ours: back to where it was */
        co->dispatcher = hop->from;
        ready(&co->runnable);
    }
    kin__show_next(next);
}

int kin__hop(struct kin__coroutine *co, kin_dispatcher *dispatcher)
{
    struct hop hop = { .co = co, .from = co->dispatcher, .to = dispatcher };
    int err;

    if (runs_in_place(dispatcher)) {
        co->dispatcher = dispatcher;
        return 0;
    }
    kin__coroutine_phase(co, KIN__PHASE_HOPS);
    err = kin__park(hop_publish, &hop);
    kin__coroutine_phase(co, KIN__PHASE_BEGUN);
    return err ? err : hop.err;
}

static void requeue_publish(void *arg)
{
    struct kin__coroutine *co = arg;
    kin_dispatcher *dispatcher = co->dispatcher;
    struct kin__runnable *next = kin__hide_next();
    int err;

    co->runnable.task.tag |= KIN__TASK_FAIR;
    err = kin__dispatch(dispatcher, &co->runnable.task);
    if (err)
        move_to_io(co, err);
    kin__show_next(next);
}

int kin__requeue(struct kin__coroutine *co)
{
    return kin__park(requeue_publish, co);
}
