/* job_family_nodes.h -- kin's side of the model: the nodes' jobs, how they are
 * launched or made, what they tell, and what calls about them return.
 *
 * Part of job_family_fuzz.c. */
#ifndef KIN_TESTS_JOB_FAMILY_NODES_H
#define KIN_TESTS_JOB_FAMILY_NODES_H

#include "tests/job_family_model.h"

#include <kin/test.h>

#include <string.h>

enum { BADGES = 4, DISPATCHERS = 5, REGISTRATIONS = 32 };

/* What a body wears: an element of its context, installed while it runs. */
struct badge {
    int held;
};

/* Somebody wants to be told. */
struct told {
    kin_registration *registration;
    struct node *node;
    bool when_cancelling, withdrawn, too_late;
    int calls;
};

/* What the first byte allows beside the plain program. */
enum { WIDE = 1, IN_PLACE = 2 };

static struct {
    struct fuzz_bytes bytes;
    unsigned mode;
    kin_test_scheduler *clock;
    /* The test's, another, two views; one that runs in place. */
    kin_dispatcher *dispatcher[DISPATCHERS];
    struct badge badge[BADGES];
    struct badge *worn;
    struct told told[REGISTRATIONS];
    int tolds;
    bool closing;
} run;

/* A running body: the node whose job is the innermost, and how deep. */
struct body {
    struct node *node;
    kin_scope *scope;
    int depth;
};

static unsigned next_byte(void)
{
    return run.closing ? 0 : fuzz_byte(&run.bytes);
}

/* What a plain program does not ask. */
static unsigned wide_byte(void)
{
    return run.mode & WIDE ? next_byte() : 0;
}

static struct node *any_node(void)
{
    return &model.node[next_byte() % (unsigned)model.count];
}

static kin_dispatcher *some_dispatcher(unsigned how)
{
    return run.dispatcher[how & 4 && run.mode & IN_PLACE ? 4 : how & 3];
}

/* --- In which state ------------------------------------------------------- */

/* The state right now, the unforeseen included. */
static bool is_cancelled(struct node *node)
{
    model.now = kin_test_now(run.clock);
    model_catch_up();
    return model.strict ? node->cancelled
                        : node->job && kin_job_is_cancelled(node->job);
}

/* Others came in while kin was about to cancel it: only where the model is not
 * strict. */
static bool is_half_cancelled(const struct node *node)
{
    return !model.strict && node->cancelled
        && !kin_job_is_cancelled(node->job)
        && !kin_job_is_completed(node->job);
}

/* It may be being skipped, and about to end. */
static bool may_be_skipped(const struct node *node)
{
    return !model.strict && node->skips && node->cancelled && !node->entered;
}

/* The model knows in which state it is. */
static bool is_known(struct node *node)
{
    is_cancelled(node);
    return node->job && !is_half_cancelled(node) && !may_be_skipped(node)
        && node->final == kin_job_is_completed(node->job);
}

static bool is_above_or_self(const struct node *node, const struct node *below)
{
    for (; below; below = below->parent)
        if (below == node)
            return true;
    return false;
}

/* --- What they wear ------------------------------------------------------- */

static const kin_key badge_key = { "badge" };

static void badge_retain(void *value)
{
    ((struct badge *)value)->held++;
}

static void badge_release(void *value)
{
    HOLDS(((struct badge *)value)->held-- > 0);
}

static int badge_put_on(void *value, void **old)
{
    *old = run.worn;
    run.worn = value;
    return 0;
}

static void badge_take_off(void *value, void *old)
{
    HOLDS(run.worn == value);
    run.worn = old;
}

/* A body without one may run inside a slice of one that has. */
static void check_badge(const struct node *node)
{
    HOLDS(kin_current_element(&badge_key) == node->badge);
    HOLDS(!node->badge || run.worn == node->badge);
}

/* A context of its own, or NULL; the node is told of its badge. */
static kin_context *own_context(struct node *node, struct node *adopter,
                                unsigned how)
{
    static const kin_element_ops ops = {
        .retain = badge_retain, .release = badge_release,
        .update = badge_put_on, .restore = badge_take_off,
    };
    kin_context *context = kin_context_empty();

    if (how % BADGES) {
        node->badge = &run.badge[how % BADGES];
        context = kin_context_join(context,
                                   kin_context_of(&badge_key, node->badge,
                                                  &ops));
    }
    if (how & 4)
        context = kin_context_join(context, kin_context_of_name("named"));
    if (adopter)
        context = kin_context_join(context,
                                   kin_context_of_job(adopter->job));
    HOLDS(context != NULL);
    return context;
}

/* --- Being told ----------------------------------------------------------- */

static bool must_report(const struct node *node)
{
    return node->failed && node->kind == LAUNCHED && node->parent
        && node->parent->supervises;
}

static void check_cause(const struct node *node, kin_error *cause)
{
    if (node->failed) {
        HOLDS(cause && kin_error_kind_of(cause) == KIN_ERROR_FAILURE);
        HOLDS(may_fail_with(node, kin_error_code(cause)));
    } else {
        HOLDS(!cause || kin_error_is_cancellation(cause));
    }
}

static int end_of_node(kin_job *job, kin_error *cause, void *arg)
{
    struct node *node = arg;

    fuzz_story("  %d is over: %d\n", number_of(node), kin_error_code(cause));
    model_catch_up();
    HOLDS(node->told++ == 0);
    HOLDS(kin_job_is_completed(job));
    HOLDS(!node->entered || node->ended);
    HOLDS(kin_job_is_cancelled(job) == (cause != NULL));
    check_cause(node, cause);
    HOLDS(node->late || node->reports == must_report(node));
    for (int i = 0; i < model.count; i++)
        HOLDS(model.node[i].parent != node || !model.node[i].job
              || kin_job_is_completed(model.node[i].job));
    return 0;
}

static int report(kin_job *job, kin_error *error, void *arg)
{
    struct node *node = arg;

    model_catch_up();
    HOLDS(!kin_job_is_completed(job));
    HOLDS(node->told == 0);
    check_cause(node, error);
    node->reports++;
    return 0;
}

static void value_undelivered(void *value)
{
    struct node *node = value;

    node->undelivered++;
}

/* --- Being told when asked for -------------------------------------------- */

static int told_of_it(kin_job *job, kin_error *cause, void *arg)
{
    struct told *told = arg;

    HOLDS(kin_job_is_completed(job)
          || (told->when_cancelling && kin_job_is_cancelled(job)));
    HOLDS(!cause || kin_job_is_cancelled(job));
    HOLDS(!told->withdrawn && !told->too_late);
    told->calls++;
    return 0;
}

static bool is_due(const struct told *told)
{
    return kin_job_is_completed(told->node->job)
        || (told->when_cancelling && kin_job_is_cancelled(told->node->job));
}

static void register_callback(struct node *node)
{
    int flags = (int)next_byte() % 4;
    struct told *told = &run.told[run.tolds];

    if (!node->job || run.tolds == REGISTRATIONS)
        return;
    run.tolds++;
    *told = (struct told){ .node = node,
                           .when_cancelling = flags & KIN_ON_CANCELLING };
    told->too_late = flags & KIN_NOT_IMMEDIATELY && is_due(told);
    HOLDS(kin_invoke_on_completion(node->job, told_of_it, told, flags,
                                   &told->registration) == 0);
}

static void withdraw_callback(void)
{
    struct told *told = run.tolds
        ? &run.told[next_byte() % (unsigned)run.tolds] : NULL;

    if (!told)
        return;
    kin_registration_dispose(told->registration);
    told->registration = NULL;
    told->withdrawn = told->calls == 0;
}

static void check_told(void)
{
    for (int i = 0; i < run.tolds; i++) {
        struct told *told = &run.told[i];
        bool silent = told->withdrawn || told->too_late;

        HOLDS(told->calls <= !silent);
        if (model.strict && !silent)
            HOLDS(told->calls == is_due(told));
    }
}

static void check(void)
{
    model_check(kin_test_now(run.clock));
    check_told();
}

/* --- Results -------------------------------------------------------------- */

/* What ends a block or a deferred that is over, for whoever asks for it. */
static bool is_result_of(const struct node *node, int code)
{
    if (node->failed)
        return may_fail_with(node, code);
    if (node->cancelled || !model.strict)
        return code == KIN_ECANCELED || code == KIN_ETIMEDOUT
            || (code == 0 && !model.strict);
    return code == 0;
}

/* A suspending call returned: it says if its caller is cancelled. */
static void check_call(struct body *body, int code)
{
    HOLDS(code == (is_cancelled(body->node) ? KIN_ECANCELED : 0));
}

/* Does a body end with what a call returned?  Only codes that mean something
 * there. */
static bool goes_up(int code)
{
    return code == KIN_ECANCELED || code == KIN_ETIMEDOUT || is_failure(code);
}

static void receive(struct node *node, const void *value)
{
    HOLDS(value == (node->returned ? node : NULL));
    node->received += value != NULL;
}

/* --- Jobs with a body ----------------------------------------------------- */

/* In job_family_fuzz.c: what the bytes say. */
int family_steps(struct body *body) KIN_SUSPENDS;

static void enter(struct node *node, kin_scope *scope)
{
    fuzz_story("  %d begins\n", number_of(node));
    HOLDS(!node->entered);
    node->entered = true;
    if (!node->job)
        node->job = kin_job_retain(kin_scope_job(scope));
    node->scope = kin_scope_retain(scope);
    HOLDS(node->job == kin_scope_job(scope));
    HOLDS(!is_cancelled(node) || !node->skips);
    check_badge(node);
}

static int end(struct node *node, int code)
{
    model.now = kin_test_now(run.clock);
    fuzz_story("  %d ends: %d\n", number_of(node), code);
    model_catch_up();
    model_end(node, code);
    return code;
}

KIN_SUSPENDS
static int body_of_node(kin_scope *scope, void *arg)
{
    struct body body = { .node = arg, .scope = scope };
    int code;

    enter(body.node, scope);
    code = family_steps(&body);
    if (body.node->kind == ASYNC && next_byte() % 4) {
        HOLDS(kin_return(scope, body.node) == 0);
        body.node->returned = true;
    }
    return end(body.node, code);
}

/* A job in the context takes the place of the scope's. */
static struct node *some_adopter(unsigned own)
{
    struct node *node = own & 8 ? any_node() : NULL;

    return node && is_known(node) ? node : NULL;
}

static void launched(struct node *node, kin_job *job)
{
    if (node->kind == ASYNC)
        job = kin_job_retain(kin_deferred_job(node->deferred));
    HOLDS(!node->job || node->job == job);
    if (node->job)
        kin_job_release(job);
    node->job = job;
    HOLDS(kin_invoke_on_completion(job, end_of_node, node, 0, NULL) == 0);
}

/* In the scope of a node. */
static void launch(struct node *in, kin_scope *scope)
{
    unsigned how = next_byte();
    unsigned own = how & 128 ? wide_byte() : 0;
    enum kind kind = how & 1 ? ASYNC : LAUNCHED;
    struct node *adopter = some_adopter(own);
    struct node *node = model_add(kind, adopter ? adopter : in);
    kin_launch_options options = {
        .start = (kin_start)(how >> 1 & 3),
        .dispatcher = how & 8 ? some_dispatcher(how >> 4) : NULL,
    };
    kin_job *job = NULL;
    int err;

    if (!node)
        return;
    fuzz_story("  %d is %s, start %d, on %p, under %d\n", number_of(node),
               kind == ASYNC ? "async" : "launched", (int)options.start,
               (void *)options.dispatcher, number_of(adopter ? adopter : in));
    node->badge = in->badge;
    node->lazy = options.start == KIN_START_LAZY;
    node->skips = options.start == KIN_START_DEFAULT || node->lazy;
    model_born(node);
    options.arg = node;
    options.context = own_context(node, adopter, own);
    options.handler = report;
    options.handler_arg = node;
    options.on_undelivered = value_undelivered;
    options.job = kind == LAUNCHED ? &job : NULL;
    err = kind == ASYNC
        ? kin_async_with(scope, &node->deferred, body_of_node, &options)
        : kin_launch_with(scope, body_of_node, &options);
    HOLDS(err == 0);
    kin_context_release(options.context);
    launched(node, job);
}

static void launch_elsewhere(void)
{
    struct node *node = any_node();

    if (node->scope && is_known(node))
        launch(node, node->scope);
}

static void start(struct node *node)
{
    bool first = node->lazy && !is_cancelled(node);
    int got;

    if (!node->job || is_block(node) || node->kind == BY_HAND
        || is_half_cancelled(node))
        return;
    if (first)
        model_start(node);
    got = kin_job_start(node->job);
    HOLDS(got == first || !model.strict);
}

/* --- Jobs without one ----------------------------------------------------- */

/* A job, a supervisor, or a deferred. */
static void make_by_hand(struct node *parent)
{
    unsigned how = wide_byte();
    struct node *node = model_add(BY_HAND, parent);

    if (!node)
        return;
    fuzz_story("  %d is by hand, under %d\n", number_of(node),
               number_of(parent));
    node->supervises = how % 4 == 1;
    node->valued = how % 4 == 2;
    model_born(node);
    if (node->valued) {
        HOLDS(kin_deferred_new(parent->job, value_undelivered,
                               &node->deferred) == 0);
        node->job = kin_job_retain(kin_deferred_job(node->deferred));
    } else {
        HOLDS((node->supervises ? kin_supervisor_new(parent->job, &node->job)
                                : kin_job_new(parent->job, &node->job)) == 0);
    }
    HOLDS(kin_invoke_on_completion(node->job, end_of_node, node, 0, NULL) == 0);
}

static int fail_by_hand(struct node *node)
{
    kin_error *error =
        kin_error_new("", failure_of(node), NULL, "by hand");
    int got = node->deferred ? kin_deferred_fail(node->deferred, error)
                             : kin_job_fail(node->job, error);

    kin_error_release(error);
    return got;
}

static int succeed_by_hand(struct node *node)
{
    return node->deferred ? kin_deferred_complete(node->deferred, node)
                          : kin_job_complete(node->job);
}

static void complete_by_hand(struct node *node, bool failing)
{
    bool first;
    int got;

    if (node->kind != BY_HAND || !node->job
        || (node->valued && !node->deferred))
        return;
    is_cancelled(node);
    first = kin_job_is_active(node->job) && !node->by_hand;
    HOLDS(first == !node->ended || !model.strict);
    if (first == node->ended)
        return;                         /* in the middle of something */
    if (first) {
        node->by_hand = true;
        node->returned = node->deferred && !failing;
        model_end(node, failing ? failure_of(node) : 0);
    }
    got = failing ? fail_by_hand(node) : succeed_by_hand(node);
    HOLDS(got == first);
}

/* --- Cancelling and failing ----------------------------------------------- */

static void cancel(struct node *node)
{
    if (!node->job)
        return;
    fuzz_story("  cancels %d\n", number_of(node));
    is_cancelled(node);
    model_cancel(node);
    kin_job_cancel(node->job, NULL);
}

static void cancel_children(struct node *node)
{
    if (!node->job)
        return;
    is_cancelled(node);
    for (int i = 0; i < model.count; i++)
        if (model.node[i].parent == node)
            model_cancel(&model.node[i]);
    kin_job_cancel_children(node->job, NULL);
}

/* A body fails its scope, and goes on. */
static void fail_scope(struct body *body)
{
    int code = failure_of(body->node);

    is_cancelled(body->node);
    model_fail(body->node, failure_bit(code));
    HOLDS(kin_scope_fail(body->scope, code) == code);
}

/* --- Asking --------------------------------------------------------------- */

static void check_cancellation(struct node *node)
{
    kin_error *cause = NULL;
    int code = kin_job_cancellation(node->job, &cause);

    HOLDS(code == (node->cancelled || node->final ? 0 : KIN_EBUSY));
    HOLDS((code == 0) == (cause != NULL));
    HOLDS(!cause || kin_error_is_cancellation(cause));
    kin_error_release(cause);
}

static void check_parent(struct node *node)
{
    struct node *above = node->parent;
    kin_job *parent = NULL;

    HOLDS(kin_job_parent(node->job, &parent) == 0);
    if (node->final || (above && above->job))
        HOLDS(parent == (node->final ? NULL : above->job));
    kin_job_release(parent);
}

/* In their order; of a block that is on its way the job is not known. */
static void check_children(struct node *node)
{
    kin_job *children[NODES];
    size_t count = kin_job_children(node->job, children, NODES), next = 0;

    for (int i = 0; i < model.count; i++) {
        struct node *child = &model.node[i];

        if (child->parent != node || child->final || !child->job)
            continue;
        while (next < count && children[next] != child->job)
            next++;
        HOLDS(next++ < count);
    }
    for (next = 0; next < count; next++)
        kin_job_release(children[next]);
}

static void ask(struct node *node)
{
    is_cancelled(node);
    if (!node->job || !model.strict)
        return;
    check_cancellation(node);
    check_children(node);
    if (node->kind != SHIELD)
        check_parent(node);
}

static void let_go(struct node *node)
{
    if (!node->deferred || !node->ended)
        return;
    kin_deferred_release(node->deferred);
    node->deferred = NULL;
}

#endif
