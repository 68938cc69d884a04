/* failure.c -- which of a job's failures wins, and who gets to hear of it. */
#include "core/check.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/thread.h"
#include "job/block.h"
#include "job/context.h"
#include "job/coroutine.h"
#include "job/job.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A failure beside the first, or of a callback; newest first. */
struct kin__failure {
    struct kin__failure *next;
    kin_error *error;
    bool of_callback;
};

static bool add(struct kin_job *job, kin_error *error, bool of_callback)
{
    struct kin__failure *failure = kin__malloc(sizeof *failure);

    if (!failure)
        return false;
    failure->error = kin_error_retain(error);
    failure->of_callback = of_callback;
    failure->next = job->more;
    job->more = failure;
    return true;
}

/* A failure takes the place of the cancellation that it comes after. */
static void become_the_cause(struct kin_job *job, kin_error *error)
{
    if (job->cancellation)
        kin_error_release(job->cause);
    else
        job->cancellation = job->cause;
    job->cause = kin_error_retain(error);
}

/* Without memory one that would win is kept all the same; one that would be
 * suppressed is lost. */
void kin__failures_add(struct kin_job *job, kin_error *error)
{
    if (!add(job, error, false) && kin_error_is_cancellation(job->cause)
        && !kin_error_is_cancellation(error))
        become_the_cause(job, error);
}

/* Takes those of its callbacks, or the others, away; oldest first. */
static struct kin__failure *take(struct kin_job *job, bool of_callbacks)
{
    struct kin__failure **link = &job->more, *taken = NULL, *failure;

    while ((failure = *link)) {
        if (failure->of_callback != of_callbacks) {
            link = &failure->next;
            continue;
        }
        *link = failure->next;
        failure->next = taken;
        taken = failure;
    }
    return taken;
}

/* Has winner suppress all in the list; false without memory. */
static bool suppress_all(kin_error *winner, struct kin__failure *list,
                         const kin_error *but)
{
    struct kin__failure *each;
    kin_error **errors;
    size_t count = 0;

    for (each = list; each; each = each->next)
        count++;
    errors = kin__malloc((count + 1) * sizeof *errors);
    if (!errors)
        return false;
    for (count = 0, each = list; each; each = each->next)
        if (each->error != but)
            errors[count++] = each->error;
    kin__error_suppress_all(winner, errors, count);
    kin__free(errors);
    return true;
}

/* Has winner suppress what is in the list, which is freed. */
static void suppress(kin_error *winner, struct kin__failure *list,
                     const kin_error *but)
{
    struct kin__failure *next;
    bool done = list && suppress_all(winner, list, but);

    for (; list; list = next) {
        next = list->next;
        if (!done && list->error != but)
            kin__error_suppress(winner, list->error);
        kin_error_release(list->error);
        kin__free(list);
    }
}

/* The first that is no cancellation; among cancellations the job's own timeout,
 * which ends it even where one around it has come first, or the first. */
static kin_error *winner(kin_error *first, struct kin__failure *more,
                         const kin_error *own_timeout)
{
    struct kin__failure *each;

    if (!kin_error_is_cancellation(first))
        return first;
    for (each = more; each; each = each->next)
        if (!kin_error_is_cancellation(each->error))
            return each->error;
    for (each = more; each && first != own_timeout; each = each->next)
        if (each->error == own_timeout)
            return each->error;
    return first;
}

kin_error *kin__failures_settle(struct kin_job *job)
{
    struct kin__failure *more = take(job, false);
    kin_error *won;

    if (!job->cause)
        return NULL;
    won = kin_error_retain(winner(job->cause, more, kin__block_expiry(job)));
    kin__error_suppress(won, job->cause);
    suppress(won, more, NULL);
    return won;
}

/* --- Who it is ------------------------------------------------------------ */

struct kin_scope *kin__job_scope(struct kin_job *job)
{
    return job->kind <= KIN__BLOCKING ? &kin__coroutine_of_job(job)->scope
                                      : kin__scope_of_block(job);
}

/* A named one keeps its context, so this is right after its end, too. */
const char *kin__job_given_name(const struct kin_job *job)
{
    const struct kin__coroutine *co = kin__coroutine_of_job(job);

    return job->kind <= KIN__BLOCKING && co->scope.named
               ? kin__context_name(co->scope.context) : NULL;
}

const char *kin__job_site(const struct kin_job *job)
{
    switch (job->kind) {
    case KIN__LAUNCHED:
    case KIN__ASYNC:
    case KIN__BLOCKING:
        return kin__coroutine_of_job(job)->site;
    case KIN__SCOPE:
        return "coroutine_scope";
    case KIN__SUPERVISOR_SCOPE:
        return "supervisor_scope";
    case KIN__TIMEOUT:
        return "with_timeout";
    case KIN__SUPERVISOR:
        return "supervisor";
    case KIN__DEFERRED:
        return "deferred";
    case KIN__NON_CANCELLABLE:
        return "non_cancellable";
    default:
        return "job";
    }
}

size_t kin__job_path(struct kin_job *job, char *buffer, size_t size)
{
    const char *names[16];
    size_t depth = 0, length = 0;

    for (; job && depth < 16; job = job->parent)
        names[depth++] = kin__job_name(job);
    length = kin__append(buffer, size, 0, job ? ".../" : "");
    while (depth--) {
        length = kin__append(buffer, size, length, names[depth]);
        if (depth)
            length = kin__append(buffer, size, length, "/");
    }
    return length;
}

/* --- The default report --------------------------------------------------- */

/* One text, one write: reports of several threads do not mingle. */
__attribute__((format(printf, 1, 2)))
static void say(const char *format, ...)
{
    va_list args, again;
    size_t size;
    char *text;
    ssize_t told;

    va_start(args, format);
    va_copy(again, args);
    size = (size_t)vsnprintf(NULL, 0, format, again) + 1;
    va_end(again);
    text = kin__malloc(size);
    if (text) {
        vsnprintf(text, size, format, args);
        told = write(STDERR_FILENO, text, size - 1);
        (void)told;
        kin__free(text);
    } else {
        vfprintf(stderr, format, args);
    }
    va_end(args);
}

/* What format_error writes, to be freed; NULL without memory. */
static char *text_of(const kin_error *error,
                     size_t (*format_error)(const kin_error *error,
                                            char *buffer, size_t size))
{
    size_t size = format_error(error, NULL, 0) + 1;
    char *text = kin__malloc(size);

    if (text)
        format_error(error, text, size);
    return text;
}

/* parent: that of job, which may have left it by now. */
static void report(struct kin_job *job, struct kin_job *parent,
                   kin_error *error)
{
    char *why = text_of(error, kin_error_format);
    char *trace = text_of(error, kin__error_format_trace);
    const char *site = job->kind <= KIN__BLOCKING ? kin__job_site(job) : NULL;
    const char *name = kin__job_name(job);
    char above[512], brief[128];

    if (!why)
        kin_error_format(error, brief, sizeof brief);
    if (kin__job_path(parent, above, sizeof above) + 2 < sizeof above)
        strcat(above, parent ? "/" : "");
    say("kin: failure in job \"%s\": %s\n  family: %s%s%s%s%s\n", name,
        why ? why : brief, above, name,
        site ? "\n  launched at: " : "", site ? site : "",
        trace ? trace : "");
    kin__free(why);
    kin__free(trace);
}

/* --- Whom to tell --------------------------------------------------------- */

/* Calls what the user gave: a handler or a callback, which are of one type and
 * may not suspend.  NULL, or why it failed, a new reference.  The current error
 * is the caller's, and stays. */
static int call_out(kin_completion_fn *fn, struct kin_job *job,
                    kin_error *cause, void *arg)
{
    if (!kin__exceptions_exist())
        return fn(job, cause, arg);
    return kin__call_guarded((kin__guarded_fn *)(void (*)(void))fn, job, cause,
                             (uintptr_t)arg, "a callback");
}

kin_error *kin__call_out(kin_completion_fn *fn, struct kin_job *job,
                         kin_error *cause, void *arg)
{
    kin_error *current = kin_error_retain(kin_error_current()), *failure;
    int code;

    kin_error_clear();
    kin__no_suspend_begin();
    code = call_out(fn, job, cause, arg);
    kin__no_suspend_end();
    failure = code < 0 ? kin__error_take(code) : NULL;
    kin__error_set_current(current);
    return failure;
}

static kin_error *handler_error(const char *what, kin_error *failure)
{
    return kin__error_make(KIN_ERROR_FAILURE, KIN_EHANDLER, NULL, failure, "",
                           "%s failed", what);
}

/* The handler for what nobody else will see, or NULL.  It stays as long as the
 * job; a borrowed context without one may go while the job becomes final. */
static const kin_handler *handler_of(struct kin_job *job)
{
    const kin_handler *handler;
    uint32_t word;

    if (!kin__job_has_body(job))
        return NULL;
    word = kin__job_lock(job);
    handler = kin__context_handler(kin__job_scope(job)->context);
    kin__job_unlock(job, word);
    return handler;
}

void kin__failure_tell(struct kin_job *job, struct kin_job *parent,
                       kin_error *error)
{
    const kin_handler *handler = handler_of(job);
    kin_error *failure, *both;

    if (!handler) {
        report(job, parent, error);
        return;
    }
    failure = kin__call_out(handler->fn, job, error, handler->arg);
    if (!failure)
        return;
    both = handler_error("the failure handler", failure);
    if (failure != error)
        kin__error_suppress(both, error);
    /* Handed back, or without memory: error alone. */
    report(job, parent, kin_error_suppressed_count(both) ? both : error);
    kin_error_release(both);
    kin_error_release(failure);
}

void kin__failure_report(struct kin_job *job, kin_error *error)
{
    if (job->kind == KIN__LAUNCHED)     /* else kept for whoever awaits it */
        kin__failure_tell(job, job->parent, error);
}

/* --- Callbacks that fail -------------------------------------------------- */

void kin__callback_failed(struct kin_job *job, kin_error *failure)
{
    uint32_t word = kin__job_lock(job);
    bool kept = add(job, failure, true);

    kin__job_unlock(job, word);
    if (!kept)
        kin__callback_failed_alone(job, failure);
}

void kin__callback_failed_alone(struct kin_job *job, kin_error *failure)
{
    kin_error *error = handler_error("a completion callback", failure);

    kin__failure_tell(job, NULL, error);
    kin_error_release(error);
}

void kin__callbacks_settle(struct kin_job *job, struct kin_job *parent,
                           kin_error **broken)
{
    struct kin__failure *failures = take(job, true);
    kin_error *error = handler_error("a completion callback", failures->error);

    suppress(error, failures, failures->error);
    if (broken) {
        *broken = error;
    } else {
        kin__failure_tell(job, parent, error);
        kin_error_release(error);
    }
}
