/* bench/harness.h -- the main() of kin's benchmark programs.
 *
 * Speaks the protocol of bench/README.md.  A program is a list of workloads:
 *
 *     static uint64_t unit(struct bench *bench)
 *     {
 *         bench_begin(bench);
 *         ...n operations...
 *         bench_end(bench, n);
 *         return checksum;
 *     }
 *
 *     static void round_(struct bench *bench)
 *     {
 *         bench_units(bench, "yield", "ns", unit);
 *     }
 *
 *     const struct bench_workload bench_workloads[] = {
 *         { .name = "W2", .round = round_ }, { .name = NULL }
 *     };
 *
 * One thread; units may run fibers on others.  A failure ends the process. */
#ifndef KIN_BENCH_HARNESS_H
#define KIN_BENCH_HARNESS_H

#include <kin/kin.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench {
    long n;                     /* the parameter                             */
    int threads;                /* how many may run fibers                   */
    kin_dispatcher *dispatcher; /* NULL, the event loop of kin_run_blocking,
                                   for one; else Default                     */
    int64_t begun, time;        /* of the timed parts                        */
    double operations;
};

struct bench_workload {
    const char *name;
    void (*round)(struct bench *bench);     /* prints its metrics            */
    bool fresh;                             /* must not be warmed up         */
};

extern const struct bench_workload bench_workloads[];   /* ends with NULL    */

/* Around the timed part of a unit, on whatever fiber; may be several. */
void bench_begin(struct bench *bench);
void bench_end(struct bench *bench, double operations);

/* Does a unit, and again until enough timed work is done (or, where little of
 * it is timed, enough work), and prints the metric.  time: "ns", "us", "ms".
 * All checksums must be the same. */
void bench_units(struct bench *bench, const char *metric, const char *time,
                 uint64_t (*unit)(struct bench *bench));

/* Prints a metric that was measured otherwise. */
void bench_metric(const char *metric, const char *unit, double value,
                  uint64_t checksum);

/* Runs body(scope, bench) where the workload's fibers run, to the end. */
void bench_run(struct bench *bench, kin_body *body);

/* "cannot ...": this workload is not for this system. */
_Noreturn void bench_cannot(const char *why);

/* Ends the process with the story if err is negative; else returns it. */
int bench_must(int err, const char *what);
#define MUST(call) bench_must((call), #call)

void *bench_alloc(size_t size);         /* zeroes; never NULL                */

/* xorshift32 of the sleepers, seeded with 1: milliseconds, 1 to 1000. */
long bench_sleep_ms(uint32_t *state);

double bench_cpu_seconds(void);         /* of the process                    */
double bench_resident_bytes(void);      /* of the process                    */

/* Sorts values and returns the smallest that a share of p is not above. */
double bench_percentile(double *values, long count, double p);

#endif /* KIN_BENCH_HARNESS_H */
