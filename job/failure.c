/* failure.c -- which of a job's failures wins, and who gets to hear of it. */
#include "core/check.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/thread.h"
#include "job/context.h"
#include "job/coroutine.h"
#include "job/job.h"

#include <stdio.h>
#include <stdlib.h>

/* A failure beside the first; newest first. */
struct kin__failure {
    struct kin__failure *next;
    kin_error *error;
};

void kin__failures_add(struct kin_job *job, kin_error *error)
{
    struct kin__failure *failure = kin__malloc(sizeof *failure);

    if (!failure)
        return;                         /* lost as a suppressed one; no more */
    failure->error = kin_error_retain(error);
    failure->next = job->more;
    job->more = failure;
}

static struct kin__failure *reverse(struct kin__failure *list)
{
    struct kin__failure *reversed = NULL, *next;

    for (; list; list = next) {
        next = list->next;
        list->next = reversed;
        reversed = list;
    }
    return reversed;
}

/* The first that is no cancellation; among cancellations the first, unless
 * that is a timeout and there is another one, which knows more. */
static kin_error *winner(kin_error *first, struct kin__failure *more)
{
    struct kin__failure *each;

    if (!kin_error_is_cancellation(first))
        return first;
    for (each = more; each; each = each->next)
        if (!kin_error_is_cancellation(each->error))
            return each->error;
    if (kin_error_kind_of(first) == KIN_ERROR_TIMEOUT)
        for (each = more; each; each = each->next)
            if (each->error != first
                && kin_error_kind_of(each->error) == KIN_ERROR_TIMEOUT)
                return each->error;
    return first;
}

kin_error *kin__failures_settle(struct kin_job *job)
{
    struct kin__failure *more = reverse(job->more), *next;
    kin_error *won;

    job->more = NULL;
    if (!job->cause)
        return NULL;
    won = kin_error_retain(winner(job->cause, more));
    if (job->cause != won && !kin_error_is_cancellation(job->cause))
        kin__error_suppress(won, job->cause);
    for (; more; more = next) {
        next = more->next;
        if (more->error != won && !kin_error_is_cancellation(more->error))
            kin__error_suppress(won, more->error);
        kin_error_release(more->error);
        kin__free(more);
    }
    return won;
}

/* --- Reporting ------------------------------------------------------------ */

kin_context *kin__job_context(const struct kin_job *job)
{
    switch (job->kind) {
    case KIN__LAUNCHED:
    case KIN__ASYNC:
    case KIN__BLOCKING:
        return kin__coroutine_of_job(job)->scope.context;
    default:
        return NULL;
    }
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

/* One text, one write: reports of several threads do not mingle. */
static void report(struct kin_job *job, kin_error *error, kin_error *second)
{
    char path[256], *text;
    size_t size = 256 + sizeof path + kin_error_format(error, NULL, 0)
                + kin_error_format(second, NULL, 0);
    const char *site = kin__job_site(job);
    size_t length;

    kin__job_path(job, path, sizeof path);
    text = kin__malloc(size);
    if (!text) {
        fprintf(stderr, "kin: job \"%s\" failed: %s\n", path,
                kin_error_message(error));
        return;
    }
    length = (size_t)snprintf(text, size, "kin: job \"%s\" failed", path);
    if (site)
        length += (size_t)snprintf(text + length, size - length,
                                   " (launched at %s)", site);
    length += (size_t)snprintf(text + length, size - length, ": ");
    length += kin_error_format(error, text + length, size - length);
    if (second) {
        length += (size_t)snprintf(text + length, size - length,
                                   "\nand its handler failed: ");
        kin_error_format(second, text + length, size - length);
    }
    fprintf(stderr, "%s\n", text);
    kin__free(text);
}

void kin__failure_report(struct kin_job *job, kin_error *error)
{
    const kin_context *context = kin__job_context(job);
    const kin_handler *handler = NULL;
    kin_error *second;
    int code;

    if (job->kind != KIN__LAUNCHED)
        return;                         /* kept for whoever awaits it */
    if (context)
        handler = kin_context_get(context, &kin_key_handler);
    if (!handler) {
        report(job, error, NULL);
        return;
    }
    kin__no_suspend_begin();
    code = handler->fn(job, error, handler->arg);
    kin__no_suspend_end();
    if (code < 0) {
        second = kin__error_take(code);
        report(job, error, second);
        kin_error_release(second);
    }
}

void kin__callback_failed(struct kin_job *job, int code, const char *what)
{
    kin_error *cause = kin__error_take(code);
    kin_error *error = kin_error_new("", KIN_EHANDLER, cause, "%s failed",
                                     what);
    enum kin__job_kind kind = job->kind;

    if (kind == KIN__LAUNCHED)
        kin__failure_report(job, error);
    else
        report(job, error, NULL);
    kin_error_release(error);
    kin_error_release(cause);
}
