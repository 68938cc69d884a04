/* job/job.h -- a job from inside: its word, its list, its family.
 *
 *   NEW --start--> ACTIVE --body ends--> COMPLETING --children end--> COMPLETED
 *    |               |                       |
 *    |               +--- cancel, failure ---+
 *    |               v
 *    +--cancel--> CANCELLING --body and children ended--> CANCELLED
 *
 *   word: state (3 bits) | LOCK | BODY_DONE | SEALED | PARENT
 *
 *   LOCK       a spinlock on everything said to be guarded by it; held for a
 *              few instructions, never while calling out.  At most two at once:
 *              child before parent.
 *   BODY_DONE  the body has ended (or there is none to wait for any more)
 *   SEALED     the outcome is decided; a failure or child comes too late
 *   PARENT     it has, or had, a child
 *
 * `pending` counts what the job waits for beside its body: attached children,
 * and walks over its list.  When BODY_DONE is set and pending is 0, whoever
 * made it so seals the job and finishes it (end.c).  One that is completed by
 * hand is sealed at once if only walks are left, and finished by the last.
 *
 * One list holds, in the order they came: children, callbacks, waiters.  A
 * parent's record outlives its attached children, so `parent` needs no
 * reference; nor does a context that a child has from its parent, as long as
 * the child is not final. */
#ifndef KIN_JOB_JOB_H
#define KIN_JOB_JOB_H

#include "core/check.h"
#include "core/run.h"
#include "core/wait.h"
#include "kin/job.h"
#include "kin/scope.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kin__job_kind {
    KIN__LAUNCHED, KIN__ASYNC, KIN__BLOCKING,           /* have a coroutine  */
    KIN__SCOPE, KIN__SUPERVISOR_SCOPE, KIN__TIMEOUT,    /* on another's fiber */
    KIN__BARE, KIN__SUPERVISOR, KIN__DEFERRED,          /* have no body      */
    KIN__NON_CANCELLABLE
};

/* What a coroutine does while it does not wait (core/wait.h): for those who
 * look on.  Received: it has ended, and somebody has its value. */
enum kin__phase {
    KIN__PHASE_QUEUED,              /* the body has not begun                */
    KIN__PHASE_BEGUN,
    KIN__PHASE_HOPS,                /* on its way to another dispatcher      */
    KIN__PHASE_RECEIVED
};

enum {
    KIN__JOB_STATE     = 7,
    KIN__JOB_LOCK      = 8,
    KIN__JOB_BODY_DONE = 16,
    KIN__JOB_SEALED    = 32,
    KIN__JOB_PARENT    = 64,
    KIN__JOB_TELLING   = 128        /* final; its callbacks are being called */
};

enum kin__node_kind {
    KIN__NODE_HEAD, KIN__NODE_CHILD, KIN__NODE_CALLBACK, KIN__NODE_WAITER,
    KIN__NODE_CURSOR
};

/* In a job's list; guarded by that job's LOCK. */
struct kin__node {
    struct kin__node *prev, *next;
    enum kin__node_kind kind;
    uint32_t number;                /* of struct kin_job, which shares it    */
};

struct KIN__ANALYZED(capability("job")) kin_job {
    _Atomic uint32_t word;          /* above                                 */
    _Atomic uint32_t refs;
    uint8_t kind;                   /* enum kin__job_kind; constant          */
    bool handles;                   /* constant: keeps a child's failure     */
    bool starts_cancelled;          /* constant, of a coroutine: it runs even
                                       if cancelled: ATOMIC, …               */
    _Atomic uint8_t phase;          /* of a coroutine: enum kin__phase       */
    union {
        struct kin__node child;     /* in parent's list; guarded by parent's */
        struct {
            unsigned char child_but_number[offsetof(struct kin__node, number)];
            uint32_t depth;         /* constant once attached; 0: a root     */
        };
    };
    union {
        struct kin__node list;      /* head; guarded by LOCK                 */
        struct {
            unsigned char list_but_number[offsetof(struct kin__node, number)];
            uint32_t pending;       /* guarded by LOCK                       */
        };
    };
    struct kin_job *parent;         /* guarded by LOCK; NULL: root, or final */
    kin_error *cause;               /* guarded by LOCK: first cause; final   */
    kin_error *cancellation;        /* guarded by LOCK: cause as a cancell.  */
    struct kin__failure *more;      /* guarded by LOCK: further failures; of
                                       a final job: those of its callbacks   */
    struct kin__node cursor;        /* of the one walk that cancels          */
    struct kin_job *walk_up;        /* the cancelling walk's                 */
};

/* What a fiber, or a block on it, launches through; its job is NULL for the
 * global scope and for one inside kin_non_cancellable(). */
struct kin_scope {
    struct kin_job *job;            /* constant                              */
    kin_context *context;           /* constant: without a job               */
    struct kin_scope *outer;        /* the fiber's: around this one          */
    _Atomic uint32_t refs;          /* of an object; 0: lives with its job   */
    _Atomic bool owns_context;      /* else borrowed: see kin__scope_keep()  */
    bool named;                     /* constant: its context has a name      */
    bool timed;                     /* constant: it, or one around it on its
                                       fiber, is a with_timeout              */
    bool kept;                      /* guarded by the job's LOCK: somebody
                                       retains a scope that lives with it    */
    struct kin__worn *worn;         /* the fiber's: see slice.h; may be NULL */
};

extern struct kin_job kin__non_cancellable;

/* --- The word and the list (job.c) ---------------------------------------- */

static inline uint32_t kin__job_word(const struct kin_job *job)
{
    /* acquire: pairs with release in kin__job_unlock(): what the job's end
     * published */
    return atomic_load_explicit(&((struct kin_job *)job)->word,
                                memory_order_acquire);
}

static inline kin_job_state kin__job_state(const struct kin_job *job)
{
    return (kin_job_state)(kin__job_word(job) & KIN__JOB_STATE);
}

/* Final, and all that were to be told have been. */
static inline bool kin__job_is_settled(const struct kin_job *job)
{
    uint32_t word = kin__job_word(job);
    kin_job_state state = (kin_job_state)(word & KIN__JOB_STATE);

    return (state == KIN_JOB_COMPLETED || state == KIN_JOB_CANCELLED)
        && !(word & KIN__JOB_TELLING);
}

uint32_t kin__job_lock_contended(struct kin_job *job);

/* Locks; returns the word without LOCK. */
KIN_UNCHECKED
static inline uint32_t kin__job_lock(struct kin_job *job) KIN_LOCKS(*job)
{
    /* relaxed: the exchange below orders it */
    uint32_t word = atomic_load_explicit(&job->word, memory_order_relaxed)
                    & ~(uint32_t)KIN__JOB_LOCK;

    /* acquire: pairs with release in kin__job_unlock() */
    if (KIN__LIKELY(atomic_compare_exchange_strong_explicit(
            &job->word, &word, word | KIN__JOB_LOCK, memory_order_acquire,
            memory_order_relaxed)))
        return word;
    return kin__job_lock_contended(job);
}

/* Locks if the word is `word`; for those who hold a lock that comes later. */
KIN_UNCHECKED
static inline bool kin__job_try_lock(struct kin_job *job, uint32_t word)
    KIN_TRY_LOCKS(*job)
{
    /* acquire: pairs with release in kin__job_unlock() */
    return atomic_compare_exchange_strong_explicit(
        &job->word, &word, word | KIN__JOB_LOCK, memory_order_acquire,
        memory_order_relaxed);
}

KIN_UNCHECKED
static inline void kin__job_unlock(struct kin_job *job, uint32_t word)
    KIN_UNLOCKS(*job)
{
    /* release: pairs with acquire in kin__job_lock() and kin__job_word() */
    atomic_store_explicit(&job->word, word, memory_order_release);
}

static inline void kin__node_init(struct kin__node *node,
                                  enum kin__node_kind kind)
{
    node->prev = node->next = node;
    node->kind = kind;
}

/* Its neighbours know it. */
static inline bool kin__node_is_valid(const struct kin__node *node)
{
    return node->prev->next == node && node->next->prev == node;
}

static inline void kin__node_append(struct kin__node *head,
                                    struct kin__node *node)
{
    KIN_SLOW(kin__node_is_valid(head));
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void kin__node_unlink(struct kin__node *node)
{
    KIN_SLOW(kin__node_is_valid(node));
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = node;
}

static inline bool kin__node_is_linked(const struct kin__node *node)
{
    return node->next != node;
}

/* True if one of that kind is in the list of a locked job. */
static inline bool kin__job_has(const struct kin_job *job,
                                enum kin__node_kind kind)
{
    const struct kin__node *node = job->list.next;

    while (node != &job->list && node->kind != kind)
        node = node->next;
    return node != &job->list;
}

static inline struct kin_job *kin__job_of_child(struct kin__node *node)
{
    return (struct kin_job *)((char *)node - offsetof(struct kin_job, child));
}

/* A fresh job with one reference.  Of a job with a body that is the machine's,
 * and given up when the job is final.  Of one without it is the creator's: a
 * job that nobody can complete any more is freed, final or not; its parent's
 * list holds another one, and so does each child. */
static inline void kin__job_init(struct kin_job *job, enum kin__job_kind kind,
                                 kin_job_state state)
{
    /* relaxed: not published yet */
    atomic_store_explicit(&job->word, (uint32_t)state, memory_order_relaxed);
    atomic_store_explicit(&job->refs, 1, memory_order_relaxed);
    job->kind = (uint8_t)kind;
    job->handles = true;
    job->pending = 0;
    job->depth = 0;
    kin__node_init(&job->child, KIN__NODE_CHILD);
    kin__node_init(&job->list, KIN__NODE_HEAD);
    job->parent = NULL;
    job->cause = job->cancellation = NULL;
    job->more = NULL;
}

static inline void kin__job_retain(struct kin_job *job)
{
    /* relaxed: whoever retains holds a reference, or the list's lock */
    atomic_fetch_add_explicit(&job->refs, 1, memory_order_relaxed);
}

static inline bool kin__job_has_body(const struct kin_job *job)
{
    return job->kind <= KIN__TIMEOUT;
}

/* --- The state machine (job_state.c) -------------------------------------- */

/* Makes child a child of parent (NULL is fine).  Starts a lazy parent; under a
 * cancelled one the child is cancelled, under a final one it is cancelled and
 * not attached. */
void kin__job_attach(struct kin_job *parent, struct kin_job *child);

/* Tells the parent of a failure.  True if somebody above has taken it. */
bool kin__job_tell_parent(struct kin_job *job, kin_error *error);

/* Lets go of a job that was held by a `pending++` of the caller's; finishes it
 * if it waits for nothing else. */
void kin__job_let_go(struct kin_job *job);

/* Cancels with cause, which is borrowed; a failure as cause fails the job.
 * False if it came too late. */
bool kin__job_cancel(struct kin_job *job, kin_error *cause);

/* --- The end (end.c) ------------------------------------------------------ */

/* The body has ended: with error (its reference is taken), or NULL. */
void kin__job_body_end(struct kin_job *job, kin_error *error);

/* Ends a sealed job, and each one above that is sealed by that.  *broken, if
 * broken is not NULL, gets what its callbacks have failed with. */
void kin__job_finish(struct kin_job *job, kin_error **broken);

/* Completing by hand: the first to claim wins, and ends it afterwards, with
 * error (borrowed) or NULL; which of the two it says when it claims.  Returns
 * 1; or KIN_EHANDLER, with the error current, if callbacks ran by that and one
 * has failed. */
bool kin__job_claim(struct kin_job *job, bool succeeds);
int kin__job_claimed_end(struct kin_job *job, kin_error *error);

/* As kin__job_cancel, for each child. */
void kin__job_cancel_children(struct kin_job *job, kin_error *cause);

/* New -> Active; true for the call that did it, which must then have it run. */
bool kin__job_start(struct kin_job *job);

/* Why it is cancelled, as a cancellation: a new reference; NULL if active. */
kin_error *kin__job_cancellation(struct kin_job *job);

/* The error of a final job, borrowed as long as the job is held; NULL: none. */
static inline kin_error *kin__job_error(const struct kin_job *job)
{
    return kin__job_state(job) == KIN_JOB_CANCELLED ? job->cause : NULL;
}

/* --- Jobs without a parent (roots.c) -------------------------------------- */

/* Lists it, through `child`; from its start until it is final or freed. */
void kin__root_link(struct kin_job *job);
void kin__root_unlink(struct kin_job *job);

/* --- Failures (failure.c) ------------------------------------------------- */

/* Adds to the failures of a locked job; borrowed. */
void kin__failures_add(struct kin_job *job, kin_error *error)
    KIN_REQUIRES(*job);

/* The outcome of a locked job that is being sealed: the winner, a new
 * reference, with the others suppressed; NULL if nothing failed. */
kin_error *kin__failures_settle(struct kin_job *job);

/* Nobody else will see this failure: handler, or default report; if it is not
 * kept for whoever awaits it. */
void kin__failure_report(struct kin_job *job, kin_error *error);

/* Likewise, whatever the job.  parent is the one it has or had, or NULL. */
void kin__failure_tell(struct kin_job *job, struct kin_job *parent,
                       kin_error *error);

/* A callback has failed: kept until kin__callbacks_settle(), or told at once
 * because it stands alone. */
void kin__callback_failed(struct kin_job *job, kin_error *failure);
void kin__callback_failed_alone(struct kin_job *job, kin_error *failure);

/* All callbacks of a final job have run, and some have failed (`more`): stores
 * the error that this makes in *broken, or tells it if that is NULL. */
void kin__callbacks_settle(struct kin_job *job, struct kin_job *parent,
                           kin_error **broken);

/* Calls what the user gave: a callback, or a handler, which is of that type.
 * NULL, or why it failed, a new reference.  The current error stays. */
kin_error *kin__call_out(kin_completion_fn *fn, struct kin_job *job,
                         kin_error *cause, void *arg);

/* "main/loader/parse": the job's family, from the root.  Async-signal-safe, on
 * the thread that runs the job. */
size_t kin__job_path(struct kin_job *job, char *buffer, size_t size);

/* --- Waiting for a job (join.c) ------------------------------------------- */

struct kin__coroutine;

struct kin__waiter {
    struct kin__node node;          /* first                                 */
    struct kin__runnable *runnable; /* guarded by the job's LOCK             */
    uint64_t generation;
    bool published;                 /* guarded likewise: linked, or too late  */
};

/* Parks the running fiber, co's, until job is final, if it is not.  owner as
 * in kin__wait_begin; what: as a dump says it.  0; KIN_ECANCELED with *cause a
 * new reference; KIN_ENOMEM. */
int kin__job_wait(struct kin__coroutine *co, struct kin_job *job,
                  struct kin_job *owner, const char *what,
                  kin_error **cause) KIN_SUSPENDS;

/* Begins a wait of the running fiber, co's, that the cancellation of owner
 * ends, also one that came before; owner may be NULL. */
void kin__wait_begin_in(struct kin__wait *wait, struct kin__coroutine *co,
                        struct kin_job *owner);

/* --- Callbacks (completion.c) --------------------------------------------- */

/* Runs one callback, whose node has been unlinked; see struct
 * kin_registration. */
void kin__callback_run(struct kin_job *job, struct kin__node *node,
                       kin_error *cause);
bool kin__callback_is_cancelling(const struct kin__node *node);

/* --- Freeing, by kind ----------------------------------------------------- */

void kin__coroutine_free(struct kin_job *job);
void kin__block_free(struct kin_job *job);

/* True if freeing job calls something of the user's: hands a value back,
 * releases an element of the context. */
bool kin__block_tells_when_freed(const struct kin_job *job);
bool kin__deferred_tells_when_freed(const struct kin_job *job);

/* The fiber that runs a block, and its scope. */
struct kin__runnable *kin__block_runner(struct kin_job *job);
struct kin_scope *kin__scope_of_block(struct kin_job *job);
void kin__deferred_free(struct kin_job *job);

/* The scope's context, without a job; never NULL. */
kin_context *kin__scope_context(const struct kin_scope *scope);

/* True if scope has its context as long as its job is not final: what is
 * launched through it may borrow that. */
bool kin__scope_lends(const struct kin_scope *scope);

/* The job with that scope becomes final, and the context that it has borrowed
 * may go: retains it if somebody may still ask for it, for its handler (of a
 * callback that comes late, and fails), or for the name of the job if `named`;
 * else forgets it.  Under the job's LOCK. */
void kin__scope_keep(struct kin_scope *scope, bool named);

/* Makes a borrowed context the scope's own. */
void kin__scope_own(struct kin_scope *scope);

static inline bool kin__scope_owns(const struct kin_scope *scope)
{
    /* relaxed: what is owned stays as it is */
    return atomic_load_explicit(&((struct kin_scope *)scope)->owns_context,
                                memory_order_relaxed);
}

/* The scope of a job with a body. */
struct kin_scope *kin__job_scope(struct kin_job *job);

/* A job's name (never NULL), the one it was given (or NULL), and where it was
 * launched. */
const char *kin__job_name(const struct kin_job *job);
const char *kin__job_given_name(const struct kin_job *job);
const char *kin__job_site(const struct kin_job *job);

#endif /* KIN_JOB_JOB_H */
