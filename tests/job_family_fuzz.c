/* job_family_fuzz.c -- programs drawn from bytes against a model of the tree.
 *
 * Every body reads from the same input what to do next: launch, wait, cancel,
 * fail, open a block...  It runs in virtual time on one thread, in the order
 * of queueing, so that the model (job_family_model.h) can say after each step
 * in which state every job must be; or in one drawn from a seed, or with bodies
 * that run in place, and then the books must be right all the same.  A janitor
 * comes when nothing moves any more, and cancels everything again and again
 * until the last has ended.
 *
 * Besides the states: a body runs at most once and not if it was cancelled
 * before; it wears what its context says; a completion callback is called once,
 * when all below has ended; a failure is reported once, where it must be, and
 * has the code of somebody who may have caused it; a value is received or
 * handed back, never both and never neither; and calls return what the state of
 * their caller says.
 *
 * The first byte of a program says which of these may be in it, the second is
 * the seed.  What several threads do is the business of job_threads_fuzz.c, and
 * of the stress tests. */
#include "tests/job_family_waits.h"

enum { DEPTH = 5, CLOSING_TIME = 1000 };

/* --- Blocks --------------------------------------------------------------- */

struct block {
    enum kind kind;
    struct body *outer;
    struct node *node;                  /* NULL: not entered                 */
    int64_t duration;
    bool or_null, expired;
    struct badge *badge;
    int code;                           /* with which its body ended         */
};

KIN_SUSPENDS
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
    body.node->badge = block->badge;
    if (block->kind == TIMEOUT)
        body.node->deadline = kin_test_now(run.clock) + block->duration;
    enter(body.node, scope);
    HOLDS(kin_invoke_on_completion(body.node->job, end_of_node, body.node, 0,
                                   NULL) == 0);
    block->code = end(body.node, family_steps(&body));
    return block->code;
}

KIN_SUSPENDS
static int call_moved(struct block *block, unsigned how)
{
    unsigned own = how & 128 ? wide_byte() : 0;
    struct node wearer = { .badge = block->badge };
    kin_context *context = own_context(&wearer, NULL, own);
    int code;

    block->badge = wearer.badge;
    code = kin_with_context(body_of_block, block, .context = context,
                            .dispatcher = some_dispatcher(how));
    kin_context_release(context);
    return code;
}

KIN_SUSPENDS
static int call_block(struct block *block)
{
    unsigned how = next_byte();

    switch (block->kind) {
    case SCOPE:
        return kin_coroutine_scope(body_of_block, block);
    case SUPERVISOR:
        return kin_supervisor_scope(body_of_block, block);
    case TIMEOUT:
        block->or_null = how & 1 && run.mode & WIDE;
        return block->or_null
            ? kin_with_timeout_or_null(block->duration, body_of_block, block,
                                       &block->expired)
            : kin_with_timeout(block->duration, body_of_block, block);
    case MOVED:
        return call_moved(block, how);
    default:
        return kin_with_context(body_of_block, block,
                                .context = kin_shield());
    }
}

static void check_block(struct block *block, int code)
{
    bool cancelled = is_cancelled(block->outer->node);
    struct node *node = block->node;

    if (block->expired) {
        HOLDS(block->or_null && code == 0);
        code = KIN_ETIMEDOUT;
    }
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
    struct block block = { .kind = kind, .outer = body, .duration = -1,
                           .badge = body->node->badge };
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
    if (code == 0)
        receive(node, value);
    kin_deferred_release(deferred);
    return code;
}

/* Up to this many at once. */
enum { ALL = 4 };

struct all {
    struct node *nodes[ALL];
    kin_deferred *deferreds[ALL];
    void *values[ALL];
    size_t count;
    size_t failed;                      /* the first that has, or count      */
};

static void choose_all(struct body *body, struct all *all)
{
    for (unsigned wish = 1 + next_byte() % ALL; wish > 0; wish--) {
        struct node *node = any_node();

        if (!node->deferred || is_above_or_self(node, body->node)
            || is_half_cancelled(node))
            continue;
        all->nodes[all->count] = node;
        all->deferreds[all->count++] = kin_deferred_retain(node->deferred);
    }
}

static bool has_failed(const struct node *node)
{
    return kin_job_is_completed(node->job) && kin_job_is_cancelled(node->job);
}

/* Each of them is started, and looked at, before any is waited for.  What
 * starts may run in place, and fail before one that had failed already. */
static void foresee_all(struct all *all)
{
    all->failed = all->count;
    for (size_t i = 0; i < all->count; i++) {
        struct node *node = all->nodes[i];

        if (all->failed == all->count && has_failed(node))
            all->failed = i;
        model_start(node);
    }
}

/* One of the first n has, with that. */
static bool is_told_of(struct all *all, size_t n, int code)
{
    for (size_t i = 0; i < n; i++)
        if (has_failed(all->nodes[i]) && is_result_of(all->nodes[i], code))
            return true;
    return false;
}

static void check_all(struct body *body, struct all *all, int code)
{
    bool cancelled = is_cancelled(body->node);
    bool found = is_told_of(all, all->count, code);

    if (all->failed < all->count) {
        HOLDS(is_told_of(all, all->failed + 1, code));
        return;
    }
    HOLDS(code == 0 || found || (cancelled && code == KIN_ECANCELED));
    HOLDS(code != 0 || (!found && (!cancelled || all->count == 0)));
    for (size_t i = 0; code == 0 && i < all->count; i++)
        receive(all->nodes[i], all->values[i]);
}

KIN_SUSPENDS
static int await_all(struct body *body)
{
    struct all all = { .count = 0 };
    int code;

    is_cancelled(body->node);
    choose_all(body, &all);
    foresee_all(&all);
    code = kin_await_all(all.deferreds, all.count, all.values);
    check_all(body, &all, code);
    for (size_t i = 0; i < all.count; i++)
        kin_deferred_release(all.deferreds[i]);
    return code;
}

KIN_SUSPENDS
static int cancel_and_join(struct body *body)
{
    struct node *node = any_node();
    int code;

    if (!node->job || is_above_or_self(node, body->node)
        || is_half_cancelled(node))
        return 0;
    is_cancelled(node);
    model_cancel(node);
    code = kin_cancel_and_join(node->job);
    check_call(body, code);
    if (code == 0)
        HOLDS(kin_job_is_completed(node->job));
    return code;
}

KIN_SUSPENDS
static int await_cancellation(struct body *body)
{
    int code = kin_await_cancellation();

    HOLDS(code == KIN_ECANCELED && is_cancelled(body->node));
    return code;
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
    case 13:
        register_callback(any_node());
        break;
    case 14:
        withdraw_callback();
        break;
    case 15:
        fail_scope(body);
        break;
    case 16:
        ask(any_node());
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
    case 12: case 13:
        return await_all(body);
    case 14:
        return cancel_and_join(body);
    case 15:
        return await_cancellation(body);
    default:
        return run_block(body, SHIELD);
    }
}

/* A body: 0-7 ends it, 8-15 fails it; half of the rest waits, and of that half
 * ends the body with what came of it, if that is bad. */
KIN_SUSPENDS
int family_steps(struct body *body)
{
    unsigned acts = run.mode & WIDE ? 17 : 13;
    unsigned ways = run.mode & WIDE ? 16 : 12;

    check();
    while (!run.closing && !fuzz_is_over(&run.bytes)) {
        unsigned what = next_byte();
        int code;

        HOLDS(kin_current_job() == body->node->job);
        check_badge(body->node);
        fuzz_story("%d at %lld: %u (act %u, wait %u)\n",
                   number_of(body->node),
                   (long long)kin_test_now(run.clock) / KIN_MS(1), what,
                   (what >> 1) % acts, (what >> 1) % ways);
        if (what < 8)
            return 0;
        if (what < 12)
            return kin_fail(failure_of(body->node), "drawn");
        if (what < 14)
            return failure_of(body->node);
        if (what < 16)
            return KIN_ECANCELED;
        if (what & 1) {
            act(body, (what >> 1) % acts);
        } else {
            code = wait_for(body, (what >> 1) % ways);
            if (what & 128 && goes_up(code))
                return code;
        }
        check();
    }
    return 0;
}

/* --- All of it ------------------------------------------------------------ */

/* The janitor's: without it nobody may come to an end. */
KIN_SUSPENDS
static int pause_for(int64_t duration)
{
    int err = kin_delay(duration);

    HOLDS(err == 0 || err == KIN_ECANCELED);
    return err;
}

/* Nobody waits longer than this for what nobody does. */
KIN_SUSPENDS
static int janitor(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    KIN_TRY(pause_for(KIN_MS(CLOSING_TIME)));
    for (;;) {
        run.closing = true;
        for (int i = 0; i < model.count; i++)
            cancel(&model.node[i]);
        for (int i = 0; i < waits.count; i++)
            resume(&waits.wait[i]);
        check();
        KIN_TRY(pause_for(KIN_MS(1)));
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
    HOLDS(kin_test_unconfined(run.clock, &run.dispatcher[4]) == 0);
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
    struct node outside = { .kind = SUPERVISOR, .supervises = true };
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

static void check_callbacks(void)
{
    for (int i = 0; i < run.tolds; i++) {
        struct told *told = &run.told[i];

        HOLDS(told->withdrawn || told->calls == !told->too_late);
        kin_registration_dispose(told->registration);
    }
}

static void release_all(void)
{
    check_callbacks();
    check_waits();
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
    for (int i = 0; i < DISPATCHERS; i++)
        kin_dispatcher_release(run.dispatcher[i]);
    HOLDS(run.worn == NULL);
    for (int i = 0; i < BADGES; i++)
        HOLDS(run.badge[i].held == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned seed;

    memset(&run, 0, sizeof run);
    memset(&waits, 0, sizeof waits);
    model.count = 0;
    model.now = 0;
    run.bytes = (struct fuzz_bytes){ data, data + size };
    run.mode = fuzz_byte(&run.bytes);
    seed = fuzz_byte(&run.bytes);
    seed = seed & 1 ? seed : 0;
    model.strict = seed == 0 && !(run.mode & IN_PLACE);
    HOLDS(kin_run_test(program, NULL, .seed = seed) == 0);
    release_all();
    return 0;
}
