/* job_threads_fuzz.c -- drawn programs on all dispatchers at once.
 *
 * As job_family_fuzz.c, but on Default, IO, views, a pool that may be closed,
 * Unconfined and a loop, with a foreign thread that resumes what suspends.
 * Which body does what is in the bytes (each begins to read where its launcher
 * says); when, is not: so nothing is foreseen, and what holds in every order is
 * checked when all is over (job_threads_books.h), and where a call returns.
 *
 * When a program has had its time, or when nothing of it is left, its root
 * cancels everything again and again until the last has ended. */
#include "tests/job_threads_waits.h"

#include <sched.h>
#include <time.h>

enum { DEPTH = 3, STEPS = 24, PATIENCE = 10 };

/* --- Blocks --------------------------------------------------------------- */

struct block {
    enum kind kind;
    struct body *outer;
    struct node *node;
    struct badge *badge;
    int64_t duration;
    bool expired;
};

KIN_SUSPENDS
static int body_of_block(kin_scope *scope, void *arg)
{
    struct block *block = arg;
    struct body *outer = block->outer;
    struct body body = { .scope = scope, .depth = outer->depth + 1,
                         .at = outer->at, .steps = outer->steps };
    int code;

    body.node = block->node =
        node_new(block->kind, block->kind == SHIELD ? NULL : outer->node);
    if (!body.node)
        return 0;
    body.node->badge = block->badge;
    node_publish(body.node, kin_job_retain(kin_scope_job(scope)),
                 block->kind != SHIELD);
    code = run_body(&body);
    outer->at = body.at;
    outer->steps = body.steps;
    return code;
}

KIN_SUSPENDS
static int call_moved(struct block *block)
{
    struct body *body = block->outer;
    unsigned how = next_byte(body), own = how & 128 ? next_byte(body) : 0;
    kin_context *context = own_context(&block->badge, NULL, own);
    int code = kin_with_context(body_of_block, block, .context = context,
                                .dispatcher = some_dispatcher(how));

    kin_context_release(context);
    return code;
}

KIN_SUSPENDS
static int call_block(struct block *block)
{
    switch (block->kind) {
    case SCOPE:
        return kin_coroutine_scope(body_of_block, block);
    case SUPERVISOR:
        return kin_supervisor_scope(body_of_block, block);
    case TIMEOUT:
        return block->duration & 1
            ? kin_with_timeout_or_null(block->duration, body_of_block, block,
                                       &block->expired)
            : kin_with_timeout(block->duration, body_of_block, block);
    case MOVED:
        return call_moved(block);
    default:
        return kin_with_context(body_of_block, block,
                                .context = kin_shield());
    }
}

/* What ended it is what the call says; unless it was cancelled on its way. */
static void check_block(struct block *block, int code)
{
    struct node *node = block->node;
    bool cancelled = is_cancelled(block->outer);

    if (block->expired)
        HOLDS(code == 0);
    if (!node) {                        /* not entered, or not in the books */
        HOLDS(code == 0 || code == KIN_ETIMEDOUT || is_refusal(code)
              || (code == KIN_ECANCELED
                  && (cancelled || block->outer->node->bereft
                      || books.pool_closed)));
        return;
    }
    HOLDS(kin_job_is_completed(job_of(node)) && node->told == 1);
    fuzz_story("block %d of kind %d: %d, outcome %d code %d\n",
               number_of(node), (int)node->kind, code,
               node->outcome, node->outcome_code);
    switch (atomic_load(&node->outcome)) {
    case FAILED:
        HOLDS(code == node->outcome_code);
        break;
    case CANCELLED:
        /* A body that never parked is not interrupted by its timeout. */
        HOLDS(code == KIN_ECANCELED || code == KIN_ETIMEDOUT || block->expired
              || (code == 0 && node->kind == TIMEOUT && node->code == 0));
        break;
    default:
        /* Prompt: it was cancelled when the last child or the dispatcher had
         * resumed it already. */
        HOLDS(code == 0
              || (code == KIN_ECANCELED
                  && ((cancelled && node->kind != SHIELD)
                      || (node->kind == MOVED && books.pool_closed))));
    }
}

KIN_SUSPENDS
static int run_block(struct body *body, enum kind kind)
{
    struct block block = { .kind = kind, .outer = body,
                           .badge = body->node->badge };
    int code;

    if (body->depth == DEPTH)
        return 0;
    if (kind == TIMEOUT)
        block.duration = KIN_US(1) * (int64_t)next_byte(body) + body->steps % 2;
    code = call_block(&block);
    check_block(&block, code);
    return code;
}

/* --- Waiting -------------------------------------------------------------- */

/* A call that says nothing but whether its caller is cancelled. */
static int checked(struct body *body, int code)
{
    HOLDS(code == 0 || (code == KIN_ECANCELED && is_cancelled(body)));
    return code;
}

static bool is_above_or_self(const struct node *node, const struct node *below)
{
    for (; below; below = below->parent)
        if (below == node)
            return true;
    return false;
}

/* One that can be waited for, or NULL. */
static struct node *any_other(struct body *body)
{
    struct node *node = any_node(body);

    return node && !is_above_or_self(node, body->node) ? node : NULL;
}

KIN_SUSPENDS
static int join(struct body *body, bool cancelling)
{
    struct node *node = any_other(body);
    int code;

    if (!node)
        return 0;
    if (cancelling)
        atomic_store(&node->cancelled, true);
    code = cancelling ? kin_cancel_and_join(job_of(node))
                      : kin_join(job_of(node));
    if (code == 0)
        HOLDS(kin_job_is_completed(job_of(node)));
    return checked(body, code);
}

/* It ended with that. */
static bool is_result_of(struct node *node, int code)
{
    kin_error *error = NULL;
    bool same;

    if (kin_deferred_error(node->deferred, &error) != 0)
        return false;
    same = kin_error_code(error) == code;
    kin_error_release(error);
    return same;
}

KIN_SUSPENDS
static int await(struct body *body)
{
    struct node *node = any_other(body);
    void *value = NULL;
    int code;

    if (!node || !node->deferred)
        return 0;
    code = kin_await(node->deferred, &value);
    if (code == 0)
        receive(node, value);
    HOLDS(is_result_of(node, code)
          || (is_cancelled(body) && (code == KIN_ECANCELED
                                     || is_failure(code))));
    return code;
}

enum { ALL = 3 };

KIN_SUSPENDS
static int await_all(struct body *body)
{
    struct node *nodes[ALL];
    kin_deferred *deferreds[ALL];
    void *values[ALL];
    size_t count = 0;
    bool found = false;
    int code;

    for (int i = 0; i < ALL; i++) {
        struct node *node = any_other(body);

        if (!node || !node->deferred)
            continue;
        nodes[count] = node;
        deferreds[count++] = node->deferred;
    }
    code = kin_await_all(deferreds, count, values);
    for (size_t i = 0; i < count; i++) {
        if (code == 0)
            receive(nodes[i], values[i]);
        HOLDS(code || is_result_of(nodes[i], 0));
        found |= is_result_of(nodes[i], code);
    }
    HOLDS(code == 0 || found || (code == KIN_ECANCELED && is_cancelled(body)));
    return code;
}

/* --- Steps ---------------------------------------------------------------- */

/* What does not suspend. */
static void act(struct body *body, unsigned what)
{
    struct node *node;

    switch (what) {
    case 0: case 1: case 2: case 3:
        launch(body, body->node, body->scope);
        break;
    case 4:
        launch_elsewhere(body);
        break;
    case 5:
        if ((node = any_node(body)) != NULL)
            cancel(node);
        break;
    case 6:
        if ((node = any_node(body)) != NULL)
            cancel_children(node);
        break;
    case 7:
        if ((node = any_node(body)) != NULL)
            kin_job_start(job_of(node));
        break;
    case 8:
        make_by_hand(body);
        break;
    case 9: case 10:
        complete_by_hand(body);
        break;
    case 11: case 12:
        resume_any(body);
        break;
    case 13:
        count_calls(body);
        break;
    case 14:
        withdraw(body);
        break;
    case 15:
        fail_scope(body);
        break;
    case 16:
        kin_trim();
        break;
    case 17:
        if (run.data[0] & 1) {
            atomic_store(&books.pool_closed, true);
            HOLDS(kin_dispatcher_close(run.dispatcher[0]) == 0);
        }
        break;
    default:
        checked(body, kin_ensure_active());
    }
}

/* What may suspend: its result. */
KIN_SUSPENDS
static int wait_for(struct body *body, unsigned what)
{
    int code;

    switch (what) {
    case 0:
        return checked(body, kin_delay(KIN_US(next_byte(body) % 64)));
    case 1:
        return checked(body, kin_yield());
    case 2: case 3:
        return join(body, what == 3);
    case 4: case 5:
        return await(body);
    case 6:
        return await_all(body);
    case 7: case 8: case 9:
        return suspend(body);
    case 10:
        code = kin_await_cancellation();
        HOLDS(code == KIN_ECANCELED);
        return checked(body, code);
    case 11:
        return run_block(body, SCOPE);
    case 12:
        return run_block(body, SUPERVISOR);
    case 13:
        return run_block(body, TIMEOUT);
    case 14:
        return run_block(body, MOVED);
    default:
        return run_block(body, SHIELD);
    }
}

/* Does a body end with what a call returned? */
static bool goes_up(int code)
{
    return code == KIN_ECANCELED || code == KIN_ETIMEDOUT || is_failure(code);
}

/* A byte: it ends, fails, acts, or waits and perhaps ends with what came of
 * that, if it is bad. */
KIN_SUSPENDS
int threads_steps(struct body *body)
{
    check_place(body);
    while (!atomic_load(&run.closing) && body->steps++ < STEPS) {
        unsigned what = next_byte(body);
        int code;

        if (what < 8)
            return 0;
        if (what < 12)
            return kin_fail(failure_of(body->node), "drawn");
        if (what < 14)
            return KIN_ECANCELED;
        if (what & 1) {
            act(body, (what >> 1) % 19);
        } else {
            code = wait_for(body, (what >> 1) % 16);
            check_place(body);
            if (what & 128 && goes_up(code))
                return code;
        }
    }
    return 0;
}

/* --- All of it ------------------------------------------------------------ */

KIN_SUSPENDS
static int rest(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return kin_delay(KIN_US(50));
}

/* Nobody waits longer than this for what nobody does. */
KIN_SUSPENDS
static void close_all(void)
{
    atomic_store(&run.closing, true);
    while (!others_are_told()) {
        for (int i = 1; i < node_count(); i++)
            if (job_of(&books.node[i]))
                cancel(&books.node[i]);
        for (int i = 0; i < WAITS; i++)
            if (atomic_load(&books.wait[i].ready))
                resume(&books.wait[i], 3);
        HOLDS(kin_with_context(rest, NULL, .context = kin_shield()) == 0);
    }
}

/* Does nothing that is drawn but to launch the first. */
KIN_SUSPENDS
static int root(kin_scope *scope, void *arg)
{
    struct body body = { .node = arg, .scope = scope, .at = 1,
                         .job = kin_scope_job(scope) };

    node_publish(body.node, kin_job_retain(body.job), false);
    atomic_store(&body.node->begun, 1);
    for (unsigned first = 1 + next_byte(&body) % 3; first > 0; first--)
        launch(&body, body.node, scope);
    for (int i = 0; i < PATIENCE && !others_are_told(); i++)
        HOLDS(kin_with_context(rest, NULL, .context = kin_shield()) == 0);
    close_all();
    atomic_store(&body.node->ended, 1);
    return 0;
}

KIN_SUSPENDS
static int program(kin_scope *scope, void *arg)
{
    int code = kin_supervisor_scope(root, node_new(SUPERVISOR, NULL));

    (void)scope, (void)arg;
    HOLDS(code == 0 || code == KIN_ECANCELED);
    return 0;
}

/* Once per process. */
static void make_common(void)
{
    pthread_t thread;

    if (run.dispatcher[1])
        return;
    run.dispatcher[1] = kin_default();
    run.dispatcher[2] = kin_io();
    run.dispatcher[3] = kin_unconfined();
    HOLDS(kin_limited_parallelism(kin_default(), 1, "one", &run.dispatcher[4])
          == 0);
    HOLDS(kin_limited_parallelism(kin_io(), 3, "three", &run.dispatcher[5])
          == 0);
    HOLDS(kin_limited_parallelism(run.dispatcher[5], 2, "two",
                                  &run.dispatcher[6]) == 0);
    HOLDS(kin_fixed_pool(2, "pool", &run.dispatcher[7]) == 0);
    HOLDS(pthread_create(&thread, NULL, resume_letters, NULL) == 0);
    pthread_detach(thread);
}

/* What is under way on other threads, when the last job has told its end: a
 * record that is freed, a value that is handed back. */
static void settle(void)
{
    const struct timespec moment = { 0, 20000 };

    for (int i = 0; i < 500000 && !(mailbox_is_empty() && is_balanced()); i++) {
        if (i > 100)
            nanosleep(&moment, NULL);
        else
            sched_yield();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool with_pool = size && data[0] & 1;

    make_common();
    memset(&books, 0, sizeof books);
    run.data = data;
    run.size = size;
    atomic_store(&run.closing, false);
    if (with_pool)
        HOLDS(kin_single_thread("short", &run.dispatcher[0]) == 0);
    else
        run.dispatcher[0] = kin_dispatcher_retain(run.dispatcher[7]);
    HOLDS(kin_run_blocking(program, NULL) == 0);
    if (with_pool)
        HOLDS(kin_dispatcher_close(run.dispatcher[0]) == 0);
    kin_dispatcher_release(run.dispatcher[0]);
    release_nodes();
    settle();
    check_books();
    return 0;
}
