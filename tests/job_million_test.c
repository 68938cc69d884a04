/* job_million_test.c -- a million fibers, with the kernel's limits as they are.
 *
 *     make million            all of it with a million
 *     KIN_MILLION=50000 ...   or with any other number
 *
 * Launched, run to a first suspension, kept parked, cancelled all at once, and
 * over; every stack guarded, so many bytes each and no more, and the memory
 * back at the end. */
#include "tests/million.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

TEST_TIMEOUT(300);

enum {
    PARKED_MAX = 4505,              /* bytes resident: 4.4 KiB               */
    MAPPINGS_MAX = 65530,           /* the default of vm.max_map_count       */
    SAMPLE = 12                     /* guards that are touched               */
};

/* --- The fibers ----------------------------------------------------------- */

static long begun, over;            /* one thread: the test's                */
static char *samples[SAMPLE];       /* addresses on some of the stacks       */
static long sample_every;

BODY(park)
{
    char here = 0;

    if (begun % sample_every == 0 && begun / sample_every < SAMPLE)
        samples[begun / sample_every] = &here;
    begun++;
    int err = kin_await_cancellation();
    CHECK_EQ(err, KIN_ECANCELED);
    over++;
    return err;
}

/* --- Guards --------------------------------------------------------------- */

/* Reads below address, page after page, in a process of its own; at how many
 * pages it died of that, or -1. */
static int pages_to_the_guard(const char *address)
{
    long page = sysconf(_SC_PAGESIZE);
    int status, ends[2];
    pid_t child;

    CHECK_EQ(pipe(ends), 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        for (int i = 0; i < 1000; i++) {
            (void)!write(ends[1], "", 1);
            (void)*(const volatile char *)(address - i * page);
        }
        _exit(0);
    }
    close(ends[1]);
    int pages = -1;
    for (char c; read(ends[0], &c, 1) == 1;)
        pages++;
    close(ends[0]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV
                                   || WTERMSIG(status) == SIGBUS) ? pages : -1;
}

static void check_guards(long n)
{
    long page = sysconf(_SC_PAGESIZE);
    kin_stack_stats stats;

    MUST(kin_stack_get_stats(&stats));
    CHECK((long)stats.live >= n);
    CHECK_EQ(stats.unguarded, 0);
    CHECK(stats.guarded_by_madvise + stats.guarded_by_mprotect
          >= stats.live);
    if (process_mappings() > MAPPINGS_MAX)
        FAIL("%ld mappings", process_mappings());
    for (int i = 0; i < SAMPLE; i++) {
        int pages = pages_to_the_guard(samples[i]);
        int most = (int)(KIN_STACK_SIZE_DEFAULT / (size_t)page) + 1;
        if (pages < 1 || pages > most)
            FAIL("stack %d ends in no guard: %d pages", i, pages);
    }
}

/* --- A million ------------------------------------------------------------ */

TEST(a_million_fibers_are_launched_parked_cancelled_and_gone)
{
    long n = how_many();
    long long start, launched, parked;

    sample_every = n / SAMPLE;
    make_scope();
    launch_all(park, 100);              /* what is made once */
    counting_run(&loop);
    kin_scope_cancel(family, NULL);
    counting_run(&loop);
    kin_scope_release(family);
    make_scope();
    begun = over = 0;

    kin_trim();
    start = process_resident();
    launch_all(park, n);
    launched = process_resident();
    check_each("launched", launched - start, n, LAUNCHED_MAX);
    CHECK_EQ(counting_run(&loop), n);
    CHECK_EQ(begun, n);
    parked = process_resident();
    check_each("parked", parked - start, n, PARKED_MAX);
    if (is_plain())
        check_guards(n);

    end_scope();
    CHECK_EQ(over, n);
    kin_trim();
    printf("  %ld fibers: %lld MiB\n", n, parked >> 20);
    check_back(start);
}

/* --- Records that went back to the system --------------------------------- */

enum { KEPT = 1000 };
static kin_continuation kept[KEPT];
static long kept_count;

static int keep(kin_continuation continuation, UNUSED void *arg)
{
    kept[kept_count++] = continuation;
    return 0;
}

BODY(suspend_once)
{
    return kin_suspend(keep, NULL);
}

static void resume_all(void)
{
    for (long i = 0; i < kept_count; i++)
        MUST(kin_resume(kept[i], 0));
    counting_run(&loop);
}

/* The fibers of today wait in the records of yesterday, for the first time. */
TEST(a_continuation_kept_over_a_trim_is_late_for_ever)
{
    static kin_continuation before[KEPT];

    make_scope();
    launch_all(suspend_once, KEPT);
    counting_run(&loop);
    memcpy(before, kept, sizeof kept);
    resume_all();
    for (int round = 0; round < 3; round++) {
        CHECK(kin_trim() > 0);
        kept_count = 0;
        launch_all(suspend_once, KEPT);
        counting_run(&loop);
        CHECK_EQ(kept_count, KEPT);
        for (int i = 0; i < KEPT; i++)
            CHECK_EQ(kin_resume(before[i], 0), KIN_ESTALE);
        resume_all();
    }
    end_scope();
}

TEST_MAIN
