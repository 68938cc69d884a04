/* job_family_model.h -- the rules of the family, without kin: what a tree of
 * jobs does when one of them is cancelled, fails or ends.
 *
 * The model is moved by what happens in bodies, before kin is told of it, and
 * says in which state every job has to be.  Three things it cannot foresee, for
 * they happen when nobody looks: a body that is skipped, a timeout that is
 * over, and a failure of a job that had been cancelled before, which its parent
 * learns when that job ends.  model_catch_up() accepts these where they are
 * possible, and nothing else. */
#ifndef KIN_TESTS_JOB_FAMILY_MODEL_H
#define KIN_TESTS_JOB_FAMILY_MODEL_H

#include "tests/fuzz.h"

#include <kin/kin.h>

enum { NODES = 48 };

enum kind {
    LAUNCHED, ASYNC, BY_HAND,           /* jobs of their own                 */
    SCOPE, SUPERVISOR, TIMEOUT, MOVED, SHIELD   /* blocks of a running body  */
};

struct node {
    enum kind kind;
    struct node *parent;                /* NULL: attached to nobody          */
    int live;                           /* attached children that are not over */
    bool skips;                         /* if cancelled before it begins     */
    bool lazy;                          /* not begun, and not asked to       */
    bool late;                          /* born under a parent that was over */
    bool entered, ended;                /* its body; ended is also `skipped` */
    bool cancelled, expired, failed, final;
    bool owes;                          /* has failed, has not told yet      */
    bool moving;                        /* is just being cancelled           */
    bool supervises;                    /* children fail alone               */
    uint64_t failures;                  /* whose may be its own, by number   */
    int64_t deadline;

    /* kin's side, and the books. */
    kin_job *job;
    kin_deferred *deferred;
    kin_scope *scope;
    struct badge *badge;                /* what its body wears               */
    int told, reports;
    int received, undelivered;
    bool returned;                      /* it has given a value              */
    bool by_hand;                       /* it was completed so               */
    bool valued;                        /* and with a value, or is to be     */
};

/* strict: kin must be where the model is.  Where the order of what happens is
 * drawn from a seed, or bodies run in place, others come in between any two
 * steps of kin, as from other threads: then the model is ahead of it, and only
 * keeps the books. */
struct model {
    bool strict;
    struct node node[NODES];
    int count;
    int64_t now;                        /* the virtual clock, when last seen */
};

static struct model model;

static inline int number_of(const struct node *node)
{
    return (int)(node - model.node);
}

static inline bool is_block(const struct node *node)
{
    return node->kind >= SCOPE;
}

/* A failure has its maker in its code. */
enum { FAILURE = -2000 };

static inline int failure_of(const struct node *node)
{
    return FAILURE - number_of(node);
}

static inline bool is_failure(int code)
{
    return code <= FAILURE && code > FAILURE - NODES;
}

static inline uint64_t failure_bit(int code)
{
    return (uint64_t)1 << (FAILURE - code);
}

/* Not yet `failed` may be what its child knows already, where others come in
 * between: then the model is ahead with the cancellation that comes later. */
static inline bool may_fail_with(const struct node *node, int code)
{
    return is_failure(code) && node->failures & failure_bit(code);
}

/* --- What moves it -------------------------------------------------------- */

static void model_settle(struct node *node);

/* Not yet over, even if nothing is left to wait for. */
static void mark_cancelled(struct node *node)
{
    if (node->final || node->cancelled)
        return;
    node->cancelled = node->moving = true;
    if (node->kind == BY_HAND || node->lazy)
        node->ended = true;
    node->lazy = false;
    for (int i = 0; i < model.count; i++)
        if (model.node[i].parent == node) {
            mark_cancelled(&model.node[i]);
            model_settle(&model.node[i]);
        }
    node->moving = false;
}

static void model_cancel(struct node *node)
{
    mark_cancelled(node);
    model_settle(node);
}

static bool tells_parent(const struct node *node)
{
    return node->parent && !is_block(node) && !node->parent->supervises;
}

/* Of two failures either may be the first that those above learn of. */
static void may_come_first(const struct node *node, uint64_t failures)
{
    for (; tells_parent(node); node = node->parent)
        node->parent->failures |= failures;
}

static void model_fail(struct node *node, uint64_t failures);

static void model_tell(struct node *node)
{
    node->owes = false;
    if (tells_parent(node))
        model_fail(node->parent, node->failures);
}

static void model_fail(struct node *node, uint64_t failures)
{
    bool was_cancelled = node->cancelled, first = !node->failed;

    node->failures |= failures;
    node->failed = true;
    if (!model.strict)
        may_come_first(node, failures);
    if (!first || node->final)
        return;
    mark_cancelled(node);
    if (was_cancelled)
        node->owes = true;
    else
        model_tell(node);
    model_settle(node);
}

/* Its body has ended, or will not begin. */
static void model_end(struct node *node, int code)
{
    HOLDS(!node->ended);
    node->ended = node->kind == BY_HAND;
    if (is_failure(code))
        model_fail(node, failure_bit(code));
    else if (code < 0)
        model_cancel(node);
    node->ended = true;
    model_settle(node);
}

static void model_settle(struct node *node)
{
    struct node *parent = node->parent;

    if (node->final || !node->ended || node->live > 0 || node->moving)
        return;
    node->final = true;
    if (node->owes)
        model_tell(node);
    if (!parent)
        return;
    parent->live--;
    model_settle(parent);
}

static void model_start(struct node *node)
{
    node->lazy = false;
}

static struct node *model_add(enum kind kind, struct node *parent)
{
    struct node *node;

    if (model.count == NODES)
        return NULL;
    node = &model.node[model.count++];
    *node = (struct node){ .kind = kind, .deadline = KIN_NEVER,
                           .supervises = kind == SUPERVISOR };
    if (!parent)
        return node;
    if (parent->final) {
        node->late = node->cancelled = true;
        return node;
    }
    node->parent = parent;
    node->cancelled = parent->cancelled;
    parent->live++;
    model_start(parent);
    return node;
}

/* Born cancelled, what has no body to begin is over. */
static void model_born(struct node *node)
{
    if (node->cancelled && (node->lazy || node->kind == BY_HAND)) {
        node->lazy = false;
        node->ended = true;
        model_settle(node);
    }
}

/* --- Against kin ---------------------------------------------------------- */

/* A child whose failure the parent may have learned early, or NULL. */
static struct node *child_that_owes(const struct node *node)
{
    for (int i = 0; i < model.count; i++)
        if (model.node[i].parent == node && model.node[i].owes)
            return &model.node[i];
    return NULL;
}

/* Cancelled, and the model does not know why.  True if it knows now. */
static bool explain_cancellation(struct node *node)
{
    struct node *child = child_that_owes(node);

    if (node->kind == TIMEOUT && model.now >= node->deadline) {
        node->expired = true;
        model_cancel(node);
    } else if (child) {
        model_tell(child);
    } else if (!model.strict) {
        model_cancel(node);
    }
    return node->cancelled;
}

/* True if something has happened that nobody saw. */
static bool catch_up(struct node *node)
{
    if (!node->job)
        return false;
    if (!node->cancelled && !node->final && kin_job_is_cancelled(node->job))
        return explain_cancellation(node);
    if (!node->ended && !node->entered && node->cancelled && node->skips
        && kin_job_is_completed(node->job)) {
        model_end(node, KIN_ECANCELED);
        return true;
    }
    return false;
}

static void model_catch_up(void)
{
    bool again;

    do {
        again = false;
        for (int i = 0; i < model.count; i++)
            again |= catch_up(&model.node[i]);
    } while (again);
}

static void model_compare(const struct node *node)
{
    bool active = !node->lazy && !node->cancelled && !node->final;

    if (!node->job)
        return;
    HOLDS(kin_job_is_cancelled(node->job) == node->cancelled);
    HOLDS(kin_job_is_completed(node->job) == node->final);
    HOLDS(kin_job_is_active(node->job) == active);
    HOLDS(node->kind != TIMEOUT || node->final || node->cancelled
          || model.now <= node->deadline);
}

static void model_check(int64_t now)
{
    model.now = now;
    model_catch_up();
    for (int i = 0; model.strict && i < model.count; i++)
        model_compare(&model.node[i]);
}

#endif
