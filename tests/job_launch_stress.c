/* Two threads launch, cancel and join at random, in one family that they
 * share, in bounded rounds.  Whatever the order was: every body that started
 * has ended, every job is final, every completion callback was called exactly
 * once, and no child is left behind.
 *
 * A launch picks its parent among the jobs at hand, so children are attached
 * to jobs that run, complete, are being cancelled, or ended long ago; bodies
 * run on Default, IO and the loop of the thread that launched them.
 */
#include "tests/job_helpers.h"
#include "tests/rounds.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

enum { THREADS = 2, STEPS = 100, SLOTS = 32 };

/* In all, about a hundred thousand steps. */
static int rounds(void)
{
    return race_rounds(RACE_ROUNDS) / (THREADS * STEPS) + 1;
}

/* What happened, in all rounds. */
static atomic_int launched, started, ended, completed, reported;

/* One launch: how often its callback was called. */
struct launch {
    atomic_int calls;
    uint32_t random;            /* decides what its body does                */
};

/* The family of one round: its root, and jobs to pick from. */
static kin_job *root;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static kin_job *slots[SLOTS];   /* guarded by lock                           */
static struct launch launches[THREADS * STEPS];
static atomic_int used;         /* of launches                               */

/* --- The jobs at hand ----------------------------------------------------- */

/* One of them, retained, or NULL. */
static kin_job *pick(uint32_t random)
{
    pthread_mutex_lock(&lock);
    kin_job *job = kin_job_retain(slots[random % SLOTS]);
    pthread_mutex_unlock(&lock);
    return job;
}

/* Takes job in place of another. */
static void put(uint32_t random, kin_job *job)
{
    pthread_mutex_lock(&lock);
    kin_job *old = slots[random % SLOTS];
    slots[random % SLOTS] = job;
    pthread_mutex_unlock(&lock);
    kin_job_release(old);
}

/* --- What is launched ----------------------------------------------------- */

static int count_completion(kin_job *job, kin_error *cause, void *arg)
{
    struct launch *launch = arg;
    (void)cause;
    CHECK(kin_job_is_completed(job));
    atomic_fetch_add(&launch->calls, 1);
    atomic_fetch_add(&completed, 1);
    return 0;
}

static int count_report(kin_job *job, kin_error *error, void *arg)
{
    (void)job;
    (void)arg;
    CHECK(!kin_error_is_cancellation(error));
    atomic_fetch_add(&reported, 1);
    return 0;
}

KIN_SUSPENDS
static int count_body(kin_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    atomic_fetch_add(&started, 1);
    int err = kin_yield();
    atomic_fetch_add(&ended, 1);
    return err;
}

/* What a body does, by its random number; 0 or a code. */
KIN_SUSPENDS
static int do_something(kin_scope *scope, struct launch *launch)
{
    uint32_t random = launch->random;
    switch (random % 8) {
    case 0:
        return kin_fail(-EIO, "random failure %u", random);
    case 1:
        return kin_delay(KIN_US(random % 500));
    case 2:
        return kin_launch(scope, count_body, NULL);
    case 3:
        return kin_coroutine_scope(count_body, NULL);
    case 4:
        return kin_with_context(count_body, NULL, .dispatcher = kin_io());
    case 5:
        return kin_await_cancellation();
    default:
        for (uint32_t i = 0; i < random % 5; i++)
            KIN_TRY(kin_yield());
        return 0;
    }
}

KIN_SUSPENDS
static int body(kin_scope *scope, void *arg)
{
    atomic_fetch_add(&started, 1);
    int err = do_something(scope, arg);
    atomic_fetch_add(&ended, 1);
    return err;
}

/* --- What the two threads do ---------------------------------------------- */

static kin_dispatcher *random_dispatcher(uint32_t random)
{
    return random % 3 == 0 ? kin_default() : random % 3 == 1 ? kin_io() : NULL;
}

static void launch_one(kin_scope *scope, uint32_t *state)
{
    struct launch *launch = &launches[atomic_fetch_add(&used, 1)];
    kin_start start = (kin_start)(race_next(state) % 4);
    KIN_AUTO(kin_job) picked = pick(race_next(state));
    kin_job *parent = picked ? picked : root;

    launch->random = race_next(state);
    kin_job *job = LAUNCH_IN(
        parent, scope, body, launch, .start = start, .handler = count_report,
        .dispatcher = random_dispatcher(race_next(state)));
    atomic_fetch_add(&launched, 1);
    on_completion(job, count_completion, launch);
    if (start == KIN_START_LAZY && race_next(state) % 2)
        kin_job_start(job);
    put(race_next(state), job);
}

/* Waits for one at hand, but not for ever: it may never be cancelled. */
KIN_SUSPENDS
static int join_one(kin_scope *scope, void *job)
{
    (void)scope;
    return kin_join(job);
}

KIN_SUSPENDS
static void take_a_step(kin_scope *scope, uint32_t *state)
{
    uint32_t random = race_next(state);
    if (random % 8 < 4) {
        launch_one(scope, state);
        return;
    }
    KIN_AUTO(kin_job) job = pick(race_next(state));
    if (!job)
        return;
    if (random % 8 == 4)
        kin_job_cancel(job, NULL);
    else if (random % 8 == 5)
        kin_job_cancel_children(job, NULL);
    else if (random % 8 == 6)
        CHECK_EQ(kin_yield(), 0);
    else
        kin_with_timeout(KIN_US(200), join_one, job);
}

KIN_SUSPENDS
static int take_steps(kin_scope *scope, void *arg)
{
    uint32_t *state = arg;
    for (int i = 0; i < STEPS; i++)
        take_a_step(scope, state);
    return 0;
}

static pthread_barrier_t players;       /* the two threads                   */
static pthread_barrier_t everybody;     /* and the one of the test           */

/* The root does not know who was launched with a parent that was over. */
KIN_SUSPENDS
static int play(kin_scope *scope, void *arg)
{
    CHECK_EQ(take_steps(scope, arg), 0);
    pthread_barrier_wait(&players);
    kin_job_cancel(root, NULL);
    CHECK_EQ(kin_join(root), 0);
    while (atomic_load(&completed) < atomic_load(&launched))
        CHECK_EQ(kin_delay(KIN_US(50)), 0);
    return 0;
}

static void *play_rounds(void *state)
{
    for (int i = 0; i < rounds(); i++) {
        pthread_barrier_wait(&everybody);
        CHECK_EQ(kin_run_blocking(play, state), 0);
        pthread_barrier_wait(&everybody);
    }
    return NULL;
}

/* --- The rounds ----------------------------------------------------------- */

static void begin_round(void)
{
    root = new_supervisor(NULL);
    atomic_store(&used, 0);
    for (int i = 0; i < THREADS * STEPS; i++)
        atomic_store(&launches[i].calls, 0);
}

static void end_round(void)
{
    CHECK_FLAGS(root, "011");
    CHECK_EQ(kin_job_children(root, NULL, 0), 0);
    for (uint32_t i = 0; i < SLOTS; i++)
        put(i, NULL);
    for (int i = 0; i < atomic_load(&used); i++)
        CHECK_EQ(atomic_load(&launches[i].calls), 1);
    CHECK_EQ(atomic_load(&completed), atomic_load(&launched));
    CHECK_EQ(atomic_load(&ended), atomic_load(&started));
    kin_job_release(root);
}

TEST(launching_cancelling_and_joining_from_two_threads_loses_nothing)
{
    pthread_t threads[THREADS];
    uint32_t states[THREADS];

    CHECK_EQ(pthread_barrier_init(&players, NULL, THREADS), 0);
    CHECK_EQ(pthread_barrier_init(&everybody, NULL, THREADS + 1), 0);
    for (uint32_t i = 0; i < THREADS; i++) {
        states[i] = race_seed(i);
        CHECK_EQ(pthread_create(&threads[i], NULL, play_rounds, &states[i]),
                 0);
    }
    for (int i = 0; i < rounds(); i++) {
        begin_round();
        pthread_barrier_wait(&everybody);
        pthread_barrier_wait(&everybody);
        end_round();
    }
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK(atomic_load(&launched) > rounds());
    CHECK(atomic_load(&reported) > 0);
}

TEST_MAIN
