/* peer.h -- the frame of a peer program in C or C++.
 *
 * How a program is asked and what it answers is in bench/README.md; what a
 * unit of a workload is, in bench/workloads.  Here a workload is a function
 * that prepares what outlives a unit, and then goes
 *
 *     for (;;) {
 *         peer_next();                 // returns when a unit is to be done
 *         ...                          // the unit
 *         peer_add("yield", "ns", elapsed, yields, checksum);
 *     }
 *
 * peer_next warms up, adds the units of a round together, prints, waits for
 * the next "go", and ends the process at the end of the input.  It may block:
 * call it where nothing else needs the thread. */
#ifndef KIN_BENCH_PEERS_PEER_H
#define KIN_BENCH_PEERS_PEER_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct peer_ask {
    long param;
    int threads;
};

/* WARM repeats the unit, warmed up before; ONCE does it once to a round; FRESH
 * once in a process, which is not warmed up. */
enum peer_kind { WARM, ONCE, FRESH };

struct peer_workload {
    const char *name;
    enum peer_kind kind;
    void (*run)(struct peer_ask ask);
};

struct peer {
    const char *version;                /* --version */
    int threads;                        /* how many it can use */
    const char *why_not;                /* what the table does not have */
    const struct peer_workload *table;
    int count;
};

struct peer__metric {
    const char *name, *unit;
    double sum, operations;             /* of this round */
    int64_t checksum;                   /* the same in every unit */
};

static struct {
    enum peer_kind kind;
    int rounds;                         /* done; the first warm up */
    int is_ready;
    int64_t started;
    int64_t begin, timed;               /* of this round */
    struct peer__metric metric[4];
    int metrics;
} peer__round;

enum { PEER__WARM_UPS = 3, PEER__CANNOT = 3 };

/* Nanoseconds: timed work of a round; what ends it all the same, though much
 * of it is not timed; and what ends warming up early. */
static const int64_t peer__round_timed = 20000000, peer__round_long = 200000000,
                     peer__warm_long = 500000000;

static inline int64_t peer__clock(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t peer_now(void)
{
    return peer__clock(CLOCK_MONOTONIC);
}

/* What this process has used of the processors so far, in nanoseconds. */
static inline int64_t peer_cpu(void)
{
    return peer__clock(CLOCK_PROCESS_CPUTIME_ID);
}

/* Bytes of this process that are in memory. */
static inline int64_t peer_resident(void)
{
    long total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (!file || fscanf(file, "%ld %ld", &total, &resident) != 2)
        abort();
    fclose(file);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

/* Ends the program: the work is beyond the peer. */
__attribute__((format(printf, 1, 2), noreturn))
static inline void peer_cannot(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("cannot ", stdout);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
    fflush(stdout);
    _exit(PEER__CANNOT);
}

static inline struct peer__metric *peer__metric(const char *name,
                                                const char *unit,
                                                int64_t checksum)
{
    struct peer__metric *m = peer__round.metric;
    struct peer__metric *end = m + peer__round.metrics;

    while (m < end && strcmp(m->name, name) != 0)
        m++;
    if (m == end) {
        if (m == peer__round.metric + 4)
            abort();
        m->name = name, m->unit = unit, m->checksum = checksum;
        peer__round.metrics++;
    }
    if (m->checksum != checksum) {
        fprintf(stderr, "%s: checksum %lld, before %lld\n", name,
                (long long)checksum, (long long)m->checksum);
        exit(1);
    }
    return m;
}

/* The unit took so many nanoseconds for so many operations. */
static inline void peer_add(const char *name, const char *unit,
                            int64_t elapsed, int64_t operations,
                            int64_t checksum)
{
    struct peer__metric *m = peer__metric(name, unit, checksum);
    double one = strcmp(unit, "s") == 0 ? 1e9 : strcmp(unit, "ms") == 0 ? 1e6 :
                 strcmp(unit, "us") == 0 ? 1e3 : 1;

    m->sum += (double)elapsed / one;
    m->operations += (double)operations;
    peer__round.timed += elapsed;
}

/* The unit showed this value (bytes, a percentile); a round shows the mean. */
static inline void peer_show(const char *name, const char *unit, double value,
                             int64_t checksum)
{
    struct peer__metric *m = peer__metric(name, unit, checksum);

    m->sum += value;
    m->operations += 1;
}

static inline int peer__compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Puts n figures in order, so that their percentiles can be read off. */
static inline void peer_sort(int64_t *figures, size_t n)
{
    qsort(figures, n, sizeof *figures, peer__compare);
}

/* How late each of n sleepers woke, in nanoseconds. */
static inline void peer_show_late(int64_t *late, int n)
{
    peer_sort(late, (size_t)n);
    peer_show("p50", "us", (double)late[n / 2] / 1e3, n);
    peer_show("p99", "us", (double)late[n * 99 / 100] / 1e3, n);
    peer_show("max", "us", (double)late[n - 1] / 1e3, n);
}

/* xorshift32: the same lengths of sleep for all.  *x starts with 1. */
static inline int peer_sleep_ms(uint32_t *x)
{
    *x ^= *x << 13, *x ^= *x >> 17, *x ^= *x << 5;
    return 1 + (int)(*x % 1000);
}

/* Uses 512 bytes of the stack. */
__attribute__((noinline, unused)) static void peer_touch_stack(void)
{
    volatile char bytes[512];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)i;
}

static inline void peer_compute(int64_t ns)
{
    for (int64_t end = peer_now() + ns; peer_now() < end;)
        ;
}

static inline void peer__print(void)
{
    for (int i = 0; i < peer__round.metrics; i++) {
        struct peer__metric *m = &peer__round.metric[i];

        printf("%s %s %.6g %lld\n", m->name, m->unit,
               m->sum / m->operations, (long long)m->checksum);
    }
    putchar('\n');
    fflush(stdout);
}

static inline void peer__begin_round(void)
{
    peer__round.begin = peer_now();
    peer__round.timed = 0;
    for (int i = 0; i < 4; i++)
        peer__round.metric[i].sum = peer__round.metric[i].operations = 0;
}

static inline int peer__wants_more(int64_t now)
{
    return peer__round.kind == WARM && peer__round.begin &&
           peer__round.timed < peer__round_timed &&
           now - peer__round.begin < peer__round_long;
}

static inline int peer__is_cold(int64_t now)
{
    if (!peer__round.started)
        peer__round.started = now;
    return peer__round.kind != FRESH && !peer__round.is_ready &&
           peer__round.rounds++ < PEER__WARM_UPS &&
           now - peer__round.started < peer__warm_long;
}

/* Waits until the next unit is wanted. */
static inline void peer_next(void)
{
    int64_t now = peer_now();
    char line[64];

    if (peer__wants_more(now))
        return;
    if (!peer__is_cold(now)) {
        if (peer__round.is_ready)
            peer__print();
        else
            puts("ready"), fflush(stdout);
        if ((peer__round.kind == FRESH && peer__round.is_ready) ||
            !fgets(line, sizeof line, stdin))
            _exit(0);
        peer__round.is_ready = 1;
    }
    peer__begin_round();
}

/* Runs the workload that the command line names. */
static inline int peer_main(int argc, char **argv, struct peer peer)
{
    struct peer_ask ask;

    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return puts(peer.version) < 0;
    if (argc != 4) {
        fprintf(stderr, "usage: %s WORKLOAD PARAM THREADS\n", argv[0]);
        return 2;
    }
    ask.param = atol(argv[2]);
    ask.threads = atoi(argv[3]);
    for (int i = 0; i < peer.count; i++) {
        if (strcmp(peer.table[i].name, argv[1]) != 0)
            continue;
        if (ask.threads > peer.threads)
            peer_cannot("all its fibers are on one thread");
        peer__round.kind = peer.table[i].kind;
        peer.table[i].run(ask);
        return 1;
    }
    peer_cannot("%s", peer.why_not);
}

#define PEER_COUNT(table) ((int)(sizeof (table) / sizeof *(table)))

#endif /* KIN_BENCH_PEERS_PEER_H */
