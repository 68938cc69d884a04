/* words.h -- the words that the tests about jobs are written in.
 *
 * A scenario's `throw E` is THROW(E): errors are known by name and compared by
 * identity.  Handlers log what they get: "H(E)", "C(null)".  RUN(body) runs
 * body on an event loop of its own, from a plain thread; RUN_ON_CLOCK and
 * RUN_IN_ORDER, as the functions of those names.
 *
 * To be included last: its names are short. */
#ifndef KIN_TESTS_WORDS_H
#define KIN_TESTS_WORDS_H

#include "tests/job_helpers.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#define UNUSED __attribute__((unused))
#define BODY(name) \
    KIN_SUSPENDS static int name(UNUSED kin_scope *scope, UNUSED void *arg)
#define RUN(body)  CHECK_EQ(run_on_loop((body), NULL), 0)
#define RUN_ON_CLOCK(body) CHECK_EQ(run_on_clock((body), NULL), 0)
#define RUN_IN_ORDER(body) CHECK_EQ(run_in_order((body), NULL), 0)
#define MUST(call) CHECK_EQ((call), 0)
#define THROW(error) return kin_error_rethrow(error)
#define WORD(value) ((void *)(intptr_t)(value))

/* --- Errors with a name ------------------------------------------------- */

static inline kin_error *error_named(const char *name, int code)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static kin_error *known[16];
    size_t i = 0;

    pthread_mutex_lock(&lock);
    while (i < 15 && known[i] && strcmp(kin_error_message(known[i]), name))
        i++;
    if (!known[i])
        known[i] = kin_error_new("", code, NULL, "%s", name);
    kin_error *error = known[i];
    pthread_mutex_unlock(&lock);
    return error;
}

#define E  error_named("E", -EIO)
#define E1 error_named("E1", -EIO)
#define E2 error_named("E2", -EIO)
#define E3 error_named("E3", -EIO)
#define CE error_named("CE", KIN_ECANCELED)

/* A block was left with that very error. */
#define CHECK_OUTCOME(err, error)                 \
    do {                                          \
        CHECK_PTR(kin_error_current(), error);    \
        CHECK_EQ(err, kin_error_code(error));     \
    } while (0)

/* --- Bodies ------------------------------------------------------------- */

/* try { delay(INF) } finally { ev(arg) } */
UNUSED BODY(say_finally)
{
    int err = kin_delay(KIN_NEVER);
    ev(arg);
    return err;
}

UNUSED BODY(wait_forever)
{
    return kin_delay(KIN_NEVER);
}

/* withContext(NonCancellable) { body } */
KIN_SUSPENDS
static inline int shielded(kin_body *body, void *arg)
{
    return kin_with_context(body, arg, .context = shield());
}

UNUSED BODY(await_deferred)
{
    return kin_await(arg, NULL);
}

/* launch(job) {...}: job in the place of the scope's. */
#define LAUNCH_UNDER(parent, scope, body, ...)                            \
    do {                                                                  \
        kin_context *under_ = kin_context_of_job(parent);                 \
        CHECK(under_ != NULL);                                            \
        MUST(kin_launch((scope), (body), __VA_ARGS__, .context = under_)); \
        kin_context_release(under_);                                      \
    } while (0)

/* Another dispatcher, of the clock that the fiber's own goes by. */
static inline kin_dispatcher *second_dispatcher(kin_scope *scope)
{
    kin_dispatcher *second = NULL;
    MUST(kin_test_dispatcher(kin_test_scheduler_of(scope), &second));
    return second;
}

/* --- Callbacks ---------------------------------------------------------- */

static inline void ev_error(char letter, kin_error *error)
{
    char word[128];
    snprintf(word, sizeof word, "%c(%s)", letter,
             error ? kin_error_message(error) : "null");
    ev(word);
}

static inline int log_failure(UNUSED kin_job *job, kin_error *error,
                              UNUSED void *arg)
{
    ev_error('H', error);
    return 0;
}

static inline int log_completion(UNUSED kin_job *job, kin_error *cause,
                                 UNUSED void *arg)
{
    ev_error('C', cause);
    return 0;
}

/* --- Threads ------------------------------------------------------------ */

/* Blocks the thread: for scenarios about that. */
static inline void block_ms(long ms)
{
    struct timespec rest = { ms / 1000, ms % 1000 * 1000000 };
    while (nanosleep(&rest, &rest) != 0)
        ;
}

/* Until the thread blocks: whoever it waits for may come now. */
static inline void await_blocked(pid_t thread)
{
    char path[64], text[256];

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    for (;; sched_yield()) {
        FILE *stat = fopen(path, "r");
        const char *name;

        CHECK(stat && fgets(text, sizeof text, stat));
        fclose(stat);
        name = strrchr(text, ')');
        CHECK(name != NULL);
        if (name[2] == 'S')
            return;
    }
}

static inline pthread_t start_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, fn, arg));
    return thread;
}

UNUSED BODY(join_body)
{
    return kin_join(arg);
}

/* From a plain thread: waits until job is final. */
static inline void wait_for_job(kin_job *job)
{
    MUST(kin_run_blocking(join_body, job));
}

#endif
