/* job/coroutine.h -- what is launched: a runnable, its job and its scope, in
 * one record; and the fiber's own view of where it is. */
#ifndef KIN_JOB_COROUTINE_H
#define KIN_JOB_COROUTINE_H

#include "core/record.h"
#include "core/run.h"
#include "core/thread.h"
#include "job/job.h"
#include "kin/launch.h"

struct kin__coroutine {
    struct kin__runnable runnable;  /* first                                 */
    struct kin_scope scope;         /* of its job                            */
    kin_body *body;                 /* constant                              */
    const char *site;               /* constant                              */
    union {                         /* constant                              */
        void (*on_undelivered)(void *value);
        struct kin__done *done;     /* of a blocking one: whom to tell       */
    };
    void *value;                    /* arg, before the body begins; of an
                                       async: published by its end           */
    struct kin_scope *current;      /* the fiber's: its innermost scope      */
    kin_dispatcher *dispatcher;     /* the fiber's: where it runs now        */
    struct kin_job job;
};

_Static_assert(sizeof(struct kin__coroutine) <= KIN__RECORD_SIZE,
               "a coroutine is a record");

static inline struct kin__coroutine *kin__coroutine_of_job(
    const struct kin_job *job)
{
    return (struct kin__coroutine *)((char *)job
                                     - offsetof(struct kin__coroutine, job));
}

static inline void kin__coroutine_phase(struct kin__coroutine *co,
                                        enum kin__phase phase)
{
    /* relaxed: it is only told */
    atomic_store_explicit(&co->job.phase, (uint8_t)phase, memory_order_relaxed);
}

/* The one whose fiber is running here; NULL off a fiber. */
static inline struct kin__coroutine *kin__coroutine_current(void)
{
    return (struct kin__coroutine *)kin__thread()->current;
}

/* A coroutine for body, in context (no job in it; its reference is taken if
 * owned, else it is borrowed), attached to nothing; New if options say it is
 * lazy, else Active.  thread is the calling one's.  NULL without memory:
 * context is still the caller's. */
struct kin__coroutine *kin__coroutine_new(struct kin__thread *thread,
                                          enum kin__job_kind kind,
                                          kin_context *context, bool owned,
                                          kin_body *body,
                                          const kin_launch_options *options);

/* Has the body of a started job run: in place, or by its dispatcher.  A
 * dispatcher that refuses fails the job; returns that code. */
int kin__coroutine_dispatch(struct kin__thread *thread,
                            struct kin__coroutine *co);

/* Hands back a value that nobody received. */
void kin__hand_back(void (*on_undelivered)(void *value), void *value);

/* True if freeing job calls something of the user's: a value is handed back, an
 * element of the context is released. */
bool kin__coroutine_tells_when_freed(const struct kin_job *job);

/* A blocking one is final: has the blocked thread go on. */
void kin__coroutine_tell_done(struct kin_job *job);

/* --- For every call that may suspend -------------------------------------- */

/* The running coroutine; NULL with *err said why not: KIN_ENOFIBER, or
 * KIN_EPERM inside a callback that must not suspend.  Both are reported. */
struct kin__coroutine *kin__suspending(const char *function, int *err);

/* The same, without a word if it is not; thread is the calling one's. */
static inline struct kin__coroutine *
kin__suspending_on(const struct kin__thread *thread)
{
    return KIN__LIKELY(thread->current && !thread->no_suspend)
               ? (struct kin__coroutine *)thread->current : NULL;
}

/* As kin__suspending, with the usual case inlined. */
static inline struct kin__coroutine *
kin__suspending_here(const char *function, int *err)
{
    struct kin__coroutine *co = kin__suspending_on(kin__thread());

    return KIN__LIKELY(co != NULL) ? co : kin__suspending(function, err);
}

/* True if the innermost job of the fiber is not active; costs a load. */
static inline bool kin__is_cancelled(const struct kin__coroutine *co)
{
    kin_job_state state = co->current->job ? kin__job_state(co->current->job)
                                           : KIN_JOB_ACTIVE;

    return state != KIN_JOB_ACTIVE && state != KIN_JOB_COMPLETING;
}

/* That job is not: KIN_ECANCELED, with the cancellation current. */
int kin__fail_cancelled(struct kin__coroutine *co);

/* 0, or that, if it is not. */
static inline int kin__check_cancelled(struct kin__coroutine *co)
{
    return KIN__LIKELY(!kin__is_cancelled(co)) ? 0 : kin__fail_cancelled(co);
}

/* Makes error current (takes the reference) and returns code. */
int kin__fail_with(kin_error *error, int code);

/* What a body that returned code < 0 has failed with: a new reference. */
kin_error *kin__error_of_result(int code);

/* Moves the running fiber to dispatcher; 0, or its code if it refuses, with
 * the fiber where it was. */
int kin__hop(struct kin__coroutine *co, kin_dispatcher *dispatcher)
    KIN_SUSPENDS;

/* What the watchdog of workers tells: see kin__blocked_tell. */
void kin__blocked_report(const struct kin_task *task, int64_t blocked);

/* Parks the fiber and has its own dispatcher run it again, behind others. */
int kin__requeue(struct kin__coroutine *co) KIN_SUSPENDS;

#endif /* KIN_JOB_COROUTINE_H */
