/* w05_ping_pong.c -- W5: two fibers hand a value to and fro.
 *
 * One operation is a round trip: two hand-overs, each a resume with a value
 * and a wait for the next one.  On one thread the floor is two switches; for
 * two threads, what a cache line takes to go there and back, or, if the other
 * one sleeps, what the system takes to wake it, twice.
 *
 *   W5one    one event loop
 *   W5pool   Default, with two workers
 *   W5loops  two event loops, on two threads */
#include "bench/harness.h"

#include <pthread.h>

enum { TRIPS = 1000, STOP = 1 << 30 };

struct side {
    kin_continuation continuation;      /* while it waits */
    struct side *other;
    int give;                           /* STOP - 1 at first: nothing */
};

static struct side ping, pong;
static kin_deferred *pong_waits;
static struct bench *bench;

/* Runs before the fiber parks: first it can be resumed, then it resumes. */
static int hand_over(kin_continuation continuation, void *arg)
{
    struct side *self = arg;

    self->continuation = continuation;
    kin_resume(self->other->continuation, self->give);
    return 0;
}

KIN_SUSPENDS
static int swap(struct side *self, int value)
{
    self->give = value;
    return MUST(kin_suspend_cancellable(hand_over, self));
}

static int wait_first(kin_continuation continuation, void *arg)
{
    pong.continuation = continuation;
    kin_deferred_complete(pong_waits, arg);
    return 0;
}

KIN_SUSPENDS
static int echo(kin_scope *scope, void *arg)
{
    int value = MUST(kin_suspend_cancellable(wait_first, arg));

    (void)scope;
    while (value != STOP)
        value = swap(&pong, value + 1);
    return 0;
}

KIN_SUSPENDS
static uint64_t trips(struct bench *b)
{
    uint64_t sum = 0;

    bench_begin(b);
    for (int i = 0; i < TRIPS; i++)
        sum += (uint64_t)swap(&ping, i);
    bench_end(b, TRIPS);
    return sum;
}

/* The fiber that plays ping; the other one has been launched. */
KIN_SUSPENDS
static int play(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    KIN_TRY(kin_await(pong_waits, NULL));
    bench_units(bench, "trip", "ns", trips);
    return kin_resume(pong.continuation, STOP);
}

KIN_SUSPENDS
static int both_here(kin_scope *scope, void *arg)
{
    KIN_TRY(kin_launch(scope, echo, NULL));
    return play(scope, arg);
}

static void begin(struct bench *b)
{
    bench = b;
    ping.other = &pong;
    pong.other = &ping;
    MUST(kin_deferred_new(NULL, NULL, &pong_waits));
}

static void round_here(struct bench *b)
{
    begin(b);
    bench_run(b, both_here);
    kin_deferred_release(pong_waits);
}

static void *other_thread(void *arg)
{
    MUST(kin_run_blocking(echo, NULL));
    return arg;
}

static void round_loops(struct bench *b)
{
    pthread_t thread;

    begin(b);
    MUST(-pthread_create(&thread, NULL, other_thread, NULL));
    MUST(kin_run_blocking(play, NULL));
    pthread_join(thread, NULL);
    kin_deferred_release(pong_waits);
}

const struct bench_workload bench_workloads[] = {
    { .name = "W5one", .round = round_here },
    { .name = "W5pool", .round = round_here },
    { .name = "W5loops", .round = round_loops },
    { .name = NULL }
};
