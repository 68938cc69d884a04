/* kin/context.h -- an immutable set of elements that travels with a scope.
 *
 * An element is found by its key: a job, a dispatcher, a name, a failure
 * handler, or something of your own.  An element is itself a context of one,
 * so contexts are made by adding them up; where both sides have a key, the
 * right one wins.  The dispatcher is always kept last.
 *
 * Your own element: a key is any object with a name, found by its address.
 *
 *     static const kin_key user_key = { "user" };
 *     kin_context *user = kin_context_of(&user_key, account, NULL);
 *     ...
 *     struct account *who = kin_current_element(&user_key);
 *
 * Unless its comment says otherwise, a function here
 *   - may be called on any thread, and never suspends;
 *   - borrows its pointers, for the duration of the call only;
 *   - returns a context that is the caller's to release, or NULL without
 *     memory; a NULL context among its arguments (except where allowed) yields
 *     NULL too, so sums need one check at the end.
 *
 * Layer: job. */
#ifndef KIN_CONTEXT_H
#define KIN_CONTEXT_H

#include <kin/dispatcher.h>
#include <kin/error.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kin_context kin_context;
typedef struct kin_job kin_job;

/* Compared by address; must live as long as any context that has it. */
typedef struct kin_key {
    const char *name;
} kin_key;

/* What kin does with the value of an element; every function may be NULL.  The
 * table is copied. */
typedef struct kin_element_ops {
    void (*retain)(void *value);    /* when an element with it is made       */
    void (*release)(void *value);   /* when the last one is gone             */
    bool (*equals)(const void *a, const void *b);   /* NULL: by address      */

    /* A thread-context element: installs something on the thread before every
     * slice of a fiber that has it, and takes it away after, on whatever thread
     * that is; several in the order of the context, and back in the reverse.
     * Neither may suspend.  update stores what restore is to be given in *old;
     * a negative code fails the job, and nothing was installed. */
    int (*update)(void *value, void **old);
    void (*restore)(void *value, void *old);

    /* The value a child gets in place of this one, made when it is launched, on
     * the launching thread; merge: when the launch itself brings one, too.  The
     * result's one reference is the new element's.  NULL result: no memory. */
    void *(*copy)(void *value);
    void *(*merge)(void *value, void *brought);
} kin_element_ops;

/* Defines ops by which a fiber finds its element's value in the thread-local
 * pointer `variable`, on whatever thread it runs.  What it writes there is lost
 * at the end of the slice.
 *     static _Thread_local struct request *current_request;
 *     KIN_THREAD_LOCAL_OPS(request_ops, current_request) */
#define KIN_THREAD_LOCAL_OPS(ops, variable)                             \
    static int ops##_update(void *value, void **old)                    \
    {                                                                   \
        *old = (void *)(variable);                                      \
        (variable) = value;                                             \
        return 0;                                                       \
    }                                                                   \
    static void ops##_restore(void *value, void *old)                   \
    {                                                                   \
        (void)value;                                                    \
        (variable) = old;                                               \
    }                                                                   \
    static const kin_element_ops ops = {                                \
        .update = ops##_update, .restore = ops##_restore,               \
    };

extern const kin_key kin_key_job;         /* kin_job *                       */
extern const kin_key kin_key_dispatcher;  /* kin_dispatcher *                */
extern const kin_key kin_key_name;        /* const char *, equal by text     */
extern const kin_key kin_key_handler;     /* const kin_handler *             */

/* Called for a failure that nobody else will see: of a root, or of a direct
 * child of a supervisor.  On the thread that completes the job, after all its
 * children ended and before its completion callbacks; must not suspend.
 * Returns 0, or a negative code if it failed itself: then the default report
 * tells of a KIN_EHANDLER, whose cause is that and which suppresses error.  Is
 * also told, after them, of completion callbacks that failed. */
typedef int kin_handler_fn(kin_job *job, kin_error *error, void *arg);

typedef struct kin_handler {
    kin_handler_fn *fn;
    void *arg;
} kin_handler;

/* Contexts of one element.  NULL (or an empty name) makes the empty context. */
kin_context *kin_context_of(const kin_key *key, void *value,
                            const kin_element_ops *ops);
kin_context *kin_context_of_job(kin_job *job);            /* retains job      */
kin_context *kin_context_of_dispatcher(kin_dispatcher *dispatcher); /* too */
kin_context *kin_context_of_name(const char *name);       /* copies name      */
kin_context *kin_context_of_handler(kin_handler_fn *fn, void *arg);

/* The neutral element; immortal. */
kin_context *kin_context_empty(void);

/* The context of kin_non_cancellable(), immortal: what is run with it by
 * kin_with_context is shielded from the cancellation of the caller. */
kin_context *kin_shield(void);

/* a + b.  If either is empty, the very other object is returned, retained.
 * Complexity: O(elements). */
kin_context *kin_context_plus(kin_context *a, kin_context *b);

/* a + b, taking both: for sums written in one expression. */
kin_context *kin_context_join(kin_context *a, kin_context *b);

/* The context without that key; the same object, retained, if it has none. */
kin_context *kin_context_minus(kin_context *context, const kin_key *key);

/* The value under key, borrowed, or NULL. */
void *kin_context_get(const kin_context *context, const kin_key *key);

/* Calls visit for every element, in order, oldest addition first; stops when
 * visit returns non-zero, and returns that. */
int kin_context_fold(const kin_context *context,
                     int (*visit)(const kin_key *key, void *value, void *arg),
                     void *arg);

size_t kin_context_count(const kin_context *context);

/* True if both hold equal elements, in whatever order. */
bool kin_context_equals(const kin_context *a, const kin_context *b);

kin_context *kin_context_retain(kin_context *context);   /* NULL is fine      */
void kin_context_release(kin_context *context);          /* NULL is fine      */
KIN__AUTO_RELEASE(kin_context)

/* --- Of the running fiber -------------------------------------------------
 * Its context, job included.  Errors: KIN_ENOFIBER off a fiber; KIN_ENOMEM. */
int kin_current_context(kin_context **context) KIN__MUST_CHECK;

/* One element of it, borrowed while the enclosing scope lasts; NULL if there
 * is none, or off a fiber. */
void *kin_current_element(const kin_key *key);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_CONTEXT_H */
