/* gauge.c -- what kin's benchmark programs measure with, besides the clock. */
#include "bench/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int bench_must(int err, const char *what)
{
    if (err >= 0)
        return err;
    fprintf(stderr, "%s: %s\n", what, kin_error_name(err));
    exit(1);
}

void *bench_alloc(size_t size)
{
    void *block = calloc(1, size ? size : 1);

    MUST(block ? 0 : KIN_ENOMEM);
    return block;
}

long bench_sleep_ms(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return 1 + (long)(*state % 1000);
}

double bench_cpu_seconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

double bench_resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size, resident = -1;

    if (!file || fscanf(file, "%ld %ld", &size, &resident) != 2)
        MUST(kin_fail(KIN_EINVAL, "/proc/self/statm"));
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_percentile(double *values, long count, double p)
{
    long index = (long)(p * (double)count);

    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[index < count ? index : count - 1];
}
