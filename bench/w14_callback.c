/* w14_callback.c -- W14: a foreign thread resumes what waits, as callbacks do.
 *
 * One operation is one kin_resume from a thread that kin does not know.
 *
 *   busy  1 000 fibers wait, and are resumed as fast as the thread can; the
 *         floor is pushing to a list that the other side empties
 *   idle  one fiber waits and everything sleeps; how long until it runs.  The
 *         floor is what the system takes to wake a thread.
 *
 * W14main: fibers on Main, which waits in kin_main_run; W14default: on
 * Default. */
#include "bench/harness.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

enum { FIBERS = 1000, TIMES = 50, SILENCE_US = 200 };

static kin_continuation waiting[FIBERS];
static atomic_int parked, ran;
static atomic_ulong sum;
static int64_t begun, ended;
static sem_t all_wait;                  /* posted by the last who waits */

/* --- Busy ----------------------------------------------------------------- */

static int note(kin_continuation continuation, void *arg)
{
    waiting[(intptr_t)arg] = continuation;
    /* acq_rel: what the others noted, before the thread may look */
    if (atomic_fetch_add_explicit(&parked, 1, memory_order_acq_rel)
        == FIBERS - 1)
        sem_post(&all_wait);
    return 0;
}

KIN_SUSPENDS
static int wait_once(kin_scope *scope, void *arg)
{
    int value = MUST(kin_suspend(note, arg));

    (void)scope;
    atomic_fetch_add_explicit(&sum, (unsigned)value, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed)
        == FIBERS - 1)
        ended = kin_now();
    return 0;
}

static void *resume_all(void *arg)
{
    sem_wait(&all_wait);
    begun = kin_now();
    for (int i = 0; i < FIBERS; i++)
        MUST(kin_resume(waiting[i], i));
    return arg;
}

static int launch_all(kin_scope *scope, void *arg)
{
    (void)arg;
    for (intptr_t i = 0; i < FIBERS; i++)
        KIN_TRY(kin_launch(scope, wait_once, (void *)i));
    return 0;
}

/* --- Idle ----------------------------------------------------------------- */

static double latency[TIMES];

static int note_one(kin_continuation continuation, void *arg)
{
    waiting[0] = continuation;
    sem_post(&all_wait);
    (void)arg;
    return 0;
}

KIN_SUSPENDS
static int wait_often(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    for (int i = 0; i < TIMES; i++) {
        MUST(kin_suspend(note_one, NULL));
        latency[i] = (double)(kin_now() - begun) / 1e3;
    }
    return 0;
}

static void *resume_seldom(void *arg)
{
    for (int i = 0; i < TIMES; i++) {
        sem_wait(&all_wait);
        usleep(SILENCE_US);
        begun = kin_now();
        MUST(kin_resume(waiting[0], 0));
    }
    return arg;
}

/* --- Both ----------------------------------------------------------------- */

/* Runs body where the workload's fibers run; set once. */
static void (*run)(kin_body *body);

static void with_thread(void *(*thread_main)(void *), kin_body *body)
{
    pthread_t thread;

    MUST(-pthread_create(&thread, NULL, thread_main, NULL));
    run(body);
    pthread_join(thread, NULL);
}

static uint64_t unit_busy(struct bench *bench)
{
    atomic_store(&parked, 0);
    atomic_store(&ran, 0);
    atomic_store(&sum, 0);
    with_thread(resume_all, launch_all);
    bench->time += ended - begun;
    bench->operations += FIBERS;
    return atomic_load(&sum);
}

static void round_(struct bench *bench)
{
    sem_init(&all_wait, 0, 0);
    bench_units(bench, "busy", "ns", unit_busy);
    with_thread(resume_seldom, wait_often);
    bench_metric("idle", "us", bench_percentile(latency, TIMES, 0.5), TIMES);
    sem_destroy(&all_wait);
}

static void run_on_default(kin_body *body)
{
    MUST(kin_run_blocking(body, NULL, .dispatcher = kin_default()));
}

static void round_default(struct bench *bench)
{
    run = run_on_default;
    round_(bench);
}

static int quit(kin_job *job, kin_error *cause, void *arg)
{
    (void)job, (void)cause, (void)arg;
    return kin_main_quit();
}

static void run_on_main(kin_body *body)
{
    KIN_AUTO(kin_scope) scope = NULL;
    KIN_AUTO(kin_job) job = NULL;

    MUST(kin_main_scope(&scope));
    MUST(kin_launch(scope, body, NULL, .job = &job));
    MUST(kin_invoke_on_completion(job, quit, NULL, 0, NULL));
    MUST(kin_main_run());
}

static void round_main(struct bench *bench)
{
    run = run_on_main;
    MUST(kin_main_attach());
    round_(bench);
    MUST(kin_main_detach());
}

const struct bench_workload bench_workloads[] = {
    { .name = "W14main", .round = round_main },
    { .name = "W14default", .round = round_default },
    { .name = NULL }
};
