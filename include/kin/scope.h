/* kin/scope.h -- a job and a context, through which fibers are launched.
 *
 * A body gets the scope of its own job.  A scope function runs a body (or, as
 * a block, the code that follows) on the *same fiber* in a scope of its own,
 * and returns when that code and everything launched in it have ended, and what
 * was registered with its job has been called:
 *
 *     int err;
 *     KIN_SUPERVISOR_SCOPE(err, scope) {
 *         kin_launch(scope, refresh_weather, app);
 *         kin_launch(scope, refresh_news, app, .handler = log_failure);
 *     }
 *
 * The first failure in it cancels the rest and is the outcome; the surrounding
 * job is not failed by it.
 *
 * Blocks.  `err` is an int variable of the caller's; it is set to 0 or to a
 * negative code when the block is left, whatever way: by its end, break,
 * return, goto.  Leaving early still waits for the children, restores the
 * context and releases; what the block itself thinks of its outcome it says
 * by kin_scope_fail (KIN_TRY_IN does, and leaves the block).  A block that
 * cannot be entered does not run, and err says why.  Nested blocks need an err
 * each; and inside a block its own err is not the place for other results.
 *
 * Unless its comment says otherwise, a function here
 *   - may be called on any thread, and never suspends;
 *   - borrows its pointers, for the duration of the call only;
 *   - returns 0 or a negative KIN_E* code, and a failed call has no effect.
 *
 * Layer: job. */
#ifndef KIN_SCOPE_H
#define KIN_SCOPE_H

#include <kin/analyze.h>
#include <kin/context.h>
#include <kin/deferred.h>
#include <kin/job.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* 0, or a negative code: the failure of the job.  KIN_ECANCELED ends it as
 * cancelled.  In C++: an exception that leaves it is that failure too, as
 * KIN_EEXCEPTION, with its type in the message; likewise one that leaves a
 * completion callback, a handler, or the start of a suspension. */
typedef int kin_body(kin_scope *scope, void *arg);

/* --- Scopes as objects ---------------------------------------------------- */

/* A scope with that context (NULL: empty); gets a fresh job if it has none.
 * The failure of one child cancels it for ever: for a long-lived one put a
 * supervisor into the context.
 * Owns: *scope is the caller's to release, which cancels nothing. */
int kin_scope_new(kin_context *context, kin_scope **scope) KIN__MUST_CHECK;

/* A supervisor on Main. */
int kin_main_scope(kin_scope **scope) KIN__MUST_CHECK;

/* No job, Default: what is launched in it is a root.  Immortal. */
kin_scope *kin_global_scope(void);

/* scope's context + context.  Errors: KIN_ENOMEM. */
int kin_scope_plus(kin_scope *scope, kin_context *context, kin_scope **sum)
    KIN__MUST_CHECK;

/* A scope handed to a body lives as long as its job; retain it to keep it. */
kin_scope *kin_scope_retain(kin_scope *scope);
void kin_scope_release(kin_scope *scope);
KIN__AUTO_RELEASE(kin_scope)

/* Its job, borrowed; NULL for the global scope. */
kin_job *kin_scope_job(kin_scope *scope);

/* Its context, job included.  Owns: *context is the caller's to release. */
int kin_scope_context(kin_scope *scope, kin_context **context) KIN__MUST_CHECK;

/* As kin_job_cancel.  Errors: KIN_ENOJOB. */
int kin_scope_cancel(kin_scope *scope, kin_error *cause);

bool kin_scope_is_active(kin_scope *scope);     /* true without a job         */

/* Fails the scope with the current error, or with one made of code: cancels
 * its job and children, to be the outcome.  Returns code.  Thread: fiber. */
int kin_scope_fail(kin_scope *scope, int code);

/* In a block: fails its scope and leaves the block when the call failed; what
 * comes of it is the block's outcome.  (It is a `break`: in a loop inside the
 * block it leaves that loop.) */
#define KIN_TRY_IN(scope, call)                                         \
    if (kin__scope_try((scope), (call)) < 0)                            \
        break;                                                          \
    else                                                                \
        (void)0
static inline int kin__scope_try(kin_scope *scope, int code)
{
    return code < 0 ? kin_scope_fail(scope, code) : code;
}

/* The innermost scope of the running fiber, borrowed; NULL off a fiber. */
kin_scope *kin_current_scope(void);

/* --- Scope functions ------------------------------------------------------
 * Each runs body(scope, arg) at once on the calling fiber.
 *
 * Thread:    fiber.
 * Suspends:  if something in it does.
 * Cancelled: its job is a child of the caller's: body and children are
 *            cancelled and waited for, then KIN_ECANCELED.  Only
 *            kin_with_context looks before body runs.
 * Errors:    body's or the first failed child's, with the others suppressed;
 *            KIN_ENOFIBER, KIN_ENOMEM: then body has not run. */
int kin_coroutine_scope(kin_body *body, void *arg) KIN_SUSPENDS;

/* A failed child cancels neither its siblings nor the scope, and its failure
 * goes to its handler; only body's own failure is the outcome. */
int kin_supervisor_scope(kin_body *body, void *arg) KIN_SUSPENDS;

typedef struct kin_context_options {
    void *arg;                      /* set by the macro                      */
    kin_dispatcher *dispatcher;     /* these two override .context's         */
    const char *name;
    kin_context *context;
    /* Called with arg when body returned 0 but the call says KIN_ECANCELED:
     * the value was dropped on the way back.  Must not suspend. */
    void (*on_undelivered)(void *arg);
} kin_context_options;

/* Runs body(scope, arg) with elements of the context replaced; with another
 * dispatcher, the same fiber moves there and back on its own stack.  Options
 * are named arguments: kin_with_context(body, arg, .dispatcher = kin_io()).
 * A job in .context becomes the parent in place of the caller's: with
 * .context = kin_shield() the block is shielded from cancellation.
 *
 * Cancelled: before body: KIN_ECANCELED, body has not run.  On the way back
 *            from another dispatcher: KIN_ECANCELED in place of 0; an error of
 *            body is delivered as it is.
 * Errors:    KIN_ECLOSED, KIN_ENOMAIN: the dispatcher takes nothing. */
#define kin_with_context(body, ...) \
    kin_with_context_with((body), &(kin_context_options){.arg = __VA_ARGS__})
int kin_with_context_with(kin_body *body, const kin_context_options *options)
    KIN_SUSPENDS;

/* --- The same as blocks (GNU C) ------------------------------------------- */

#define KIN_COROUTINE_SCOPE(err, scope) \
    KIN__SCOPE_BLOCK(err, scope, kin__block_scope(&(err), 0))
#define KIN_SUPERVISOR_SCOPE(err, scope) \
    KIN__SCOPE_BLOCK(err, scope, kin__block_scope(&(err), 1))

/* KIN_WITH_CONTEXT(err, .dispatcher = kin_io()) { ... }  No value is dropped
 * on the way back from a block: what it stored in variables stays there. */
#define KIN_WITH_CONTEXT(err, ...)                                      \
    KIN__BLOCK(kin__block_context(&(err),                               \
                                  &(kin_context_options){__VA_ARGS__}))

typedef struct kin__block {
    int *outcome;
    kin_scope *scope;               /* NULL: not entered                     */
    int turns;
} kin__block;

kin__block kin__block_scope(int *outcome, int supervisor) KIN_SUSPENDS;
kin__block kin__block_context(int *outcome, const kin_context_options *options)
    KIN_SUSPENDS;
void kin__block_leave(kin__block *block) KIN_SUSPENDS;

#define KIN__BLOCK(enter) KIN__BLOCK_(enter, KIN__UNIQUE(kin__block_))
#define KIN__BLOCK_(enter, block)                                       \
    for (__attribute__((cleanup(kin__block_leave))) kin__block          \
             block = (enter);                                           \
         block.scope && !block.turns; block.turns = 1)

#define KIN__SCOPE_BLOCK(err, name, enter) \
    KIN__SCOPE_BLOCK_(name, enter, KIN__UNIQUE(kin__block_))
#define KIN__SCOPE_BLOCK_(name, enter, block)                           \
    KIN__BLOCK_(enter, block)                                           \
        for (kin_scope *name = block.scope; name; name = NULL)

#define KIN__UNIQUE(prefix) KIN__UNIQUE_(prefix, __LINE__)
#define KIN__UNIQUE_(prefix, line) KIN__UNIQUE__(prefix, line)
#define KIN__UNIQUE__(prefix, line) prefix##line

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_SCOPE_H */
