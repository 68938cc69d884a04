/* job_helpers.h -- what more than one test of jobs needs.
 *
 * `E` of a scenario is an error object, thrown by kin_error_rethrow; two
 * errors are the same when they are the same object.  A handle that a helper
 * returns is the caller's: KIN_AUTO(kin_job) p = new_job(NULL).
 */
#ifndef KIN_TESTS_JOB_HELPERS_H
#define KIN_TESTS_JOB_HELPERS_H

#include "tests/check.h"

#include <kin/kin.h>
#include <kin/test.h>

#include <sys/wait.h>

/* Runs body on one event loop, in one order: kin_run_blocking.  With a seed, on
 * a virtual clock, in an order that is drawn from it. */
static inline int run_on_loop(kin_body *body, void *arg)
{
    unsigned long long seed = check_seed();
    return seed ? kin_run_test(body, arg, .seed = seed)
                : kin_run_blocking(body, arg);
}

/* The same on a virtual clock, with a seed or without: for what waits. */
static inline int run_on_clock(kin_body *body, void *arg)
{
    return kin_run_test(body, arg, .seed = check_seed());
}

/* Where the loop, its order or the real time is the subject. */
static inline int run_in_order(kin_body *body, void *arg)
{
    return kin_run_blocking(body, arg);
}

/* Nanoseconds of the clock that the fiber's delays go by. */
static inline int64_t now_of(kin_scope *scope)
{
    kin_test_scheduler *clock = kin_test_scheduler_of(scope);
    return clock ? kin_test_now(clock) : kin_now();
}

/* A test whose code is the body of a run_on_loop with that `scope`. */
#define TEST_ON_LOOP(name)  TEST_RUN(run_on_loop, name)
#define TEST_ON_CLOCK(name) TEST_RUN(run_on_clock, name)
#define TEST_IN_ORDER(name) TEST_RUN(run_in_order, name)

#define TEST_RUN(run, name)                                                  \
    KIN_SUSPENDS static void name##__main(kin_scope *);                      \
    KIN_SUSPENDS                                                             \
    static int name##__body(kin_scope *scope, void *arg)                     \
    {                                                                        \
        (void)arg;                                                           \
        name##__main(scope);                                                 \
        return 0;                                                            \
    }                                                                        \
    TEST(name)                                                               \
    {                                                                        \
        CHECK_EQ(run(name##__body, NULL), 0);                                \
    }                                                                        \
    static void name##__main(__attribute__((unused)) kin_scope *scope)

/* --- Jobs ----------------------------------------------------------------- */

/* Active, completed, cancelled, as the table in kin/job.h has them. */
static inline const char *flags_of(const kin_job *job)
{
    static const char *const text[] = { "000", "001", "010", "011",
                                        "100", "101", "110", "111" };
    return text[kin_job_is_active(job) << 2 | kin_job_is_completed(job) << 1 |
                kin_job_is_cancelled(job)];
}
#define CHECK_FLAGS(job, acx) CHECK_STR(flags_of(job), (acx))

static inline kin_job *new_job(kin_job *parent)
{
    kin_job *job = NULL;
    CHECK_EQ(kin_job_new(parent, &job), 0);
    return job;
}

static inline kin_job *new_supervisor(kin_job *parent)
{
    kin_job *job = NULL;
    CHECK_EQ(kin_supervisor_new(parent, &job), 0);
    return job;
}

static inline kin_job *parent_of(kin_job *job)
{
    kin_job *parent = NULL;
    CHECK_EQ(kin_job_parent(job, &parent), 0);
    return parent;
}

/* The only child. */
static inline kin_job *child_of(kin_job *job)
{
    kin_job *child = NULL;
    CHECK_EQ(kin_job_children(job, &child, 1), 1);
    return child;
}

/* The error that a cancelled or completed job answers with. */
static inline kin_error *cancellation_of(kin_job *job)
{
    kin_error *cause = NULL;
    CHECK_EQ(kin_job_cancellation(job, &cause), 0);
    return cause;
}

static inline kin_deferred *new_deferred(kin_job *parent)
{
    kin_deferred *deferred = NULL;
    CHECK_EQ(kin_deferred_new(parent, NULL, &deferred), 0);
    return deferred;
}

/* Lets those go on who wait for gate. */
static inline void open_gate(kin_deferred *gate)
{
    CHECK_EQ(kin_deferred_complete(gate, NULL), 1);
}

static inline kin_job *launch_in(kin_scope *scope, kin_job *parent,
                                 kin_body *body, kin_launch_options options)
{
    KIN_AUTO(kin_context) context = parent ? kin_context_of_job(parent) : NULL;
    kin_job *job = NULL;
    if (parent)
        options.context = context;
    options.job = &job;
    CHECK_EQ(kin_launch_with(scope, body, &options), 0);
    CHECK(job != NULL);
    return job;
}

/* kin_launch that returns the job. */
#define LAUNCH(scope, body, ...) LAUNCH_IN(NULL, scope, body, __VA_ARGS__)

/* The same with another parent: launch(parent + ...){ body }. */
#define LAUNCH_IN(parent, scope, body, ...)                                  \
    launch_in((scope), (parent), (body),                                     \
              (kin_launch_options){ .site = KIN__HERE, .arg = __VA_ARGS__ })

/* kin_async that returns the deferred. */
#define ASYNC(scope, body, ...)                                              \
    async_in((scope), (body),                                                \
             &(kin_launch_options){ .site = KIN__HERE, .arg = __VA_ARGS__ })
static inline kin_deferred *async_in(kin_scope *scope, kin_body *body,
                                     const kin_launch_options *options)
{
    kin_deferred *deferred = NULL;
    CHECK_EQ(kin_async_with(scope, &deferred, body, options), 0);
    CHECK(deferred != NULL);
    return deferred;
}

/* The context NonCancellable: KIN_WITH_CONTEXT(err, .context = shield()).
 * Made once, and kept. */
static inline kin_context *shield(void)
{
    static kin_context *context;
    if (!context)
        context = kin_context_of_job(kin_non_cancellable());
    CHECK(context != NULL);
    return context;
}

/* --- Errors --------------------------------------------------------------- */

static inline kin_error *new_failure(const char *message)
{
    return kin_error_new("", -EIO, NULL, "%s", message);
}

static inline kin_error *new_cancellation(const char *message,
                                          kin_error *cause)
{
    return kin_error_new("", KIN_ECANCELED, cause, "%s", message);
}

/* The call failed, and with this very error. */
#define CHECK_FAILED_WITH(call, error)                                       \
    do {                                                                     \
        kin_error *check_error = (error);                                    \
        CHECK_EQ((call), kin_error_code(check_error));                       \
        CHECK_PTR(kin_error_current(), check_error);                         \
    } while (0)

/* What a failure handler or a completion callback was told. */
struct report {
    const char *word;           /* logged at each call                       */
    int count;
    kin_error *error;           /* of the last call, retained                */
};

/* A handler and a callback: logs the word and keeps the error. */
static inline int take_report(kin_job *job, kin_error *error, void *arg)
{
    struct report *report = arg;
    (void)job;
    ev(report->word);
    report->count++;
    kin_error_release(report->error);
    report->error = kin_error_retain(error);
    return 0;
}

static inline void report_release(struct report *report)
{
    kin_error_release(report->error);
}
#define REPORT(word)                                                         \
    __attribute__((cleanup(report_release)))                                 \
    struct report word = { #word, 0, NULL }

/* .handler = take_report, .handler_arg = &report */
#define HANDLER(report) .handler = take_report, .handler_arg = &(report)

/* A handler and a callback: logs the word that is its argument. */
static inline int log_word(kin_job *job, kin_error *error, void *word)
{
    (void)job;
    (void)error;
    ev(word);
    return 0;
}

static inline void on_completion(kin_job *job, kin_completion_fn *fn,
                                 void *arg)
{
    CHECK_EQ(kin_invoke_on_completion(job, fn, arg, 0, NULL), 0);
}

static inline void on_cancelling(kin_job *job, kin_completion_fn *fn,
                                 void *arg)
{
    CHECK_EQ(kin_invoke_on_completion(job, fn, arg, KIN_ON_CANCELLING, NULL),
             0);
}

/* --- Bodies --------------------------------------------------------------- */

static inline int do_nothing(kin_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    return 0;
}

/* ev(word) */
static inline int say(kin_scope *scope, void *word)
{
    (void)scope;
    ev(word);
    return 0;
}

/* try { delay(INF) } finally { ev(word) }, without a word if it is NULL. */
KIN_SUSPENDS
static inline int say_when_cancelled(kin_scope *scope, void *word)
{
    (void)scope;
    int err = kin_await_cancellation();
    CHECK_EQ(err, KIN_ECANCELED);
    if (word)
        ev(word);
    return err;
}

/* throw error */
static inline int throw_error(kin_scope *scope, void *error)
{
    (void)scope;
    return kin_error_rethrow(error);
}

KIN_SUSPENDS
static inline int yield_once(kin_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    return kin_yield();
}

/* Waits for the gate, deaf to cancellation: a child that takes its time. */
KIN_SUSPENDS
static inline int wait_shielded(kin_scope *scope, void *gate)
{
    int entered, err = 0;
    (void)scope;
    KIN_WITH_CONTEXT(entered, .context = shield())
        err = kin_await(gate, NULL);
    CHECK_EQ(entered, 0);
    return err;
}

/* Lets the others run n times. */
KIN_SUSPENDS
static inline void yield_times(int n)
{
    for (int i = 0; i < n; i++)
        CHECK_EQ(kin_yield(), 0);
}

/* --- Misuse --------------------------------------------------------------- */

#if defined(KIN_DEBUG) && KIN_DEBUG
enum { MISUSE_ABORTS = 1 };
#else
enum { MISUSE_ABORTS = 0 };
#endif

/* fn tells `text` on stderr; in a debug build it aborts, in others it goes on.
 * It then runs here as well, so that whoever looks for leaks finds them. */
static inline void check_misuse(void (*fn)(void *), const char *text)
{
    if (MISUSE_ABORTS) {
        CHECK(WIFSIGNALED(check_dies(fn, NULL, text)));
    } else {
        check_says(fn, NULL, text);
        fn(NULL);
    }
}

/* The test `function_what`: that the expression (the rest of the arguments) is
 * misuse, reported with the name of the function, and yields code. */
#define MISUSE(function, what, code, ...)                                    \
    KIN_UNCHECKED                                                            \
    static void function##_##what##__call(void *arg)                         \
    {                                                                        \
        (void)arg;                                                           \
        CHECK_EQ((__VA_ARGS__), (code));                                     \
    }                                                                        \
    TEST(function##_##what)                                                  \
    {                                                                        \
        check_misuse(function##_##what##__call, #function);                  \
    }

/* The same on a fiber; its `scope` may be used. */
#define MISUSE_ON_FIBER(function, what, code, ...)                           \
    KIN_SUSPENDS                                                             \
    static int function##_##what##__body(kin_scope *scope, void *arg)        \
    {                                                                        \
        (void)scope;                                                         \
        (void)arg;                                                           \
        CHECK_EQ((__VA_ARGS__), (code));                                     \
        return 0;                                                            \
    }                                                                        \
    MISUSE(function, what, 0,                                                \
           kin_run_blocking(function##_##what##__body, NULL))

#endif
