/* harness.c -- the protocol of bench/README.md, from kin's side. */
#include "bench/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef BENCH_VERSION                   /* the Makefile says it */
#define BENCH_VERSION "?"
#endif

/* How much timed work makes a round; and how much of any kind is enough. */
#define ROUND_TIMED KIN_MS(20)
#define ROUND_LONG  KIN_MS(400)

static bool silent;                     /* while it warms up */

void bench_cannot(const char *why)
{
    printf("cannot %s\n", why);
    exit(3);
}

void bench_begin(struct bench *bench)
{
    bench->begun = kin_now();
}

void bench_end(struct bench *bench, double operations)
{
    bench->time += kin_now() - bench->begun;
    bench->operations += operations;
}

static double nanoseconds_in(const char *time)
{
    return strcmp(time, "ms") == 0 ? 1e6 : strcmp(time, "us") == 0 ? 1e3 : 1;
}

void bench_metric(const char *metric, const char *unit, double value,
                  uint64_t checksum)
{
    if (!silent)
        printf("%s %s %.6g %llu\n", metric, unit, value,
               (unsigned long long)checksum);
}

void bench_units(struct bench *bench, const char *metric, const char *time,
                 uint64_t (*unit)(struct bench *bench))
{
    int64_t end = kin_after(ROUND_LONG);
    uint64_t checksum;

    bench->time = 0;
    bench->operations = 0;
    checksum = unit(bench);
    while (bench->time < ROUND_TIMED && kin_now() < end)
        if (unit(bench) != checksum)
            MUST(kin_fail(KIN_EINVAL, "units differ in their checksum"));
    bench_metric(metric, time, (double)bench->time / bench->operations
                 / nanoseconds_in(time), checksum);
}

void bench_run(struct bench *bench, kin_body *body)
{
    MUST(kin_run_blocking(body, bench, .dispatcher = bench->dispatcher));
}

static const struct bench_workload *find(const char *name)
{
    const struct bench_workload *w = bench_workloads;

    while (w->name && strcmp(w->name, name) != 0)
        w++;
    return w->name ? w : NULL;
}

static void usage(const char *program)
{
    fprintf(stderr, "usage: %s WORKLOAD PARAM THREADS, then `go` lines on "
            "stdin\nworkloads:", program);
    for (const struct bench_workload *w = bench_workloads; w->name; w++)
        fprintf(stderr, " %s", w->name);
    fputc('\n', stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    const struct bench_workload *workload;
    struct bench bench = { .n = 0 };
    char line[16];

    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("kin " BENCH_VERSION);
        return 0;
    }
    if (argc != 4 || !(workload = find(argv[1])))
        usage(argv[0]);
    bench.n = strtol(argv[2], NULL, 10);
    bench.threads = atoi(argv[3]);
    if (bench.n < 0 || bench.threads < 1)
        usage(argv[0]);
    bench.dispatcher = bench.threads > 1 ? kin_default() : NULL;

    silent = true;
    if (!workload->fresh)
        workload->round(&bench);
    silent = false;
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        workload->round(&bench);
        putchar('\n');
        fflush(stdout);
    }
    return 0;
}
