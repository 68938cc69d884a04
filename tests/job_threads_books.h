/* job_threads_books.h -- what a family on several threads must come to,
 * whatever the order.
 *
 * Nobody can say when something happens here; but when all is over, each job
 * has ended once, as the rules of the tree allow it to, given how its children
 * and its parent ended and what was done to it; each value was received or
 * handed back; each failure was reported where it must be.
 *
 * Part of job_threads_fuzz.c. */
#ifndef KIN_TESTS_JOB_THREADS_BOOKS_H
#define KIN_TESTS_JOB_THREADS_BOOKS_H

#include "tests/fuzz.h"

#include <kin/kin.h>

#include <stdatomic.h>
#include <string.h>

enum { NODES = 48, WAITS = 48, BADGES = 4 };

enum kind {
    LAUNCHED, ASYNC, BY_HAND,           /* jobs of their own                 */
    SCOPE, SUPERVISOR, TIMEOUT, MOVED, SHIELD   /* blocks of a running body  */
};

enum outcome { NOT_YET, SUCCEEDED, CANCELLED, FAILED };

/* What a body wears: an element of its context, installed while it runs. */
struct badge {
    atomic_int held;
};

struct node {
    /* Constant once job is there. */
    enum kind kind;
    struct node *parent;                /* NULL: none                        */
    bool supervises, skips, valued;
    bool attached;                      /* else it may have come too late    */
    struct badge *badge;
    unsigned first;                     /* where its bytes begin             */
    _Atomic(kin_job *) job;             /* the run's reference               */
    _Atomic(kin_scope *) scope;         /* likewise, once its body runs      */
    kin_deferred *deferred;

    atomic_int begun, ended, reports, told, received, undelivered;
    atomic_int won;                     /* by hand: who completed it         */
    atomic_bool returned;               /* a value                           */
    atomic_bool cancelled;              /* somebody has asked for that       */
    atomic_bool bereft;                 /* or that its children be           */
    atomic_bool failed;                 /* with a failure of its own         */
    atomic_int code;                    /* with which its body ended         */
    atomic_int outcome, outcome_code;   /* as it was told                    */
};

/* A call that is suspended, or was. */
struct waiting {
    kin_continuation continuation;      /* constant once it is ready         */
    struct node *node;
    unsigned how;
    atomic_bool ready, over, cancelled;
    atomic_int sent, received, undelivered, watched;
};

static struct {
    struct node node[NODES];
    atomic_int nodes;
    struct waiting wait[WAITS];
    atomic_int waits;
    struct badge badge[BADGES];
    atomic_bool pool_closed;
} books;

static inline int number_of(const struct node *node)
{
    return (int)(node - books.node);
}

static inline bool is_block(const struct node *node)
{
    return node->kind >= SCOPE;
}

static inline kin_job *job_of(struct node *node)
{
    return atomic_load(&node->job);
}

/* A failure has its maker in its code. */
enum { FAILURE = -3000 };

static inline int failure_of(const struct node *node)
{
    return FAILURE - number_of(node);
}

/* A closed pool refuses. */
static inline bool is_refusal(int code)
{
    return code == KIN_ECLOSED && atomic_load(&books.pool_closed);
}

static inline bool is_failure(int code)
{
    return (code <= FAILURE && code > FAILURE - NODES) || is_refusal(code);
}

static inline int node_count(void)
{
    int count = atomic_load(&books.nodes);

    return count < NODES ? count : NODES;
}

/* NULL: there are enough. */
static struct node *node_new(enum kind kind, struct node *parent)
{
    int number = atomic_fetch_add(&books.nodes, 1);
    struct node *node = &books.node[number < NODES ? number : 0];

    if (number >= NODES)
        return NULL;
    node->kind = kind;
    node->parent = parent;
    node->supervises = kind == SUPERVISOR;
    node->badge = parent ? parent->badge : NULL;
    return node;
}

/* --- Being told ----------------------------------------------------------- */

static int end_of_node(kin_job *job, kin_error *cause, void *arg)
{
    struct node *node = arg;

    HOLDS(kin_job_is_completed(job));
    HOLDS(kin_job_is_cancelled(job) == (cause != NULL));
    HOLDS(atomic_load(&node->begun) == atomic_load(&node->ended));
    for (int i = 0; i < node_count(); i++) {
        struct node *child = &books.node[i];

        if (job_of(child) && child->parent == node && child->attached)
            HOLDS(kin_job_is_completed(job_of(child)));
    }
    atomic_store(&node->outcome_code, kin_error_code(cause));
    atomic_store(&node->outcome, !cause ? SUCCEEDED
                 : kin_error_is_cancellation(cause) ? CANCELLED : FAILED);
    HOLDS(atomic_fetch_add(&node->told, 1) == 0);
    return 0;
}

static int report(kin_job *job, kin_error *error, void *arg)
{
    struct node *node = arg;

    HOLDS(!kin_job_is_completed(job) && atomic_load(&node->told) == 0);
    HOLDS(kin_error_kind_of(error) == KIN_ERROR_FAILURE);
    HOLDS(is_failure(kin_error_code(error)));
    atomic_fetch_add(&node->reports, 1);
    return 0;
}

/* The others may find it now, and it tells its end.  sure: its parent cannot
 * have been over. */
static void node_publish(struct node *node, kin_job *job, bool sure)
{
    kin_job *parent = NULL;

    HOLDS(kin_job_parent(job, &parent) == 0);
    node->attached = node->parent && (sure || parent != NULL);
    kin_job_release(parent);
    atomic_store(&node->job, job);
    HOLDS(kin_invoke_on_completion(job, end_of_node, node, 0, NULL) == 0);
}

static void value_undelivered(void *value)
{
    atomic_fetch_add(&((struct node *)value)->undelivered, 1);
}

static void receive(struct node *node, const void *value)
{
    HOLDS(value == (node->kind == BY_HAND || atomic_load(&node->returned)
                        ? node : NULL));
    if (value)
        atomic_fetch_add(&node->received, 1);
}

/* --- When all is over ----------------------------------------------------- */

/* All but the root, whose body asks. */
static bool others_are_told(void)
{
    for (int i = 1; i < node_count(); i++)
        if (job_of(&books.node[i]) && !atomic_load(&books.node[i].told))
            return false;
    return true;
}

static bool tells_parent(const struct node *node)
{
    return node->attached && !is_block(node) && !node->parent->supervises;
}

/* One of its children has failed (with that code, or 0: any). */
static bool has_failed_child(const struct node *node, int code)
{
    for (int i = 0; i < node_count(); i++) {
        struct node *child = &books.node[i];

        if (job_of(child) && child->parent == node && tells_parent(child)
            && child->outcome == FAILED
            && (code == 0 || child->outcome_code == code))
            return true;
    }
    return false;
}

/* A child that may have been attached or not leaves this open. */
static bool has_stray_child(const struct node *node)
{
    for (int i = 0; i < node_count(); i++)
        if (books.node[i].parent == node && !books.node[i].attached
            && books.node[i].kind != SHIELD)
            return true;
    return false;
}

static bool fails_by_itself(const struct node *node)
{
    return node->failed || is_failure(node->code);
}

static bool may_be_cancelled(const struct node *node)
{
    return node->cancelled || node->code == KIN_ECANCELED
        || node->code == KIN_ETIMEDOUT || node->kind == TIMEOUT
        || !node->attached || node->parent->outcome != SUCCEEDED
        || node->parent->bereft || books.pool_closed;
}

static void check_outcome(const struct node *node)
{
    int code = node->outcome_code;
    bool must_fail = fails_by_itself(node) || has_failed_child(node, 0);

    switch (atomic_load(&node->outcome)) {
    case FAILED:
        HOLDS(is_failure(code));
        HOLDS((node->failed && code == failure_of(node)) || node->code == code
              || has_failed_child(node, code) || has_stray_child(node)
              || is_refusal(code));
        break;
    case CANCELLED:
        HOLDS(!must_fail && may_be_cancelled(node));
        break;
    default:
        HOLDS(!must_fail && node->code == 0);
        HOLDS(node->begun || node->kind == BY_HAND);
        break;
    }
}

static void check_node(const struct node *node)
{
    bool alone = node->attached && node->parent->supervises;

    HOLDS(node->told == 1);
    HOLDS(node->begun <= 1 && node->begun == node->ended);
    HOLDS(node->begun || node->skips || node->kind == BY_HAND
          || is_refusal(node->outcome_code));
    check_outcome(node);
    if (node->attached)
        HOLDS(node->reports == (alone && node->kind == LAUNCHED
                                && node->outcome == FAILED));
    HOLDS(node->undelivered == (node->returned && !node->received));
    HOLDS(node->won <= 1);
}

static bool is_balanced(void)
{
    for (int i = 0; i < node_count(); i++) {
        struct node *node = &books.node[i];

        if (node->undelivered != (node->returned && !node->received))
            return false;
    }
    for (int i = 0; i < BADGES; i++)
        if (books.badge[i].held)
            return false;
    return true;
}

static void release_nodes(void)
{
    for (int i = 0; i < node_count(); i++) {
        struct node *node = &books.node[i];

        kin_deferred_release(node->deferred);
        kin_scope_release(atomic_load(&node->scope));
        kin_job_release(job_of(node));
    }
}

static void check_books(void)
{
    int waits = books.waits < WAITS ? books.waits : WAITS;

    for (int i = 0; i < node_count(); i++)
        if (job_of(&books.node[i]))
            check_node(&books.node[i]);
    for (int i = 0; i < waits; i++) {
        struct waiting *wait = &books.wait[i];

        HOLDS(wait->over && wait->watched <= 1);
        HOLDS(wait->received + wait->undelivered == wait->sent);
    }
    for (int i = 0; i < BADGES; i++)
        HOLDS(books.badge[i].held == 0);
}

#endif
