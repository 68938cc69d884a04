/* job_dispatcher_stress.c -- limits that hold, and workers that come in time.
 *
 * The races of the specification, sections 16 and 17, with jobs:
 *   a view of two on a pool of four             S224
 *   seventy at a view of IO, IO being blocked   S231
 *   as many bodies at once as there are cores   S235
 *   a hundred blocked, and one that computes    S236
 *   IO is full; Default is not                  S237
 *   never more CPU slices than cores            S238
 *   a pool that closes                          S240, R17.8
 * tests/dispatch_scheduler_stress.c has the same without jobs, and the idle
 * pool's races. */
#include "core/parker.h"
#include "tests/counter.h"
#include "tests/race.h"

#include <unistd.h>

TEST_TIMEOUT(180);

struct round {
    kin_job *job;
    kin_dispatcher *pool;           /* its own, about to close               */
    kin_continuation continuation;
    atomic_int ran, posted, cleaned;
    int length;
};

/* Of rounds that put threads to sleep; a tenth natively. */
enum { MANY = KIN__TSAN ? RACE_ROUNDS : RACE_ROUNDS / 10 };

static int core(void)
{
    return kin__cpu_count() > 2 ? kin__cpu_count() : 2;
}

/* --- Gauges --------------------------------------------------------------- */

static atomic_int inside, most, done;

static void enter_gauge(int limit)
{
    int now = atomic_fetch_add(&inside, 1) + 1, before = atomic_load(&most);

    if (now > limit)
        FAIL("%d at once, more than %d", now, limit);
    while (now > before && !atomic_compare_exchange_weak(&most, &before, now))
        ;
}

static void leave_gauge(void)
{
    atomic_fetch_sub(&inside, 1);
}

enum { SLICES = 50 };
static kin_dispatcher *narrow;      /* the view                              */
static int limit;

/* The slices between two suspensions are what a view limits. */
BODY(pass_the_gauge)
{
    for (int i = 0; i < SLICES; i++) {
        enter_gauge(limit);
        race_spin((int)(uintptr_t)arg % 128);
        leave_gauge();
        KIN_TRY(i % 8 ? kin_yield() : kin_delay(1));
    }
    atomic_fetch_add(&done, 1);
    return 0;
}

BODY(launch_many)
{
    for (intptr_t i = 0; i < race_rounds(RACE_ROUNDS) / SLICES; i++)
        MUST(kin_launch(scope, pass_the_gauge, WORD(i * 7),
                        .dispatcher = narrow));
    return 0;
}

/* Two of a view wait for each other: it is as wide as it says. */
BODY(meet_another)
{
    atomic_int *here = arg;

    atomic_fetch_add(here, 1);
    while (atomic_load(here) < 2)
        sched_yield();
    return 0;
}

static void check_view_of_two(kin_dispatcher *base)
{
    atomic_int here = 0;
    kin_job *jobs[2];

    limit = 2;
    MUST(kin_limited_parallelism(base, 2, "narrow", &narrow));
    MUST(kin_run_blocking(launch_many, NULL));
    CHECK_EQ(done, race_rounds(RACE_ROUNDS) / SLICES);
    for (int i = 0; i < 2; i++)
        jobs[i] = LAUNCH(kin_global_scope(), meet_another, &here,
                         .dispatcher = narrow);
    for (int i = 0; i < 2; i++) {
        wait_for_job(jobs[i]);
        kin_job_release(jobs[i]);
    }
    kin_dispatcher_release(narrow);
    printf("  at most %d at once\n", most);
}

/* S224 */
TEST(a_view_of_two_on_a_pool_of_four_lets_two_run_and_no_more)
{
    kin_dispatcher *pool;

    MUST(kin_fixed_pool(4, "wide", &pool));
    check_view_of_two(pool);
    MUST(kin_dispatcher_close(pool));
    kin_dispatcher_release(pool);
}

TEST(a_view_of_two_of_io_lets_two_run_and_no_more)
{
    check_view_of_two(kin_io());
}

/* --- CPU slices ----------------------------------------------------------- */

BODY(wander)
{
    uint32_t state = (uint32_t)(uintptr_t)arg | 1;

    for (int i = 0; i < SLICES; i++) {
        enter_gauge(core());
        race_spin((int)(race_next(&state) % 64));
        leave_gauge();
        int entered;
        KIN_WITH_CONTEXT(entered, .dispatcher = kin_io())
            race_spin((int)(race_next(&state) % 64));
        KIN_TRY(entered);
    }
    atomic_fetch_add(&done, 1);
    return 0;
}

BODY(launch_wanderers)
{
    for (intptr_t i = 0; i < race_rounds(RACE_ROUNDS) / SLICES; i++)
        MUST(kin_launch(scope, wander, WORD(i * 977), .dispatcher =
                        kin_default()));
    return 0;
}

/* S238 */
TEST(never_more_cpu_slices_than_cores_while_fibers_go_to_io_and_back)
{
    MUST(kin_run_blocking(launch_wanderers, NULL));
    CHECK_EQ(done, race_rounds(RACE_ROUNDS) / SLICES);
}

/* --- As many as there are cores ------------------------------------------- */

static pthread_barrier_t barrier;
static struct counter ended = COUNTER_INIT;

BODY(wait_at_the_barrier)
{
    pthread_barrier_wait(&barrier);
    counter_add(&ended, 1);
    return 0;
}

/* S235: with one from outside, so that all of them must run at once. */
TEST(as_many_bodies_as_there_are_cores_meet_at_a_barrier)
{
    int n = core(), rounds = race_rounds(MANY);

    pthread_barrier_init(&barrier, NULL, (unsigned)n + 1);
    for (int round = 1; round <= rounds; round++) {
        for (int i = 0; i < n; i++)
            MUST(kin_launch(kin_global_scope(), wait_at_the_barrier, NULL));
        pthread_barrier_wait(&barrier);
        counter_await(&ended, round * n);
    }
}

/* --- Blocked IO ----------------------------------------------------------- */

static struct counter gate = COUNTER_INIT;      /* the round that may go on  */
static struct counter blocked = COUNTER_INIT;
static struct counter computed = COUNTER_INIT;

BODY(block)
{
    counter_add(&blocked, 1);
    counter_await(&gate, (int)(intptr_t)arg);
    counter_add(&blocked, -1);
    counter_add(&ended, 1);
    return 0;
}

BODY(compute)
{
    counter_add(&computed, 1);
    return 0;
}

static void block_many(kin_dispatcher *dispatcher, int count, int round)
{
    for (int i = 0; i < count; i++)
        MUST(kin_launch(kin_global_scope(), block, WORD(round),
                        .dispatcher = dispatcher));
}

static void compute_some(int count)
{
    int before = counter_get(&computed);

    for (int i = 0; i < count; i++)
        MUST(kin_launch(kin_global_scope(), compute, NULL));
    counter_await(&computed, before + count);
}

/* IO full with io_max, one more waits; Default goes on; a view of IO that is
 * wider than that is not bound by it. */
static void fill_io(int io_max, int computing, int rounds)
{
    int wide = io_max + io_max / 8 + 1, sum = 0;
    kin_dispatcher *view;

    MUST(kin_limited_parallelism(kin_io(), wide, "wide", &view));
    for (int round = 1; round <= rounds; round++) {
        block_many(kin_io(), io_max + 1, round);
        counter_await(&blocked, io_max);
        compute_some(computing);
        CHECK_EQ(counter_get(&blocked), io_max);
        block_many(view, wide, round);
        counter_await(&blocked, io_max + wide);
        compute_some(computing);
        CHECK_EQ(counter_get(&blocked), io_max + wide);
        counter_add(&gate, 1);
        counter_await(&ended, sum += io_max + 1 + wide);
    }
    kin_dispatcher_release(view);
}

/* S231, S236, S237: a round blocks more than a hundred threads. */
TEST(io_that_is_blocked_holds_up_neither_default_nor_a_view_of_its_own)
{
    fill_io(64, 100, check_slow(1) > 4 ? 5 : 50);
}

/* The same with less, and therefore often. */
TEST(io_of_two_that_is_blocked_holds_up_nobody)
{
    setenv("KIN_IO_PARALLELISM", "2", 1);
    fill_io(2, 2, race_rounds(MANY));
}

/* --- Pools that close ----------------------------------------------------- */

static int post(kin_continuation continuation, void *arg)
{
    struct round *now = arg;

    now->continuation = continuation;
    atomic_store(&now->posted, 1);
    return 0;
}

BODY(suspend_and_clean_up)
{
    struct round *now = arg;

    atomic_fetch_add(&now->ran, 1);
    int err = kin_suspend_cancellable(post, now);
    atomic_fetch_add(&now->cleaned, 1);
    return err;
}

static void begin_pool(struct round *now)
{
    MUST(kin_single_thread("brief", &now->pool));
    now->job = LAUNCH(kin_global_scope(), suspend_and_clean_up, now,
                      .dispatcher = now->pool, .start = KIN_START_ATOMIC);
}

static bool is_posted(struct round *now)
{
    return atomic_load(&now->posted);
}

static void close_pool(struct round *now)
{
    MUST(kin_dispatcher_close(now->pool));
    kin_dispatcher_release(now->pool);
}

static void resume(struct round *now)
{
    MUST(kin_resume(now->continuation, 0));
}

KIN_SUSPENDS
static void check_cleaned_up(struct round *now)
{
    MUST(kin_join(now->job));
    CHECK_EQ(now->ran, 1);
    CHECK_EQ(now->cleaned, 1);
    saw(kin_job_is_cancelled(now->job));
    kin_job_release(now->job);
}

/* S240: each makes a thread and joins it. */
TEST(a_fiber_resumed_while_its_pool_closes_goes_on_there_or_cleans_up_on_io)
{
    RACE_ALL(RACE_ROUNDS / 20, begin_pool, is_posted, close_pool, resume,
             check_cleaned_up, "went on", "cleaned up");
}

TEST_MAIN
