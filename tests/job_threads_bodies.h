/* job_threads_bodies.h -- what a drawn body does that does not suspend: jobs
 * that it launches, makes, completes, cancels, watches; what it wears.
 *
 * Part of job_threads_fuzz.c. */
#ifndef KIN_TESTS_JOB_THREADS_BODIES_H
#define KIN_TESTS_JOB_THREADS_BODIES_H

#include "tests/job_threads_books.h"

enum { DISPATCHERS = 8 };

static struct {
    const uint8_t *data;
    size_t size;
    /* A thread that may go, or the pool; Default, IO, Unconfined, three views,
     * the pool. */
    kin_dispatcher *dispatcher[DISPATCHERS];
    atomic_bool closing;
} run;

/* A running body: the node whose job is the innermost, and where it reads. */
struct body {
    struct node *node;
    kin_scope *scope;
    kin_job *job;
    int depth, steps;
    unsigned at;
    kin_registration *registration;     /* who counts here, meanwhile        */
    atomic_int calls;
    atomic_bool withdrawn;
};

static unsigned next_byte(struct body *body)
{
    if (atomic_load(&run.closing) || !run.size)
        return 0;
    return run.data[body->at++ % run.size];
}

/* One that the others have published, or NULL. */
static struct node *any_node(struct body *body)
{
    int count = node_count();
    struct node *node = &books.node[next_byte(body) % (unsigned)count];

    return job_of(node) ? node : NULL;
}

static kin_dispatcher *some_dispatcher(unsigned how)
{
    return run.dispatcher[how % DISPATCHERS];
}

/* True for good. */
static bool is_cancelled(const struct body *body)
{
    return kin_job_is_cancelled(body->job);
}

/* --- What they wear ------------------------------------------------------- */

static const kin_key badge_key = { "badge" };
static _Thread_local struct badge *worn;

/* Not to be inlined: the thread may be another one. */
__attribute__((noinline))
static struct badge **worn_here(void)
{
    __asm__ volatile("");
    return &worn;
}

static void badge_retain(void *value)
{
    atomic_fetch_add(&((struct badge *)value)->held, 1);
}

static void badge_release(void *value)
{
    HOLDS(atomic_fetch_sub(&((struct badge *)value)->held, 1) > 0);
}

static int badge_put_on(void *value, void **old)
{
    *old = *worn_here();
    *worn_here() = value;
    return 0;
}

static void badge_take_off(void *value, void *old)
{
    HOLDS(*worn_here() == value);
    *worn_here() = old;
}

static void check_place(const struct body *body)
{
    struct badge *badge = body->node->badge;

    HOLDS(kin_current_job() == body->job);
    HOLDS(kin_current_element(&badge_key) == badge);
    HOLDS(!badge || *worn_here() == badge);
}

/* A context of its own: a badge, a name, somebody else's job. */
static kin_context *own_context(struct badge **badge, kin_job *job,
                                unsigned how)
{
    static const kin_element_ops ops = {
        .retain = badge_retain, .release = badge_release,
        .update = badge_put_on, .restore = badge_take_off,
    };
    kin_context *context = kin_context_empty();

    if (how % BADGES) {
        *badge = &books.badge[how % BADGES];
        context = kin_context_join(context, kin_context_of(&badge_key, *badge,
                                                           &ops));
    }
    if (how & 4)
        context = kin_context_join(context, kin_context_of_name("named"));
    if (job)
        context = kin_context_join(context, kin_context_of_job(job));
    HOLDS(context != NULL);
    return context;
}

/* --- Jobs ----------------------------------------------------------------- */

/* In job_threads_fuzz.c: what the bytes say. */
int threads_steps(struct body *body) KIN_SUSPENDS;

KIN_SUSPENDS
static int run_body(struct body *body)
{
    struct node *node = body->node;
    int code;

    HOLDS(atomic_fetch_add(&node->begun, 1) == 0);
    body->job = kin_scope_job(body->scope);
    atomic_store(&node->scope, kin_scope_retain(body->scope));
    code = threads_steps(body);
    kin_registration_dispose(body->registration);
    atomic_store(&node->code, code);
    atomic_fetch_add(&node->ended, 1);
    return code;
}

KIN_SUSPENDS
static int body_of_node(kin_scope *scope, void *arg)
{
    struct node *node = arg;
    struct body body = { .node = node, .scope = scope, .at = node->first };

    if (node->kind == ASYNC && next_byte(&body) % 4) {
        atomic_store(&node->returned, true);
        HOLDS(kin_return(scope, node) == 0);
    }
    return run_body(&body);
}

static kin_job *start_node(struct node *node, kin_scope *scope,
                           kin_launch_options *options)
{
    kin_job *job = NULL;
    int err;

    options->arg = node;
    options->handler = report;
    options->handler_arg = node;
    options->on_undelivered = value_undelivered;
    options->job = &job;
    err = node->kind == ASYNC
        ? kin_async_with(scope, &node->deferred, body_of_node, options)
        : kin_launch_with(scope, body_of_node, options);
    HOLDS(err == 0 || is_refusal(err));
    return job;
}

/* In the scope of `in`, or with somebody else's job in the place of its. */
static void launch(struct body *body, struct node *in, kin_scope *scope)
{
    unsigned how = next_byte(body), own = how & 128 ? next_byte(body) : 0;
    struct node *adopter = own & 8 ? any_node(body) : NULL;
    struct node *parent = adopter ? adopter : in;
    struct node *node = node_new(how & 1 ? ASYNC : LAUNCHED, parent);
    kin_launch_options options = { .start = (kin_start)(how >> 1 & 3) };

    if (!node)
        return;
    if (how & 8)
        options.dispatcher = some_dispatcher(how >> 4);
    node->badge = in->badge;
    node->skips = options.start <= KIN_START_LAZY;
    node->first = next_byte(body) * 2;
    options.context = own_context(&node->badge,
                                  adopter ? job_of(adopter) : NULL, own);
    node_publish(node, start_node(node, scope, &options),
                 parent == body->node);
    kin_context_release(options.context);
}

static void launch_elsewhere(struct body *body)
{
    struct node *node = any_node(body);
    kin_scope *scope = node ? atomic_load(&node->scope) : NULL;

    if (scope)
        launch(body, node, scope);
}

/* A job, a supervisor, or a deferred. */
static void make_by_hand(struct body *body)
{
    unsigned how = next_byte(body) % 4;
    struct node *node = node_new(BY_HAND, body->node);
    kin_job *job = NULL;

    if (!node)
        return;
    node->valued = how >= 2;
    node->supervises = how == 1;
    if (node->valued) {
        HOLDS(kin_deferred_new(body->job, value_undelivered, &node->deferred)
              == 0);
        job = kin_job_retain(kin_deferred_job(node->deferred));
    } else {
        HOLDS((how ? kin_supervisor_new : kin_job_new)(body->job, &job) == 0);
    }
    node_publish(node, job, true);
}

static int fail_by_hand(struct node *node)
{
    kin_error *error = kin_error_new("", failure_of(node), NULL, "by hand");
    int got = node->valued ? kin_deferred_fail(node->deferred, error)
                           : kin_job_fail(job_of(node), error);

    kin_error_release(error);
    return got;
}

static int succeed_by_hand(struct node *node)
{
    return node->valued ? kin_deferred_complete(node->deferred, node)
                        : kin_job_complete(job_of(node));
}

static void complete_by_hand(struct body *body)
{
    bool failing = next_byte(body) % 2;
    struct node *node = any_node(body);
    int got;

    if (!node || node->kind != BY_HAND)
        return;
    got = failing ? fail_by_hand(node) : succeed_by_hand(node);
    HOLDS(got == 0 || got == 1);
    atomic_fetch_add(&node->won, got);
    if (got && failing)
        atomic_store(&node->failed, true);
    if (got && !failing && node->valued)
        atomic_store(&node->returned, true);
}

static void cancel(struct node *node)
{
    atomic_store(&node->cancelled, true);
    kin_job_cancel(job_of(node), NULL);
}

static void cancel_children(struct node *node)
{
    atomic_store(&node->bereft, true);
    kin_job_cancel_children(job_of(node), NULL);
}

static void fail_scope(struct body *body)
{
    atomic_store(&body->node->failed, true);
    kin_scope_fail(body->scope, failure_of(body->node));
}

/* --- Callbacks that come and go ------------------------------------------- */

static int count_call(kin_job *job, kin_error *cause, void *arg)
{
    struct body *body = arg;

    (void)cause;
    HOLDS(kin_job_is_completed(job) || kin_job_is_cancelled(job));
    HOLDS(!atomic_load(&body->withdrawn));
    HOLDS(atomic_fetch_add(&body->calls, 1) == 0);
    return 0;
}

static void count_calls(struct body *body)
{
    int flags = (int)next_byte(body) % 4;
    struct node *node = any_node(body);

    if (!node || body->registration)
        return;
    atomic_store(&body->withdrawn, false);
    atomic_store(&body->calls, 0);
    HOLDS(kin_invoke_on_completion(job_of(node), count_call, body, flags,
                                   &body->registration) == 0);
}

static void withdraw(struct body *body)
{
    kin_registration_dispose(body->registration);
    body->registration = NULL;
    atomic_store(&body->withdrawn, true);
}

#endif
