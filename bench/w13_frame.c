/* w13_frame.c -- W13: a game's frame.
 *
 *   W13       one operation is one frame, 60 of them a second: Main has many
 *             short jobs due and gets 2 ms.  What counts is by how much it
 *             takes longer; the floor is the job that was running when the
 *             time was over, at most 10 us.
 *   W13empty  one operation is a pump with nothing to do; the floor is a
 *             call. */
#include "bench/harness.h"

#include <time.h>

enum { PUMPS = 1000, FRAMES_MAX = 100000 };

static const int64_t frame = KIN_S(1) / 60, budget = KIN_MS(2);
static long ran;

static int compute(kin_scope *scope, void *arg)
{
    int64_t end = kin_after(KIN_US((intptr_t)arg % 10 + 1));

    (void)scope;
    while (kin_now() < end)
        ;
    ran++;
    return 0;
}

static void sleep_until(int64_t time)
{
    struct timespec at = { .tv_sec = time / KIN_S(1),
                           .tv_nsec = time % KIN_S(1) };

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* Pumps once a frame until n jobs have run; fills in by how many microseconds
 * each pump was over the budget. */
static long run_frames(long n, double *over)
{
    int64_t next = kin_now();
    long frames = 0;

    while (ran < n && frames < FRAMES_MAX) {
        int64_t begun;

        sleep_until(next);
        next += frame;
        begun = kin_now();
        MUST(kin_main_pump(budget));
        begun += budget;
        over[frames] = (double)(kin_now() - begun) / 1e3;
        over[frames] = over[frames] > 0 ? over[frames] : 0;
        frames++;
    }
    return frames;
}

static void round_frames(struct bench *bench)
{
    static double over[FRAMES_MAX];
    KIN_AUTO(kin_scope) scope = NULL;
    long frames;

    if (bench->n < 1)
        bench_cannot("pump without a job");
    ran = 0;
    MUST(kin_main_attach());
    MUST(kin_main_scope(&scope));
    for (intptr_t i = 0; i < bench->n; i++)
        MUST(kin_launch(scope, compute, (void *)i));
    frames = run_frames(bench->n, over);
    bench_metric("overshoot", "us", bench_percentile(over, frames, 0.99),
                 (uint64_t)ran);
    MUST(kin_main_detach());
}

static uint64_t empty_pumps(struct bench *bench)
{
    uint64_t empty = 0;

    bench_begin(bench);
    for (int i = 0; i < PUMPS; i++)
        empty += kin_main_pump(budget) == 0;
    bench_end(bench, PUMPS);
    return empty;
}

static void round_empty(struct bench *bench)
{
    MUST(kin_main_attach());
    bench_units(bench, "pump", "ns", empty_pumps);
    MUST(kin_main_detach());
}

const struct bench_workload bench_workloads[] = {
    { .name = "W13", .round = round_frames },
    { .name = "W13empty", .round = round_empty },
    { .name = NULL }
};
