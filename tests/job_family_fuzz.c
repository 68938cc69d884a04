/* job_family_fuzz.c -- programs drawn from bytes against a model of the tree.
 *
 * Every body reads from the same input what to do next: launch, wait, cancel,
 * fail, open a block...  It runs in virtual time on one thread, in the order
 * of queueing, so that the model (job_family_model.h) can say after each step
 * in which state every job must be; or in one drawn from a seed, and then the
 * books must be right all the same.  A janitor comes when nothing moves any
 * more, and cancels everything again and again until the last has ended.
 *
 * Besides the states: a body runs at most once and not if it was cancelled
 * before; a completion callback is called once, when all below has ended; a
 * failure is reported once, where it must be, and has the code of somebody
 * who may have caused it; a value is received or handed back, never both and
 * never neither; and calls return what the state of their caller says. */
#include "tests/job_family_model.h"

#include <kin/test.h>

#include <string.h>

enum { WAITS = 32, DEPTH = 5, CLOSING_TIME = 1000 };

/* A parked continuation. */
struct waiting {
    kin_continuation continuation;
    struct node *node;
    bool over, cancelled, resumed;
    int received, undelivered;
};

static struct {
    struct fuzz_bytes bytes;
    kin_test_scheduler *clock;
    kin_dispatcher *dispatcher[4];      /* the test's, another, two views    */
    struct waiting wait[WAITS];
    int waits;
    struct node *root;
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

static void check(void)
{
    model_check(kin_test_now(run.clock));
}

/* The state right now, the unforeseen included. */
static bool is_cancelled(struct node *node)
{
    model.now = kin_test_now(run.clock);
    model_catch_up();
    return model.strict ? node->cancelled
                        : node->job && kin_job_is_cancelled(node->job);
}

/* Others came in while kin was about to cancel it: only with a seed. */
static bool is_half_cancelled(const struct node *node)
{
    return !model.strict && node->cancelled
        && !kin_job_is_cancelled(node->job)
        && !kin_job_is_completed(node->job);
}

static struct node *any_node(void)
{
    return &model.node[next_byte() % (unsigned)model.count];
}

/* --- Being told ----------------------------------------------------------- */

static bool must_report(const struct node *node)
{
    return node->failed && node->kind == LAUNCHED && node->parent
        && node->parent->kind == SUPERVISOR;
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

/* --- Bodies --------------------------------------------------------------- */

static int steps(struct body *body);

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
}

static int end(struct node *node, int code)
{
    model.now = kin_test_now(run.clock);
    fuzz_story("  %d ends: %d\n", number_of(node), code);
    model_catch_up();
    model_end(node, code);
    return code;
}

static int body_of_node(kin_scope *scope, void *arg)
{
    struct body body = { .node = arg, .scope = scope };
    int code;

    enter(body.node, scope);
    code = steps(&body);
    if (body.node->kind == ASYNC && next_byte() % 4) {
        HOLDS(kin_return(scope, body.node) == 0);
        body.node->returned = true;
    }
    return end(body.node, code);
}

static void launch(struct node *parent, kin_scope *scope)
{
    unsigned how = next_byte();
    enum kind kind = how & 1 ? ASYNC : LAUNCHED;
    kin_launch_options options = {
        .start = (kin_start)(how >> 1 & 3),
        .dispatcher = how & 8 ? run.dispatcher[how >> 4 & 3] : NULL,
    };
    struct node *node = model_add(kind, parent);
    kin_job *job = NULL;
    int err;

    if (!node)
        return;
    fuzz_story("  %d is %s, start %d, on %p, under %d\n", number_of(node),
               kind == ASYNC ? "async" : "launched", (int)options.start,
               (void *)options.dispatcher, number_of(parent));
    node->lazy = options.start == KIN_START_LAZY;
    node->skips = options.start == KIN_START_DEFAULT || node->lazy;
    model_born(node);
    options.arg = node;
    options.handler = report;
    options.handler_arg = node;
    options.on_undelivered = value_undelivered;
    options.job = kind == LAUNCHED ? &job : NULL;
    err = kind == ASYNC
        ? kin_async_with(scope, &node->deferred, body_of_node, &options)
        : kin_launch_with(scope, body_of_node, &options);
    HOLDS(err == 0);
    if (kind == ASYNC)
        job = kin_job_retain(kin_deferred_job(node->deferred));
    HOLDS(!node->job || node->job == job);
    if (node->job)
        kin_job_release(job);
    node->job = job;
    HOLDS(kin_invoke_on_completion(job, end_of_node, node, 0, NULL) == 0);
}

static void launch_elsewhere(void)
{
    struct node *node = any_node();

    if (!node->scope || is_half_cancelled(node)
        || node->final != kin_job_is_completed(node->job))
        return;
    launch(node, node->scope);
}

static void make_by_hand(struct node *parent)
{
    struct node *node = model_add(BY_HAND, parent);

    if (!node)
        return;
    fuzz_story("  %d is by hand, under %d\n", number_of(node),
               number_of(parent));
    model_born(node);
    HOLDS(kin_job_new(parent->job, &node->job) == 0);
    HOLDS(kin_invoke_on_completion(node->job, end_of_node, node, 0, NULL) == 0);
}

static void complete_by_hand(struct node *node, bool failing)
{
    kin_error *error;
    bool first;
    int got;

    if (node->kind != BY_HAND || !node->job)
        return;
    is_cancelled(node);
    first = kin_job_is_active(node->job);
    HOLDS(first == !node->ended || !model.strict);
    if (first == node->ended)
        return;                         /* in the middle of something */
    if (first)
        model_end(node, failing ? failure_of(node) : 0);
    if (failing) {
        error = kin_error_new("", failure_of(node), NULL, "by hand");
        got = kin_job_fail(node->job, error);
        kin_error_release(error);
    } else {
        got = kin_job_complete(node->job);
    }
    HOLDS(got == first);
}

/* --- Blocks --------------------------------------------------------------- */

struct block {
    enum kind kind;
    struct body *outer;
    struct node *node;                  /* NULL: not entered                 */
    int64_t duration;
    int code;                           /* with which its body ended         */
};

static int body_of_block(kin_scope *scope, void *arg)
{
    struct block *block = arg;
    struct body body = { .scope = scope, .depth = block->outer->depth + 1 };
    struct node *outer = block->outer->node;

    is_cancelled(outer);
    fuzz_story("  a block of kind %d, %lld ns\n", (int)block->kind,
               (long long)block->duration);
    if (!block->node)
        block->node =
            model_add(block->kind, block->kind == SHIELD ? NULL : outer);
    body.node = block->node;
    HOLDS(body.node);                   /* there was room a moment ago */
    if (block->kind == TIMEOUT)
        body.node->deadline = kin_test_now(run.clock) + block->duration;
    enter(body.node, scope);
    HOLDS(kin_invoke_on_completion(body.node->job, end_of_node, body.node, 0,
                                   NULL) == 0);
    block->code = end(body.node, steps(&body));
    return block->code;
}

KIN_SUSPENDS
static int call_block(struct block *block)
{
    kin_dispatcher *dispatcher = run.dispatcher[next_byte() & 3];

    switch (block->kind) {
    case SCOPE:
        return kin_coroutine_scope(body_of_block, block);
    case SUPERVISOR:
        return kin_supervisor_scope(body_of_block, block);
    case TIMEOUT:
        return kin_with_timeout(block->duration, body_of_block, block);
    case MOVED:
        return kin_with_context(body_of_block, block,
                                .dispatcher = dispatcher);
    default:
        return kin_with_context(body_of_block, block,
                                .context = kin_shield());
    }
}

static void check_block(struct block *block, int code)
{
    bool cancelled = is_cancelled(block->outer->node);
    struct node *node = block->node;

    if (block->kind == MOVED && (!node || !node->entered)) {
        HOLDS(code == KIN_ECANCELED);
        HOLDS(cancelled || node->cancelled || !model.strict);
        if (node)
            model_end(node, code);
        return;
    }
    if (block->duration == 0) {
        HOLDS(!node && (code == KIN_ETIMEDOUT || cancelled));
        return;
    }
    HOLDS(kin_job_is_completed(node->job));
    if (node->failed)
        HOLDS(is_result_of(node, code));
    else if (node->expired && model.strict)
        HOLDS(code == KIN_ETIMEDOUT || (cancelled && code == KIN_ECANCELED));
    else
        HOLDS(is_result_of(node, code)
              || (cancelled && code == KIN_ECANCELED));
}

KIN_SUSPENDS
static int run_block(struct body *body, enum kind kind)
{
    struct block block = { .kind = kind, .outer = body, .duration = -1 };
    int code;

    if (body->depth == DEPTH || model.count > NODES - DEPTH)
        return 0;                       /* others may open one meanwhile */
    if (kind == TIMEOUT)
        block.duration = KIN_MS(next_byte() % 16);
    /* Its job is there while the fiber is still on its way. */
    if (kind == MOVED && !is_cancelled(body->node)) {
        block.node = model_add(kind, body->node);
        block.node->skips = true;
    }
    code = call_block(&block);
    check_block(&block, code);
    HOLDS(kin_current_job() == body->node->job);
    return code;
}

/* --- Waiting -------------------------------------------------------------- */

static bool is_above_or_self(const struct node *node, const struct node *below)
{
    for (; below; below = below->parent)
        if (below == node)
            return true;
    return false;
}

KIN_SUSPENDS
static int join(struct body *body)
{
    struct node *node = any_node();
    int code;

    if (!node->job || is_above_or_self(node, body->node)
        || is_half_cancelled(node))
        return 0;
    if (!is_cancelled(body->node))
        model_start(node);
    code = kin_join(node->job);
    check_call(body, code);
    if (code == 0)
        HOLDS(kin_job_is_completed(node->job));
    return code;
}

KIN_SUSPENDS
static int await(struct body *body)
{
    struct node *node = any_node();
    kin_deferred *deferred;
    void *value = NULL;
    bool was_final;
    int code;

    if (!node->deferred || is_above_or_self(node, body->node)
        || is_half_cancelled(node))
        return 0;
    is_cancelled(body->node);
    was_final = kin_job_is_completed(node->job);
    if (!was_final)
        model_start(node);
    deferred = kin_deferred_retain(node->deferred);
    code = kin_await(deferred, &value);
    is_cancelled(body->node);
    if (was_final)
        HOLDS(is_result_of(node, code));
    else
        HOLDS((kin_job_is_completed(node->job) && is_result_of(node, code))
              || (is_cancelled(body->node)
                  && (code == KIN_ECANCELED || may_fail_with(node, code))));
    if (code == 0) {
        HOLDS(value == (node->returned ? node : NULL));
        node->received += value != NULL;
    }
    kin_deferred_release(deferred);
    return code;
}

static int begin_wait(kin_continuation continuation, void *arg)
{
    struct waiting *wait = arg;

    wait->continuation = continuation;
    return 0;
}

KIN_SUSPENDS
static int suspend(struct body *body)
{
    struct waiting *wait = &run.wait[run.waits];
    int code;

    if (run.waits == WAITS)
        return 0;
    run.waits++;
    *wait = (struct waiting){ .node = body->node };
    code = kin_suspend_cancellable(begin_wait, wait);
    wait->over = true;
    if (code == 0) {
        HOLDS(wait->resumed && !wait->cancelled && !is_cancelled(body->node));
        wait->received++;
    } else {
        HOLDS(code == KIN_ECANCELED);
        HOLDS(wait->cancelled || is_cancelled(body->node));
    }
    return code;
}

static void value_of_wait_lost(void *value, kin_error *cause)
{
    struct waiting *wait = value;

    HOLDS(cause != NULL);
    wait->undelivered++;
}

static struct waiting *any_wait(void)
{
    return run.waits ? &run.wait[next_byte() % (unsigned)run.waits] : NULL;
}

static bool is_open(struct waiting *wait)
{
    if (!model.strict)
        return kin_continuation_is_active(wait->continuation);
    return !wait->over && !wait->resumed && !wait->cancelled
        && !is_cancelled(wait->node);
}

static void resume(struct waiting *wait)
{
    struct waiting lost = *wait;
    bool open;
    int code;

    if (!wait->continuation.fiber)
        return;                         /* it is being started just now */
    open = is_open(wait);
    HOLDS(open == kin_continuation_is_active(wait->continuation));
    if (open) {
        wait->resumed = true;
        HOLDS(kin_resume_or(wait->continuation, value_of_wait_lost, wait) == 0);
        return;
    }
    lost.undelivered = 0;
    code = kin_resume_or(wait->continuation, value_of_wait_lost, &lost);
    HOLDS(code == KIN_ESTALE || code == KIN_EALREADY);
    HOLDS(lost.undelivered == (code == KIN_ESTALE));
}

static void cancel_wait(struct waiting *wait)
{
    bool open;

    if (!wait->continuation.fiber)
        return;
    open = is_open(wait);
    wait->cancelled |= open;
    HOLDS(kin_continuation_cancel(wait->continuation, NULL) == open);
}

/* --- Cancelling ----------------------------------------------------------- */

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

static void let_go(struct node *node)
{
    if (node->deferred && node->ended)
        kin_deferred_release(node->deferred);
    else
        return;
    node->deferred = NULL;
}

/* --- Steps ---------------------------------------------------------------- */

/* What does not suspend. */
static void act(struct body *body, unsigned what)
{
    struct waiting *wait;

    switch (what) {
    case 0: case 1: case 2:
        launch(body->node, body->scope);
        break;
    case 3:
        launch_elsewhere();
        break;
    case 4:
        cancel(any_node());
        break;
    case 5:
        cancel_children(any_node());
        break;
    case 6:
        start(any_node());
        break;
    case 7:
        make_by_hand(body->node);
        break;
    case 8:
        complete_by_hand(any_node(), next_byte() % 2);
        break;
    case 9:
        if ((wait = any_wait()) != NULL)
            resume(wait);
        break;
    case 10:
        if ((wait = any_wait()) != NULL)
            cancel_wait(wait);
        break;
    case 11:
        let_go(any_node());
        break;
    default:
        HOLDS(kin_ensure_active()
              == (is_cancelled(body->node) ? KIN_ECANCELED : 0));
        break;
    }
}

/* What may suspend: its result. */
KIN_SUSPENDS
static int wait_for(struct body *body, unsigned what)
{
    int code;

    switch (what) {
    case 0: case 1:
        code = kin_delay(KIN_MS(1 + next_byte() % 8));
        check_call(body, code);
        return code;
    case 2:
        code = kin_yield();
        check_call(body, code);
        return code;
    case 3:
        return join(body);
    case 4:
        return await(body);
    case 5:
        return suspend(body);
    case 6:
        return run_block(body, SCOPE);
    case 7:
        return run_block(body, SUPERVISOR);
    case 8: case 9:
        return run_block(body, TIMEOUT);
    case 10:
        return run_block(body, MOVED);
    default:
        return run_block(body, SHIELD);
    }
}

/* A body: 0-7 ends it, 8-15 fails it; half of the rest waits, and of that half
 * ends the body with what came of it, if that is bad. */
KIN_SUSPENDS
static int steps(struct body *body)
{
    check();
    while (!run.closing && !fuzz_is_over(&run.bytes)) {
        unsigned what = next_byte();
        int code;

        HOLDS(kin_current_job() == body->node->job);
        fuzz_story("%d at %lld: %u (act %u, wait %u)\n",
                   number_of(body->node),
                   (long long)kin_test_now(run.clock) / KIN_MS(1), what,
                   (what >> 1) % 13, (what >> 1) % 12);
        if (what < 8)
            return 0;
        if (what < 12)
            return kin_fail(failure_of(body->node), "drawn");
        if (what < 14)
            return failure_of(body->node);
        if (what < 16)
            return KIN_ECANCELED;
        if (what & 1) {
            act(body, (what >> 1) % 13);
        } else {
            code = wait_for(body, (what >> 1) % 12);
            if (what & 128 && goes_up(code))
                return code;
        }
        check();
    }
    return 0;
}

/* --- All of it ------------------------------------------------------------ */

/* Nobody waits longer than this for what nobody does. */
KIN_SUSPENDS
static int janitor(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    KIN_TRY(kin_delay(KIN_MS(CLOSING_TIME)));
    for (;;) {
        run.closing = true;
        for (int i = 0; i < model.count; i++)
            cancel(&model.node[i]);
        for (int i = 0; i < run.waits; i++)
            resume(&run.wait[i]);
        check();
        KIN_TRY(kin_delay(KIN_MS(1)));
    }
}

static void make_dispatchers(void)
{
    HOLDS(kin_test_dispatcher(run.clock, &run.dispatcher[1]) == 0);
    run.dispatcher[0] = kin_dispatcher_retain(run.dispatcher[1]);
    HOLDS(kin_limited_parallelism(run.dispatcher[0], 1, "one",
                                  &run.dispatcher[2]) == 0);
    HOLDS(kin_limited_parallelism(run.dispatcher[0], 2, NULL,
                                  &run.dispatcher[3]) == 0);
}

static bool all_are_over(void)
{
    for (int i = 0; i < model.count; i++)
        if (model.node[i].job && !kin_job_is_completed(model.node[i].job))
            return false;
    return true;
}

KIN_SUSPENDS
static int program(kin_scope *scope, void *arg)
{
    struct node outside = { .kind = SUPERVISOR };
    struct body body = { .node = &outside, .depth = -1 };
    struct block block = { .kind = SUPERVISOR, .outer = &body, .duration = -1 };
    int code;

    (void)arg;
    run.clock = kin_test_scheduler_of(scope);
    make_dispatchers();
    HOLDS(kin_launch(kin_test_background(scope), janitor, NULL) == 0);
    code = kin_supervisor_scope(body_of_block, &block);
    outside.cancelled = false;
    while (!all_are_over())             /* what nobody was the parent of */
        KIN_TRY(kin_delay(KIN_MS(CLOSING_TIME / 10)));
    model_check(kin_test_now(run.clock));
    HOLDS(is_result_of(block.node, code));
    return 0;
}

static void check_values(const struct node *node)
{
    bool lost = node->returned && !node->received;

    HOLDS(node->undelivered == lost);
}

static void release_all(void)
{
    for (int i = 0; i < model.count; i++) {
        struct node *node = &model.node[i];

        if (!node->job)
            continue;                   /* a block that was not entered */
        HOLDS(kin_job_is_completed(node->job) && node->told == 1);
        HOLDS(node->entered || node->skips || node->kind == BY_HAND);
        kin_deferred_release(node->deferred);
        kin_scope_release(node->scope);
        kin_job_release(node->job);
        check_values(node);
    }
    for (int i = 0; i < run.waits; i++)
        HOLDS(run.wait[i].over
              && run.wait[i].received + run.wait[i].undelivered
                     == run.wait[i].resumed);
    for (int i = 0; i < 4; i++)
        kin_dispatcher_release(run.dispatcher[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned seed;

    memset(&run, 0, sizeof run);
    model.count = 0;
    model.now = 0;
    run.bytes = (struct fuzz_bytes){ data, data + size };
    seed = fuzz_byte(&run.bytes);
    seed = seed & 1 ? seed : 0;
    model.strict = seed == 0;
    HOLDS(kin_run_test(program, NULL, .seed = seed) == 0);
    release_all();
    return 0;
}
