/* Every program without memory: each allocation, mapping, thread and
 * descriptor in turn is refused, once or from there on.
 *
 * A program is run with its n-th such call refused, for n = 1, 2, ... until
 * none is reached.  Each run ends, with 0 (and then all it had to do is done)
 * or with a code that says what there was too little of; leaves nothing
 * behind; and the same process then runs the program as if nothing had been.
 *
 * "One call" and "all calls from one on" start with the caches filled and with
 * idle workers; "in a new process" nothing is there yet.
 */
#include "tests/job_helpers.h"

#include "core/memory.h"
#include "core/sanitize.h"
#include "dispatch/scheduler.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

TEST_TIMEOUT(120);

enum { N_MAX = 10000, IDLE_WORKERS = 5, SECONDS = 10, NO_HIT = 3 };

typedef int program(void);

/* --- One run ------------------------------------------------------------ */

static unsigned long number;            /* of the refused call               */
static atomic_int steps;                /* that the program has done         */

static int step(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    steps++;
    return 0;
}

static void end_of_patience(int signal)
{
    (void)signal;
    FAIL("call %lu refused: no end", number);
}

static bool is_documented(int code)
{
    return code == 0 || code == KIN_ENOMEM || code == KIN_EAGAIN
        || code == KIN_ECANCELED;
}

static struct kin__scheduler_stats workers_now(void)
{
    struct kin__scheduler_stats stats;

    kin__scheduler_get_stats((struct kin__scheduler *)kin_default(), &stats);
    return stats;
}

/* Until the workers have put down what they had. */
static void await_idle_workers(void)
{
    struct kin__scheduler_stats stats = workers_now();

    for (; stats.parked < stats.threads; stats = workers_now())
        sched_yield();
}

/* False: there was no such call. */
static bool run_refused(program *run, bool forever)
{
    int code;
    bool hit;

    alarm((unsigned)check_slow(SECONDS));
    kin__fail_at(number, forever);
    code = run();
    hit = kin__fail_hits() > 0;
    kin__fail_at(0, false);
    if (!is_documented(code) || (code && !hit))
        FAIL("call %lu refused: the outcome is %s", number,
             kin_error_name(code));
    kin_error_clear();
    return hit;
}

static void run_clean(program *run)
{
    int code = run();

    if (code)
        FAIL("after call %lu was refused: the outcome is %s", number,
             kin_error_name(code));
    await_idle_workers();
    alarm(0);
}

/* --- With everything there ---------------------------------------------- */

static pthread_barrier_t all_here;

static int meet(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    pthread_barrier_wait(&all_here);
    return 0;
}

static int launch_meeting(kin_scope *scope, void *count)
{
    for (int i = 0; i < *(int *)count; i++)
        KIN_TRY(kin_launch(scope, meet, NULL, .dispatcher = kin_io()));
    return 0;
}

static void meet_workers(int count)
{
    pthread_barrier_init(&all_here, NULL, (unsigned)count);
    CHECK_EQ(kin_run_blocking(launch_meeting, &count), 0);
    pthread_barrier_destroy(&all_here);
    await_idle_workers();
}

/* Has every worker run something: then each has the stack that it keeps. */
static void visit_workers(void)
{
    int count = IDLE_WORKERS;

    meet_workers(count);
    while (workers_now().threads > count)
        meet_workers(count = workers_now().threads);
}

/* A worker costs a block and a stack, and is kept. */
struct held {
    long blocks, stacks;
};

static struct held held_now(void)
{
    struct kin__memory_stats memory;
    kin_stack_stats stacks;
    long workers;

    visit_workers();
    workers = workers_now().threads;
    kin__memory_get_stats(&memory);
    CHECK_EQ(kin_stack_get_stats(&stacks), 0);
    return (struct held){ memory.blocks - workers,
                          (long)stacks.live - workers };
}

static void check_nothing_left(struct held before)
{
    struct held now = held_now();

    if (now.blocks != before.blocks)
        FAIL("call %lu refused: %ld blocks left", number,
             now.blocks - before.blocks);
    if (now.stacks != before.stacks)
        FAIL("call %lu refused: %ld stacks left", number,
             now.stacks - before.stacks);
}

static void sweep(program *run, bool forever)
{
    struct held before;
    bool hit;

    signal(SIGALRM, end_of_patience);
    kin__memory_watch(true);
    visit_workers();
    run_clean(run);
    run_clean(run);
    before = held_now();
    for (number = 1, hit = true; hit; number++) {
        CHECK(number < N_MAX);
        hit = run_refused(run, forever);
        run_clean(run);
        check_nothing_left(before);
    }
}

/* --- In a new process --------------------------------------------------- */

static void child(program *run, bool forever)
{
    bool hit;

    signal(SIGALRM, end_of_patience);
    hit = run_refused(run, forever);
    run_clean(run);
    exit(hit ? 0 : NO_HIT);             /* with a look for leaks */
}

/* As run_refused, in a child; its failure is this test's. */
static bool run_in_child(program *run, bool forever)
{
    int status = 0;
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0)
        child(run, forever);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
        _exit(1);
    if (!WIFEXITED(status)
        || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != NO_HIT))
        FAIL("call %lu refused: the process ends with %#x", number,
             (unsigned)status);
    return WEXITSTATUS(status) != NO_HIT;
}

static void sweep_new_processes(program *run, bool forever)
{
    for (number = 1; run_in_child(run, forever); number++)
        CHECK(number < N_MAX);
}

/* --- Four tests of each program, two of a long one ---------------------- */

#define SWEPT_HERE(name)                                                     \
    static int name(void);                                                   \
    TEST(name##_ends_when_one_call_fails)                                    \
    {                                                                        \
        sweep(name, false);                                                  \
    }                                                                        \
    TEST(name##_ends_when_all_calls_fail_from_one_on)                        \
    {                                                                        \
        sweep(name, true);                                                   \
    }                                                                        \
    static int name(void)

#define SWEPT(name)                                                          \
    static int name(void);                                                   \
    TEST(name##_ends_when_one_call_fails_in_a_new_process)                   \
    {                                                                        \
        sweep_new_processes(name, false);                                    \
    }                                                                        \
    TEST(name##_ends_when_all_calls_fail_from_one_on_in_a_new_process)       \
    {                                                                        \
        sweep_new_processes(name, true);                                     \
    }                                                                        \
    SWEPT_HERE(name)

/* A body for kin_run_blocking, which takes `count` steps if it ends well. */
#define SWEPT_ON_LOOP(name, count)                                           \
    KIN_SUSPENDS static kin_body name##__body;                               \
    SWEPT(name)                                                              \
    ON_LOOP(name, count)
#define SWEPT_HERE_ON_LOOP(name, count)                                      \
    KIN_SUSPENDS static kin_body name##__body;                               \
    SWEPT_HERE(name)                                                         \
    ON_LOOP(name, count)
#define ON_LOOP(name, count)                                                 \
    {                                                                        \
        return run_counting(name##__body, (count));                          \
    }                                                                        \
    static int name##__body(__attribute__((unused)) kin_scope *scope,        \
                            __attribute__((unused)) void *arg)

static int run_counting(kin_body *body, int count)
{
    steps = 0;
    int err = kin_run_blocking(body, NULL);
    if (!err)
        CHECK_EQ(steps, count);
    return err;
}

/* --- Bodies ------------------------------------------------------------- */

KIN_SUSPENDS
static int step_later(kin_scope *scope, void *arg)
{
    KIN_TRY(kin_yield());
    return step(scope, arg);
}

KIN_SUSPENDS
static int step_after_delay(kin_scope *scope, void *arg)
{
    KIN_TRY(kin_delay(KIN_US(10)));
    return step(scope, arg);
}

KIN_SUSPENDS
static int give_value(kin_scope *scope, void *value)
{
    KIN_TRY(step_later(scope, NULL));
    return kin_return(scope, value);
}

KIN_SUSPENDS
static int fail_later(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    KIN_TRY(kin_yield());
    return kin_fail(-EIO, "on purpose");
}

KIN_SUSPENDS
static int never(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return kin_await_cancellation();
}

KIN_SUSPENDS
static int fail_when_cancelled(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    kin_await_cancellation();
    return kin_fail(-EPIPE, "while at it");
}

/* A handler: a failure is a step, too. */
static int count_failure(kin_job *job, kin_error *error, void *arg)
{
    (void)job, (void)error, (void)arg;
    steps++;
    return 0;
}

static int count_end(kin_job *job, kin_error *cause, void *arg)
{
    return count_failure(job, cause, arg);
}

/* The failure that was meant is a success of the program. */
static int unless_meant(int code, int meant)
{
    return code == meant ? 0 : code;
}

/* --- Launches ----------------------------------------------------------- */

SWEPT_ON_LOOP(launch, 1)
{
    return kin_launch(scope, step, NULL);
}

SWEPT_HERE_ON_LOOP(launch_of_a_hundred, 100)
{
    for (int i = 0; i < 100; i++)
        KIN_TRY(kin_launch(scope, step_later, NULL));
    return 0;
}

SWEPT_ON_LOOP(lazy_launch, 1)
{
    KIN_AUTO(kin_job) job = NULL;

    KIN_TRY(kin_launch(scope, step_later, NULL, .job = &job,
                       .start = KIN_START_LAZY));
    return kin_join(job);
}

SWEPT_ON_LOOP(atomic_launch, 1)
{
    return kin_launch(scope, step_later, NULL, .start = KIN_START_ATOMIC);
}

SWEPT_ON_LOOP(undispatched_launch, 1)
{
    return kin_launch(scope, step_later, NULL,
                      .start = KIN_START_UNDISPATCHED);
}

SWEPT_ON_LOOP(named_launch_with_handler, 1)
{
    return kin_launch(scope, step_later, NULL, .name = "named",
                      .handler = count_failure);
}

SWEPT_ON_LOOP(launch_with_context, 1)
{
    KIN_AUTO(kin_context) context = kin_context_of_name("named");

    if (!context)
        return KIN_ENOMEM;
    return kin_launch(scope, step_later, NULL, .context = context);
}

SWEPT_ON_LOOP(launch_with_a_big_stack, 1)
{
    return kin_launch(scope, step_later, NULL, .stack_size = 1000000);
}

SWEPT_ON_LOOP(launch_on_default, 2)
{
    KIN_TRY(kin_launch(scope, step_later, NULL, .dispatcher = kin_default()));
    return kin_launch(scope, step_after_delay, NULL,
                      .dispatcher = kin_default());
}

SWEPT_ON_LOOP(launch_on_io, 2)
{
    KIN_TRY(kin_launch(scope, step, NULL, .dispatcher = kin_io()));
    return kin_launch(scope, step_after_delay, NULL, .dispatcher = kin_io());
}

SWEPT_ON_LOOP(launch_on_unconfined, 2)
{
    KIN_TRY(kin_launch(scope, step_later, NULL,
                       .dispatcher = kin_unconfined()));
    return kin_launch(scope, step_after_delay, NULL,
                      .dispatcher = kin_unconfined());
}

/* --- Values ------------------------------------------------------------- */

SWEPT_ON_LOOP(async_and_await, 1)
{
    KIN_AUTO(kin_deferred) d = NULL;
    void *value = NULL;

    KIN_TRY(kin_async(scope, &d, give_value, &value));
    KIN_TRY(kin_await(d, &value));
    CHECK_PTR(value, &value);
    return 0;
}

SWEPT_ON_LOOP(await_all, 2)
{
    KIN_AUTO(kin_deferred) a = NULL;
    KIN_AUTO(kin_deferred) b = NULL;
    void *values[2];

    KIN_TRY(kin_async(scope, &a, give_value, &values[0]));
    KIN_TRY(kin_async(scope, &b, give_value, &values[1],
                      .start = KIN_START_LAZY, .dispatcher = kin_default()));
    KIN_TRY(kin_await_all((kin_deferred *const[]){ a, b }, 2, values));
    CHECK_PTR(values[0], &values[0]);
    CHECK_PTR(values[1], &values[1]);
    return 0;
}

static void drop(void *value)
{
    (void)value;
    steps++;
}

/* Nobody awaits it: whatever becomes of the value, it is dropped. */
SWEPT_ON_LOOP(undelivered_value, 2)
{
    KIN_AUTO(kin_deferred) d = NULL;

    KIN_TRY(kin_async(scope, &d, give_value, &steps, .on_undelivered = drop));
    return kin_join(kin_deferred_job(d));
}

KIN_SUSPENDS
static int complete_it(kin_scope *scope, void *deferred)
{
    KIN_TRY(step_later(scope, NULL));
    CHECK_EQ(kin_deferred_complete(deferred, deferred), 1);
    return 0;
}

SWEPT_ON_LOOP(deferred_by_hand, 1)
{
    KIN_AUTO(kin_deferred) d = NULL;
    void *value = NULL;

    KIN_TRY(kin_deferred_new(kin_scope_job(scope), NULL, &d));
    KIN_TRY(kin_launch(scope, complete_it, d));
    KIN_TRY(kin_await(d, &value));
    CHECK_PTR(value, d);
    return 0;
}

SWEPT_ON_LOOP(deferred_that_fails, 1)
{
    KIN_AUTO(kin_deferred) d = NULL;
    KIN_AUTO(kin_error) error = kin_error_new("", -EIO, NULL, "on %s", "it");

    CHECK_EQ(kin_error_code(error), -EIO);
    KIN_TRY(kin_deferred_new(NULL, NULL, &d));
    CHECK_EQ(kin_deferred_fail(d, error), 1);
    steps++;
    return unless_meant(kin_await(d, NULL), -EIO);
}

/* --- Blocking ----------------------------------------------------------- */

SWEPT_ON_LOOP(run_blocking, 1)
{
    return step_later(scope, arg);
}

SWEPT_ON_LOOP(nested_run_blocking, 2)
{
    KIN_TRY(kin_launch(scope, step_later, NULL));
    return kin_run_blocking(step_after_delay, NULL);
}

SWEPT(run_blocking_on_default)
{
    steps = 0;
    int err = kin_run_blocking(step_after_delay, NULL,
                               .dispatcher = kin_default());
    if (!err)
        CHECK_EQ(steps, 1);
    return err;
}

static int blocking_again(kin_scope *scope, void *arg)
{
    (void)scope;
    return kin_run_blocking(step_after_delay, arg);
}

SWEPT(run_blocking_inside_a_worker)
{
    steps = 0;
    int err = kin_run_blocking(blocking_again, NULL, .dispatcher = kin_io());
    if (!err)
        CHECK_EQ(steps, 1);
    return err;
}

/* --- Scope functions and blocks ----------------------------------------- */

KIN_SUSPENDS
static int launch_two(kin_scope *scope, void *arg)
{
    (void)arg;
    KIN_TRY(kin_launch(scope, step_later, NULL));
    KIN_TRY(kin_launch(scope, step_later, NULL));
    return kin_yield();
}

SWEPT_ON_LOOP(coroutine_scope, 2)
{
    return kin_coroutine_scope(launch_two, NULL);
}

SWEPT_ON_LOOP(coroutine_scope_block, 2)
{
    int err;

    KIN_COROUTINE_SCOPE(err, inner) {
        KIN_TRY_IN(inner, kin_launch(inner, step_later, NULL));
        KIN_TRY_IN(inner, kin_launch(inner, step_later, NULL));
    }
    return err;
}

/* A child that fails for want of memory goes to its handler. */
static int supervise_two(kin_scope *scope, void *arg)
{
    (void)arg;
    KIN_TRY(kin_launch(scope, fail_later, NULL, .handler = count_failure));
    return kin_launch(scope, step_later, NULL, .handler = count_failure);
}

SWEPT_ON_LOOP(supervisor_scope, 2)
{
    return kin_supervisor_scope(supervise_two, NULL);
}

SWEPT_ON_LOOP(supervisor_scope_block, 2)
{
    int err;

    KIN_SUPERVISOR_SCOPE(err, inner)
        KIN_TRY_IN(inner, supervise_two(inner, NULL));
    return err;
}

SWEPT_ON_LOOP(with_context_to_io_and_back, 2)
{
    KIN_TRY(kin_with_context(step_after_delay, NULL, .dispatcher = kin_io()));
    return step(scope, arg);
}

SWEPT_ON_LOOP(with_context_of_a_name, 1)
{
    return kin_with_context(step_later, NULL, .name = "named");
}

SWEPT_ON_LOOP(with_context_block, 1)
{
    int err, inner = 0;

    KIN_WITH_CONTEXT(err, .dispatcher = kin_default(), .name = "named")
        inner = step_later(NULL, NULL);
    return err ? err : inner;
}

SWEPT_ON_LOOP(shielded_block, 1)
{
    KIN_AUTO(kin_context) context = kin_context_of_job(kin_non_cancellable());

    if (!context)
        return KIN_ENOMEM;
    return kin_with_context(step_after_delay, NULL, .context = context);
}

/* --- Time --------------------------------------------------------------- */

SWEPT_ON_LOOP(delay, 1)
{
    return step_after_delay(scope, arg);
}

SWEPT_HERE_ON_LOOP(delay_of_many, 70)
{
    for (int i = 0; i < 70; i++)
        KIN_TRY(kin_launch(scope, step_after_delay, NULL));
    return 0;
}

SWEPT_ON_LOOP(timeout_that_expires, 0)
{
    return unless_meant(kin_with_timeout(KIN_US(20), never, NULL),
                        KIN_ETIMEDOUT);
}

SWEPT_ON_LOOP(timeout_that_does_not_expire, 1)
{
    return kin_with_timeout(KIN_S(1000), step_after_delay, NULL);
}

SWEPT_ON_LOOP(timeout_or_null, 0)
{
    bool expired = false;

    KIN_TRY(kin_with_timeout_or_null(KIN_US(20), never, NULL, &expired));
    CHECK(expired);
    return 0;
}

SWEPT_ON_LOOP(timeout_block, 1)
{
    int err;

    KIN_TIMEOUT_SCOPE(err, inner, KIN_US(20)) {
        steps++;
        KIN_TRY_IN(inner, kin_launch(inner, never, NULL));
        KIN_TRY_IN(inner, kin_delay(KIN_S(1000)));
    }
    return unless_meant(err, KIN_ETIMEDOUT);
}

/* --- Continuations ------------------------------------------------------ */

KIN_SUSPENDS
static int resume_it(kin_scope *scope, void *continuation)
{
    KIN_TRY(step_later(scope, NULL));
    return kin_resume(*(kin_continuation *)continuation, 7);
}

struct waiting {
    kin_continuation continuation;
    kin_scope *scope;
    kin_dispatcher *resumer;
};

static int start_resumer(kin_continuation continuation, void *arg)
{
    struct waiting *waiting = arg;

    waiting->continuation = continuation;
    return kin_launch(waiting->scope, resume_it, &waiting->continuation,
                      .dispatcher = waiting->resumer);
}

SWEPT_ON_LOOP(suspend_and_resume, 1)
{
    struct waiting waiting = { .scope = scope };
    int result = kin_suspend_cancellable(start_resumer, &waiting);

    return unless_meant(result, 7);
}

SWEPT_ON_LOOP(resume_by_another_thread, 1)
{
    struct waiting waiting = { .scope = scope, .resumer = kin_default() };
    int result = kin_suspend_cancellable(start_resumer, &waiting);

    return unless_meant(result, 7);
}

static void note_cancel(kin_error *cause, void *arg)
{
    (void)cause, (void)arg;
    steps++;
}

static int start_to_be_cancelled(kin_continuation continuation, void *arg)
{
    (void)arg;
    return kin_continuation_on_cancel(continuation, note_cancel, NULL);
}

SWEPT_ON_LOOP(cancelled_suspension, 1)
{
    int err;

    KIN_WITH_TIMEOUT(err, KIN_US(20))
        kin_suspend_cancellable(start_to_be_cancelled, NULL);
    return unless_meant(err, KIN_ETIMEDOUT);
}

/* --- Jobs --------------------------------------------------------------- */

SWEPT_ON_LOOP(completion_callback, 2)
{
    KIN_AUTO(kin_job) job = NULL;

    KIN_TRY(kin_launch(scope, step_later, NULL, .job = &job));
    KIN_TRY(kin_invoke_on_completion(job, count_end, NULL, 0, NULL));
    return kin_join(job);
}

SWEPT_ON_LOOP(disposed_callback, 1)
{
    KIN_AUTO(kin_job) job = NULL;
    kin_registration *registration = NULL;

    KIN_TRY(kin_launch(scope, step_later, NULL, .job = &job));
    KIN_TRY(kin_invoke_on_completion(job, count_end, NULL, KIN_ON_CANCELLING,
                                     &registration));
    kin_registration_dispose(registration);
    return kin_join(job);
}

static int use_tree(kin_job *parent)
{
    KIN_AUTO(kin_job) first = NULL;
    KIN_AUTO(kin_job) second = NULL;
    KIN_AUTO(kin_error) cause = NULL;

    KIN_TRY(kin_job_new(parent, &first));
    KIN_TRY(kin_job_new(parent, &second));
    kin_job_cancel(second, NULL);
    CHECK_FLAGS(second, "011");
    CHECK_EQ(kin_job_cancellation(second, &cause), 0);
    CHECK_EQ(kin_error_code(cause), KIN_ECANCELED);
    CHECK_EQ(kin_job_complete(first), 1);
    CHECK_EQ(kin_job_complete(parent), 1);
    CHECK_FLAGS(parent, "010");
    return 0;
}

SWEPT(job_tree_by_hand)
{
    KIN_AUTO(kin_job) parent = NULL;
    int err;

    KIN_TRY(kin_supervisor_new(NULL, &parent));
    err = use_tree(parent);
    kin_job_cancel(parent, NULL);
    return err;
}

SWEPT_ON_LOOP(cancel_and_join, 0)
{
    KIN_AUTO(kin_job) job = NULL;

    KIN_TRY(kin_launch(scope, never, NULL, .job = &job));
    KIN_TRY(kin_yield());
    KIN_TRY(kin_cancel_and_join(job));
    CHECK_FLAGS(job, "011");
    return 0;
}

SWEPT_ON_LOOP(cancel_with_a_cause, 0)
{
    KIN_AUTO(kin_job) job = NULL;
    KIN_AUTO(kin_error) cause = kin_error_new("", -EIO, NULL, "no longer");

    KIN_TRY(kin_launch(scope, never, NULL, .job = &job,
                       .dispatcher = kin_default()));
    kin_job_cancel(job, cause);
    KIN_TRY(kin_join(job));
    CHECK_FLAGS(job, "011");
    return 0;
}

/* --- Scopes and contexts ------------------------------------------------ */

static int use_scope(kin_scope *scope)
{
    KIN_AUTO(kin_scope) sum = NULL;
    KIN_AUTO(kin_context) name = kin_context_of_name("named");
    KIN_AUTO(kin_context) whole = NULL;

    if (!name)
        return KIN_ENOMEM;
    KIN_TRY(kin_scope_plus(scope, name, &sum));
    KIN_TRY(kin_scope_context(sum, &whole));
    CHECK_STR(kin_context_get(whole, &kin_key_name), "named");
    KIN_TRY(kin_launch(sum, never, NULL));
    return 0;
}

SWEPT_ON_LOOP(scope_of_ones_own, 0)
{
    KIN_AUTO(kin_context) context = NULL;
    KIN_AUTO(kin_scope) own = NULL;
    int err;

    KIN_TRY(kin_scope_context(scope, &context));
    KIN_TRY(kin_scope_new(context, &own));
    KIN_AUTO(kin_context) rest = kin_context_minus(context, &kin_key_job);
    if (!rest)
        return KIN_ENOMEM;
    kin_scope_release(own);
    own = NULL;
    KIN_TRY(kin_scope_new(rest, &own));
    err = use_scope(own);
    CHECK_EQ(kin_scope_cancel(own, NULL), 0);
    KIN_TRY(kin_join(kin_scope_job(own)));
    return err;
}

static const kin_key color = { "color" };

SWEPT(sum_of_contexts)
{
    KIN_AUTO(kin_context) sum = kin_context_join(
        kin_context_join(kin_context_of_name("a"),
                         kin_context_of_dispatcher(kin_io())),
        kin_context_join(kin_context_of(&color, "red", NULL),
                         kin_context_of_handler(count_failure, NULL)));
    KIN_AUTO(kin_context) less = kin_context_minus(sum, &color);
    KIN_AUTO(kin_context) more = kin_context_plus(less, sum);

    if (!more)
        return KIN_ENOMEM;
    CHECK_EQ(kin_context_count(less), 3);
    CHECK_EQ(kin_context_count(more), 4);
    CHECK(kin_context_equals(more, sum));
    return 0;
}

SWEPT_ON_LOOP(current_context, 0)
{
    KIN_AUTO(kin_context) context = NULL;

    KIN_TRY(kin_current_context(&context));
    CHECK_PTR(kin_context_get(context, &kin_key_job), kin_scope_job(scope));
    return 0;
}

/* --- Failures ----------------------------------------------------------- */

SWEPT_ON_LOOP(failure_told_to_a_handler, 1)
{
    KIN_AUTO(kin_job) job = NULL;

    KIN_TRY(kin_launch(kin_global_scope(), fail_later, NULL, .job = &job,
                       .handler = count_failure));
    return kin_join(job);
}

static int launch_failing(kin_scope *scope, void *arg)
{
    (void)arg;
    KIN_TRY(kin_launch(scope, fail_when_cancelled, NULL,
                       .start = KIN_START_ATOMIC));
    KIN_TRY(kin_launch(scope, fail_when_cancelled, NULL,
                       .start = KIN_START_ATOMIC));
    return kin_launch(scope, fail_later, NULL);
}

/* Without memory for a list, which of them is told is another. */
SWEPT_ON_LOOP(failure_of_several, 0)
{
    int err = kin_coroutine_scope(launch_failing, NULL);

    return unless_meant(unless_meant(err, -EIO), -EPIPE);
}

SWEPT(error_with_a_cause)
{
    char text[256];
    KIN_AUTO(kin_error) cause = kin_error_new("", -EIO, NULL, "%s", "first");

    CHECK_EQ(kin_fail_because(cause, -EPIPE, "then %d", 2), -EPIPE);
    CHECK_EQ(kin_error_code(kin_error_current()), -EPIPE);
    CHECK(kin_error_format(kin_error_current(), text, sizeof text) > 0);
    CHECK_EQ(kin_error_code(cause), -EIO);
    kin_error_clear();
    return 0;
}

/* --- Dispatchers -------------------------------------------------------- */

static int launch_three_on(kin_scope *scope, kin_dispatcher *dispatcher)
{
    KIN_TRY(kin_launch(scope, step_later, NULL, .dispatcher = dispatcher));
    KIN_TRY(kin_launch(scope, step, NULL, .dispatcher = dispatcher));
    return kin_launch(scope, step_after_delay, NULL,
                      .dispatcher = dispatcher);
}

/* All in it has ended when this returns. */
KIN_SUSPENDS
static int use_dispatcher(kin_dispatcher *dispatcher)
{
    int err;

    KIN_COROUTINE_SCOPE(err, inner)
        KIN_TRY_IN(inner, launch_three_on(inner, dispatcher));
    return err;
}

SWEPT_ON_LOOP(view_of_default, 3)
{
    KIN_AUTO(kin_dispatcher) view = NULL;

    KIN_TRY(kin_limited_parallelism(kin_default(), 1, "view", &view));
    return use_dispatcher(view);
}

SWEPT_ON_LOOP(view_of_io, 3)
{
    KIN_AUTO(kin_dispatcher) view = NULL;

    KIN_TRY(kin_limited_parallelism(kin_io(), 2, NULL, &view));
    return use_dispatcher(view);
}

/* A pool is closed whatever happened. */
KIN_SUSPENDS
static int use_pool(kin_dispatcher *pool, kin_dispatcher *dispatcher)
{
    int err = use_dispatcher(dispatcher);

    CHECK_EQ(kin_dispatcher_close(pool), 0);
    return err;
}

SWEPT_ON_LOOP(fixed_pool, 3)
{
    KIN_AUTO(kin_dispatcher) pool = NULL;

    KIN_TRY(kin_fixed_pool(2, "pool", &pool));
    return use_pool(pool, pool);
}

SWEPT_ON_LOOP(view_of_a_pool, 3)
{
    KIN_AUTO(kin_dispatcher) pool = NULL;
    KIN_AUTO(kin_dispatcher) view = NULL;

    KIN_TRY(kin_fixed_pool(2, "pool", &pool));
    int err = kin_limited_parallelism(pool, 1, "view", &view);
    if (!err)
        return use_pool(pool, view);
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    return err;
}

/* --- Main --------------------------------------------------------------- */

/* Until the job has ended: without a thread of its own, the host's has to. */
static int pump_until(kin_job *job)
{
    while (!kin_job_is_completed(job)) {
        int n = kin_main_pump(KIN_NEVER);
        if (n < 0)
            return n;
    }
    return 0;
}

static int launch_on_main(kin_dispatcher *dispatcher)
{
    KIN_AUTO(kin_scope) scope = NULL;
    int err;

    KIN_TRY(kin_main_scope(&scope));
    err = kin_launch(scope, step_after_delay, NULL, .dispatcher = dispatcher,
                     .handler = count_failure);
    CHECK_EQ(kin_job_complete(kin_scope_job(scope)), 1);
    int pumped = pump_until(kin_scope_job(scope));
    return err ? err : pumped;
}

static int use_main(kin_dispatcher *dispatcher)
{
    steps = 0;
    KIN_TRY(kin_main_attach());
    int err = launch_on_main(dispatcher);
    CHECK_EQ(kin_main_detach(), 0);
    if (!err)
        CHECK_EQ(steps, 1);
    return err;
}

SWEPT(main_that_is_pumped)
{
    return use_main(kin_main());
}

SWEPT(immediate_main)
{
    return use_main(kin_main_immediate());
}

/* Detached with a fiber of its own waiting: that ends on IO. */
static int detach_with_work(kin_job **job)
{
    int err;

    KIN_TRY(kin_main_attach());
    err = kin_launch(kin_global_scope(), step_after_delay, NULL, .job = job,
                     .dispatcher = kin_main(), .handler = count_failure);
    if (!err && kin_main_pump(0) < 0)
        steps++;                        /* it never started */
    CHECK_EQ(kin_main_detach(), 0);
    return err;
}

SWEPT(main_detached_with_work)
{
    KIN_AUTO(kin_job) job = NULL;
    int err = detach_with_work(&job);

    while (job && !kin_job_is_completed(job))
        sched_yield();
    return err;
}

/* --- Fibers ------------------------------------------------------------- */

KIN_SUSPENDS
static void *count_up(void *value)
{
    for (;;) {
        steps++;
        value = kin_fiber_suspend(value);
    }
    return NULL;
}

static int use_fiber(kin_fiber *fiber)
{
    void *out = NULL;

    CHECK_EQ(kin_fiber_resume(fiber, fiber, &out), 0);
    CHECK_PTR(out, fiber);
    CHECK_EQ(kin_fiber_resume(fiber, &out, &out), 0);
    CHECK_PTR(out, &out);
    kin_fiber_destroy(fiber);
    return 0;
}

SWEPT(bare_fiber)
{
    kin_fiber *fiber = NULL;

    KIN_TRY(kin_fiber_new(count_up, &fiber));
    return use_fiber(fiber);
}

SWEPT_ON_LOOP(fiber_inside_a_job, 2)
{
    kin_fiber *fiber = NULL;

    KIN_TRY(kin_fiber_new(count_up, &fiber, .stack_size = 300000));
    return use_fiber(fiber);
}

KIN_UNCHECKED
static void *delay_inside(void *value)
{
    *(int *)value = kin_delay(KIN_US(10));
    return NULL;
}

SWEPT_ON_LOOP(job_that_waits_inside_a_fiber, 0)
{
    kin_fiber *fiber = NULL;
    int err = 1;

    KIN_TRY(kin_fiber_new(delay_inside, &fiber));
    CHECK_EQ(kin_fiber_resume(fiber, &err, NULL), 0);
    CHECK(kin_fiber_is_done(fiber));
    kin_fiber_destroy(fiber);
    return err;
}

SWEPT(trimming)
{
    kin_stack_use uses[8];

    kin_stack_usage(uses, 8);
    kin_trim();
    return kin_run_blocking(step_later, NULL);
}

/* --- Without a stack to go to --------------------------------------------- */

enum { STACKS_MAX = 4096 };

static kin_fiber *taken[STACKS_MAX];
static bool has_run, over;

static void *nothing(void *value)
{
    return value;
}

/* So that who begins finds them at hand, and none is made ready. */
static void have_stacks_at_hand(void)
{
    kin_fiber *fibers[4];

    for (int i = 0; i < 4; i++)
        CHECK_EQ(kin_fiber_new(nothing, &fibers[i]), 0);
    for (int i = 0; i < 4; i++)
        kin_fiber_destroy(fibers[i]);
}

/* From now on there is no memory, and no stack that is at hand either. */
static void take_all_stacks(void)
{
    int count = 0;

    kin__fail_at(1, true);
    while (count < STACKS_MAX
           && kin_fiber_new(nothing, &taken[count]) == 0)
        count++;
    CHECK(count < STACKS_MAX);
}

static void give_all_stacks(void)
{
    kin__fail_at(0, false);
    for (int i = 0; i < STACKS_MAX && taken[i]; i++)
        kin_fiber_destroy(taken[i]);
}

static int note_that_it_runs(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    has_run = true;
    return 0;
}

/* Finds no stack for the next in the queue, which has not begun: it is kept for
 * whoever finds one. */
KIN_SUSPENDS
static int join_without_a_stack(kin_scope *scope, void *gate)
{
    (void)scope;
    CHECK_EQ(kin_yield(), 0);
    take_all_stacks();
    CHECK_EQ(kin_join(gate), KIN_ENOMEM);
    give_all_stacks();
    for (int i = 0; i < 100 && !has_run; i++)
        CHECK_EQ(kin_yield(), 0);
    CHECK(has_run);
    over = true;
    return 0;
}

TEST_IN_ORDER(two_that_yield_do_not_pass_by_one_that_found_no_stack)
{
    if (KIN__ASAN)
        SKIP("there none is at hand that is not readied");

    KIN_AUTO(kin_job) gate = new_job(NULL);
    KIN_AUTO(kin_job) other = LAUNCH(scope, join_without_a_stack, gate);

    (void)other;
    have_stacks_at_hand();
    CHECK_EQ(kin_yield(), 0);
    CHECK_EQ(kin_launch(scope, note_that_it_runs, NULL), 0);
    while (!over)
        CHECK_EQ(kin_yield(), 0);
    CHECK_EQ(kin_job_complete(gate), 1);
}

TEST_MAIN
