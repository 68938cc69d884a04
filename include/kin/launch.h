/* kin/launch.h -- starting computations.
 *
 *     kin_launch(scope, refresh, app);
 *     kin_launch(scope, refresh, app, .dispatcher = kin_io(), .name = "news");
 *     KIN_TRY(kin_async(scope, &user, load_user, page));
 *     return kin_run_blocking(program, &arguments);
 *
 * Options are named arguments; each macro has a plain function beneath it that
 * takes them as a struct (for C++, and for other languages).
 *
 * A launch makes a job whose parent is the scope's (or the one in .context) and
 * whose context is the scope's + .context + .name, .handler, .dispatcher, with
 * Default where there is no dispatcher.
 *
 * Unless its comment says otherwise, a function here
 *   - may be called on any thread, and never suspends;
 *   - borrows its pointers, for the duration of the call only; arg is handed
 *     to the body and must live until the body has ended;
 *   - returns 0 or a negative KIN_E* code, and a failed call has no effect.
 *
 * Layer: job. */
#ifndef KIN_LAUNCH_H
#define KIN_LAUNCH_H

#include <kin/scope.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef enum kin_start {
    KIN_START_DEFAULT,      /* dispatched; cancelled before it runs: skipped */
    KIN_START_LAZY,         /* by start, join, await, or a child's attaching */
    KIN_START_ATOMIC,       /* dispatched; runs to its first suspension even
                               if cancelled                                  */
    KIN_START_UNDISPATCHED  /* runs at once, in place, to its first
                               suspension, even if cancelled                 */
} kin_start;

typedef struct kin_launch_options {
    void *arg;                      /* set by the macro                      */
    const char *site;               /* set by the macro: "file:line"         */
    kin_dispatcher *dispatcher;
    kin_context *context;
    const char *name;               /* copied                                */
    kin_start start;
    size_t stack_size;              /* bytes of use, up to 64 MiB; 0: 64 KiB */
    kin_handler_fn *handler;
    void *handler_arg;
    kin_job **job;                  /* if set, receives the job, the
                                       caller's to release                   */
    void (*on_undelivered)(void *value);    /* kin_async: called with the
                                       value (unless NULL) when the last
                                       handle is released and nobody ever
                                       received it; must not suspend         */
} kin_launch_options;

/* Launches body as a child of scope: fire and forget.  Its failure goes to its
 * parent; of a root, or a child of a supervisor, to its handler.
 *
 * Suspends:  never; .start = KIN_START_UNDISPATCHED runs a first slice.
 * Errors:    KIN_EINVAL, KIN_ENOMEM.  A scope that is cancelled or over is no
 *            error: the job is born cancelled and its body does not run
 *            (unless atomic or undispatched).  A dispatcher that refuses fails
 *            the job with its code, and the call returns that code too. */
#define kin_launch(scope, body, ...)                                    \
    KIN__ALONE(kin__launch_, __VA_ARGS__)((scope), (body), __VA_ARGS__)
int kin_launch_with(kin_scope *scope, kin_body *body,
                    const kin_launch_options *options);
int kin_launch_plain(kin_scope *scope, kin_body *body, void *arg,
                     const char *site);

/* As kin_launch, with a value: see kin/deferred.h.  Its failure is kept for
 * kin_await and also fails the parent; it never goes to a handler.
 * Owns: *deferred is the caller's to release. */
#define kin_async(scope, deferred, body, ...)                           \
    KIN__ALONE(kin__async_, __VA_ARGS__)((scope), (deferred), (body),   \
                                         __VA_ARGS__)
int kin_async_with(kin_scope *scope, kin_deferred **deferred, kin_body *body,
                   const kin_launch_options *options) KIN__MUST_CHECK;
int kin_async_plain(kin_scope *scope, kin_deferred **deferred, kin_body *body,
                    void *arg, const char *site) KIN__MUST_CHECK;

/* Runs body and all it launches, with the calling thread blocked meanwhile, and
 * returns its outcome.  Without a dispatcher it runs on an event loop on this
 * thread; nested in another, it shares that one's.  With .dispatcher it runs
 * there.  It never returns before everything in it has ended.  For the border
 * between plain threads and fibers; on a fiber it blocks the fiber's thread
 * too: prefer kin_coroutine_scope there.
 *
 * .job is not for this call, and a lazy start is the default one.
 *
 * If for a second nothing has been to do here, it is looked whether the fibers
 * of the family all wait for each other: each parked in a join, an await or at
 * the end of a scope, with no time, no resume, no completion by hand and no
 * kin_await_cancellation outstanding, nor anybody left who could start a lazy
 * one.  Then stderr is told the chain, and the family fails with KIN_EDEADLK,
 * so that its clean-up runs; a debug build aborts.
 *
 * Suspends:  never; blocks.
 * Errors:    body's or the first failed child's; KIN_ENOMEM, KIN_EAGAIN;
 *            KIN_EPERM inside a callback that must not suspend; KIN_EDEADLK. */
#define kin_run_blocking(body, ...)                                     \
    kin_run_blocking_with((body),                                       \
                          &(kin_launch_options){.site = KIN__HERE,      \
                                                .arg = __VA_ARGS__})
int kin_run_blocking_with(kin_body *body, const kin_launch_options *options);

/* With no option but arg, which is most often, there is no struct to fill. */
#define kin__launch_1(scope, body, arg)                                 \
    kin_launch_plain((scope), (body), (arg), KIN__HERE)
#define kin__launch_n(scope, body, ...)                                 \
    kin_launch_with((scope), (body),                                    \
                    &(kin_launch_options){.site = KIN__HERE,            \
                                          .arg = __VA_ARGS__})
#define kin__async_1(scope, deferred, body, arg)                        \
    kin_async_plain((scope), (deferred), (body), (arg), KIN__HERE)
#define kin__async_n(scope, deferred, body, ...)                        \
    kin_async_with((scope), (deferred), (body),                         \
                   &(kin_launch_options){.site = KIN__HERE,             \
                                         .arg = __VA_ARGS__})

/* name##1 for one argument, name##n for up to 32: a literal has commas, too. */
#define KIN__ALONE(name, ...)                                           \
    KIN__33RD(__VA_ARGS__, name##n, name##n, name##n, name##n,          \
              name##n, name##n, name##n, name##n, name##n, name##n,     \
              name##n, name##n, name##n, name##n, name##n, name##n,     \
              name##n, name##n, name##n, name##n, name##n, name##n,     \
              name##n, name##n, name##n, name##n, name##n, name##n,     \
              name##n, name##n, name##n, name##1, 0)
#define KIN__33RD(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12,    \
                  a13, a14, a15, a16, a17, a18, a19, a20, a21, a22,     \
                  a23, a24, a25, a26, a27, a28, a29, a30, a31, a32, n, ...) n

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_LAUNCH_H */
