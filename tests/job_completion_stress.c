/* Two threads register callbacks on one job and dispose of them, of the
 * other's too, while one of the two completes or cancels it.  Whatever the
 * order was: a callback that nobody disposed of was called exactly once; one
 * that somebody did at most once, and not after the dispose had returned.
 */
#include "core/memory.h"
#include "tests/job_helpers.h"
#include "tests/rounds.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

TEST_TIMEOUT(120);

enum { THREADS = 2, STEPS = 6 };

/* --- One callback --------------------------------------------------------- */

struct callback {
    atomic_int calls;
    atomic_bool running;
    int flags;
    bool disposed;              /* by whoever took the handle                */
    int calls_when_disposed;
    _Atomic(kin_registration *) handle;
};

static int count_call(kin_job *job, kin_error *cause, void *arg)
{
    struct callback *callback = arg;
    (void)cause;
    CHECK(!atomic_exchange(&callback->running, true));
    if (!(callback->flags & KIN_ON_CANCELLING))
        CHECK(kin_job_is_completed(job));
    atomic_fetch_add(&callback->calls, 1);
    CHECK(atomic_exchange(&callback->running, false));
    return 0;
}

static void begin(struct callback *callback, kin_job *job, int flags)
{
    kin_registration *handle = NULL;
    callback->flags = flags;
    CHECK_EQ(kin_invoke_on_completion(job, count_call, callback, flags,
                                      &handle), 0);
    atomic_store(&callback->handle, handle);
}

/* Unless somebody else has. */
static void dispose(struct callback *callback)
{
    kin_registration *handle = atomic_exchange(&callback->handle, NULL);
    if (!handle)
        return;
    kin_registration_dispose(handle);
    CHECK(!atomic_load(&callback->running));
    callback->calls_when_disposed = atomic_load(&callback->calls);
    callback->disposed = true;
}

static void check_and_end(struct callback *callback)
{
    int calls = atomic_load(&callback->calls);
    if (callback->disposed)
        CHECK_EQ(calls, callback->calls_when_disposed);
    else if (callback->flags & KIN_NOT_IMMEDIATELY)
        CHECK(calls <= 1);
    else
        CHECK_EQ(calls, 1);
    CHECK(calls <= 1);
    kin_registration_dispose(atomic_load(&callback->handle));
    memset(callback, 0, sizeof *callback);
}

/* --- The rounds ----------------------------------------------------------- */

static kin_job *job;                    /* of the round                      */
static struct callback callbacks[THREADS][STEPS];
static atomic_uint arrived;
static atomic_int called, withdrawn;    /* in all rounds                     */

/* Both go on at nearly the same time. */
static void meet(void)
{
    unsigned ticket = atomic_fetch_add(&arrived, 1);
    unsigned full = ticket - ticket % THREADS + THREADS;
    for (int i = 0; (int)(atomic_load(&arrived) - full) < 0; i++)
        if (i % 256 == 255)
            sched_yield();
}

static void end_job(uint32_t random)
{
    if (random % 2)
        CHECK_EQ(kin_job_complete(job), 1);
    else
        kin_job_cancel(job, NULL);
}

static void play(uint32_t thread, bool ends, uint32_t *state)
{
    uint32_t last = ends ? race_next(state) % STEPS : STEPS;
    for (uint32_t i = 0; i < STEPS; i++) {
        uint32_t random = race_next(state);
        begin(&callbacks[thread][i], job, (int)(random >> 8) % 4);
        if (i == last)
            end_job(random >> 16);
        if (random % 4 != 0)
            dispose(&callbacks[random % THREADS][random / 4 % STEPS]);
    }
}

static void end_round(void)
{
    CHECK(kin_job_is_completed(job));
    for (int i = 0; i < THREADS * STEPS; i++) {
        struct callback *each = &callbacks[i / STEPS][i % STEPS];
        atomic_fetch_add(&called, atomic_load(&each->calls));
        atomic_fetch_add(&withdrawn, atomic_load(&each->calls) == 0);
        check_and_end(each);
    }
    kin_job_release(job);
}

static void *play_rounds(void *arg)
{
    uint32_t thread = (uint32_t)(uintptr_t)arg, state = race_seed(thread);
    for (int i = 0; i < race_rounds(RACE_ROUNDS); i++) {
        bool first = (uint32_t)i % THREADS == thread;
        if (first)
            job = new_job(NULL);
        meet();
        play(thread, first, &state);
        meet();
        if (first)
            end_round();
        meet();
    }
    return NULL;
}

TEST(callbacks_are_called_once_or_withdrawn_while_the_job_ends)
{
    pthread_t threads[THREADS];

    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, play_rounds, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK(atomic_load(&called) > race_rounds(RACE_ROUNDS));
    CHECK(atomic_load(&withdrawn) > race_rounds(RACE_ROUNDS));
}

/* --- Memory --------------------------------------------------------------- */

static long blocks(void)
{
    struct kin__memory_stats stats;
    kin__memory_get_stats(&stats);
    return stats.blocks;
}

TEST(callbacks_that_come_and_go_leave_nothing)
{
    KIN_AUTO(kin_job) j = new_job(NULL);
    struct callback callback = { 0 };

    kin__memory_watch(true);
    long before = blocks();
    for (int i = 0; i < race_rounds(10 * RACE_ROUNDS); i++) {
        begin(&callback, j, i % 4);
        dispose(&callback);
        if (i % 1024 == 0)
            CHECK_EQ(blocks(), before);
    }
    CHECK_EQ(blocks(), before);
    CHECK_EQ(kin_job_complete(j), 1);
    CHECK_EQ(atomic_load(&callback.calls), 0);
}

TEST_MAIN
