/* job_million_test.c -- a million fibers, with the kernel's limits as they are.
 *
 *     make million            all of it with a million
 *     KIN_MILLION=50000 ...   or with any other number
 *
 * Launched, run to a first suspension, kept parked, cancelled all at once, and
 * over; every stack guarded, so many bytes each and no more, and the memory
 * back at the end.  And ten times as many that never park, in bounded
 * memory. */
#include "core/memory.h"
#include "tests/counting_dispatcher.h"
#include "tests/words.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

TEST_TIMEOUT(300);

enum {
    PARKED_MAX = 4505,              /* bytes resident: 4.4 KiB               */
    LAUNCHED_MAX = 300,             /* the record, and what maps it          */
    BACK_WITHIN = 32 << 20,
    MAPPINGS_MAX = 65530,           /* the default of vm.max_map_count       */
    SAMPLE = 12                     /* guards that are touched               */
};

/* A debug build keeps books of jobs, beside them. */
#if defined(KIN_DEBUG)
#define KIN_DEBUG_BOOKS 1
#else
#define KIN_DEBUG_BOOKS 0
#endif

/* Sanitizers and emulators have memory of their own beside ours. */
static bool is_plain(void)
{
    return check_slow(1) == 1;
}

static long how_many(void)
{
    const char *text = getenv("KIN_MILLION");
    long wish = text ? atol(text) : 200000, slow = (long)check_slow(1);

    if (wish <= 0)
        wish = 200000;
    wish /= slow * slow * slow * slow;
    return wish > 100 ? wish : 100;
}

/* --- What the system says ------------------------------------------------- */

static long long resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long long size = 0, pages = 0;

    CHECK(file);
    CHECK_EQ(fscanf(file, "%lld %lld", &size, &pages), 2);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static long mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "r");
    long lines = 0;

    CHECK(file);
    for (int c; (c = fgetc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

static void check_each(const char *what, long long bytes, long n, int most)
{
    printf("  %s: %lld bytes each\n", what, bytes / n);
    if (is_plain() && !KIN_DEBUG_BOOKS && bytes / n > most)
        FAIL("%s: %lld bytes each, more than %d", what, bytes / n, most);
}

/* --- The fibers ----------------------------------------------------------- */

static struct counting loop;        /* what is dispatched waits to be run    */
static kin_scope *family;           /* everything is launched in it          */
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

static void make_scope(void)
{
    KIN_AUTO(kin_context) context = NULL;

    counting_init(&loop, "loop");
    context = kin_context_of_dispatcher(&loop.dispatcher);
    MUST(kin_scope_new(context, &family));
}

static void launch_all(kin_body *body, long n)
{
    for (long i = 0; i < n; i++)
        MUST(kin_launch(family, body, NULL));
}

static void end_scope(void)
{
    MUST(kin_scope_cancel(family, NULL));
    counting_run(&loop);
    CHECK_EQ(kin_job_children(kin_scope_job(family), NULL, 0), 0);
    CHECK_FLAGS(kin_scope_job(family), "011");
    kin_scope_release(family);
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
    if (mappings() > MAPPINGS_MAX)
        FAIL("%ld mappings", mappings());
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
    long long start, launched, parked, back;

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
    start = resident();
    launch_all(park, n);
    launched = resident();
    check_each("launched", launched - start, n, LAUNCHED_MAX);
    CHECK_EQ(counting_run(&loop), n);
    CHECK_EQ(begun, n);
    parked = resident();
    check_each("parked", parked - start, n, PARKED_MAX);
    if (is_plain())
        check_guards(n);

    end_scope();
    CHECK_EQ(over, n);
    kin_trim();
    back = resident();
    printf("  %ld fibers: %lld MiB, %lld MiB at the end, %lld MiB before\n",
           n, parked >> 20, back >> 20, start >> 20);
    if (is_plain() && back > start + BACK_WITHIN)
        FAIL("%lld bytes at the end, %lld at the beginning", back, start);
}

/* --- Ten million ---------------------------------------------------------- */

BODY(count)
{
    over++;
    return 0;
}

/* As many are queued at a time as an inbox may well hold. */
TEST(ten_million_jobs_that_never_park_run_in_bounded_memory)
{
    enum { QUEUED = 10000 };
    long n = how_many() * 10, left = n;
    long long most;

    make_scope();
    launch_all(count, QUEUED);
    counting_run(&loop);
    most = resident() + (8 << 20);
    while (left > 0) {
        long some = left < QUEUED ? left : QUEUED;
        launch_all(count, some);
        CHECK_EQ(counting_run(&loop), some);
        left -= some;
    }
    CHECK_EQ(over, n + QUEUED);
    if (is_plain() && resident() > most)
        FAIL("%lld bytes resident, more than %lld", resident(), most);
    end_scope();
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
