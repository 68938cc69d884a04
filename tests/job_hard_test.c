/* Hard mode is really on: fibers never go on on the thread they left, nor on
 * the one that woke them.  Built in the hard rows only. */
#include "core/hard.h"
#include "core/timer.h"
#include "core/wait.h"
#include "dispatch/fresh.h"
#include "dispatch/ring.h"
#include "job/job.h"
#include "kin/kin.h"
#include "tests/check.h"

#include <sched.h>
#include <stdatomic.h>

#define ROUNDS 500

struct crossing {
    kin_dispatcher *dispatcher;
    int (*suspend)(void);
};

/* Each round suspends once, and goes on on another thread. */
KIN_SUSPENDS
static int cross(kin_scope *scope, void *arg)
{
    const struct crossing *crossing = arg;

    (void)scope;
    for (int i = 0; i < ROUNDS; i++) {
        const struct kin__thread *before = kin__thread();

        KIN_TRY(crossing->suspend());
        CHECK(before != kin__thread());
    }
    return 0;
}

static unsigned long count(const _Atomic unsigned long *counter)
{
    return atomic_load((_Atomic unsigned long *)counter);
}

static int launch_crossings(kin_scope *scope, void *arg)
{
    const struct crossing *crossing = arg;

    for (int i = 0; i < 4; i++)
        KIN_TRY(kin_launch(scope, cross, (void *)crossing,
                           .dispatcher = crossing->dispatcher));
    return 0;
}

static void check_crossings(kin_dispatcher *dispatcher, int (*suspend)(void))
{
    struct crossing crossing = { dispatcher, suspend };

    CHECK_EQ(kin_run_blocking(launch_crossings, &crossing), 0);
    CHECK(count(&kin__hard_counts.crossed) >= 4 * ROUNDS);
    CHECK_EQ(count(&kin__hard_counts.stayed), 0);
}

KIN_SUSPENDS
static int delay_shortly(void)
{
    return kin_delay(KIN_US(1));
}

TEST(a_fiber_that_yields_on_default_changes_its_thread_each_time)
{
    check_crossings(kin_default(), kin_yield);
    CHECK(count(&kin__hard_counts.handed) > 0);
}

TEST(a_fiber_that_yields_on_io_changes_its_thread_each_time)
{
    check_crossings(kin_io(), kin_yield);
}

TEST(a_fiber_that_waits_for_a_time_changes_its_thread_each_time)
{
    check_crossings(kin_default(), delay_shortly);
}

static void check_view(kin_dispatcher *base, int n)
{
    kin_dispatcher *view;

    CHECK_EQ(kin_limited_parallelism(base, n, NULL, &view), 0);
    check_crossings(view, kin_yield);
    kin_dispatcher_release(view);
}

TEST(a_fiber_on_a_view_of_default_changes_its_thread_each_time)
{
    check_view(kin_default(), 1);
}

TEST(a_fiber_on_a_view_of_io_changes_its_thread_each_time)
{
    check_view(kin_io(), 3);
}

static void check_pool(int n, int (*suspend)(void))
{
    kin_dispatcher *pool;

    CHECK_EQ(kin_fixed_pool(n, "pool", &pool), 0);
    check_crossings(pool, suspend);
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    kin_dispatcher_release(pool);
}

TEST(a_fiber_that_yields_on_a_pool_changes_its_thread_each_time)
{
    check_pool(2, kin_yield);
    CHECK(count(&kin__hard_counts.handed) > 0);
}

TEST(a_fiber_that_waits_on_a_pool_changes_its_thread_each_time)
{
    check_pool(3, delay_shortly);
}

static atomic_int running, most_running;

KIN_SUSPENDS
static int run_beside_others(kin_scope *scope, void *arg)
{
    int now, most = atomic_load(&most_running);

    (void)scope;
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        now = atomic_fetch_add(&running, 1) + 1;
        while (most < now
               && !atomic_compare_exchange_weak(&most_running, &most, now))
            ;
        sched_yield();
        atomic_fetch_sub(&running, 1);
        KIN_TRY(kin_yield());
    }
    return 0;
}

static int launch_beside_others(kin_scope *scope, void *pool)
{
    for (int i = 0; i < 6; i++)
        KIN_TRY(kin_launch(scope, run_beside_others, NULL,
                           .dispatcher = pool));
    return 0;
}

TEST(a_pool_runs_no_more_at_once_for_having_more_threads)
{
    kin_dispatcher *pool;

    CHECK_EQ(kin_fixed_pool(2, "pool", &pool), 0);
    CHECK_EQ(kin_run_blocking(launch_beside_others, pool), 0);
    CHECK(atomic_load(&most_running) <= 2);
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    kin_dispatcher_release(pool);
}

/* --- Hops ----------------------------------------------------------------- */

KIN_SUSPENDS
static int hop(kin_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        int err;
        const struct kin__thread *outside = kin__thread(), *inside = outside;

        KIN_WITH_CONTEXT(err, .dispatcher = kin_io()) {
            inside = kin__thread();
            CHECK(outside != inside);
        }
        CHECK_EQ(err, 0);
        CHECK(inside != kin__thread());
    }
    return 0;
}

static int launch_hop(kin_scope *scope, void *arg)
{
    return kin_launch(scope, hop, arg, .dispatcher = kin_default());
}

TEST(a_fiber_that_goes_to_io_and_back_changes_its_thread_each_time)
{
    CHECK_EQ(kin_run_blocking(launch_hop, NULL), 0);
    CHECK_EQ(count(&kin__hard_counts.stayed), 0);
}

/* --- Wake-ups ------------------------------------------------------------- */

struct pair {
    kin_dispatcher *dispatcher;
    int threads;
    kin_continuation sleeper;       /* ordered by rounds_begun               */
    _Atomic int rounds_begun;
    const struct kin__thread *waker;    /* ordered by the resume             */
};

static int begin_sleep(kin_continuation continuation, void *arg)
{
    struct pair *pair = arg;

    pair->sleeper = continuation;
    atomic_fetch_add(&pair->rounds_begun, 1);
    return 0;
}

KIN_SUSPENDS
static int sleeps(kin_scope *scope, void *arg)
{
    struct pair *pair = arg;

    (void)scope;
    for (int i = 0; i < ROUNDS; i++) {
        const struct kin__thread *before = kin__thread();

        KIN_TRY(kin_suspend_cancellable(begin_sleep, pair));
        CHECK(before != kin__thread());
        if (pair->threads != 2)
            CHECK(pair->waker != kin__thread());
    }
    return 0;
}

static bool is_parked(const struct pair *pair)
{
    return kin__wait_state(pair->sleeper.fiber, pair->sleeper.generation)
           == KIN__WAIT_PARKED;
}

/* Never suspends: it is on one thread while the other sleeps on another. */
static int wakes(kin_scope *scope, void *arg)
{
    struct pair *pair = arg;

    (void)scope;
    pair->waker = kin__thread();
    for (int i = 0; i < ROUNDS; i++) {
        while (atomic_load(&pair->rounds_begun) == i || !is_parked(pair))
            sched_yield();
        CHECK_EQ(kin_resume(pair->sleeper, 0), 0);
    }
    return 0;
}

static int launch_pair(kin_scope *scope, void *arg)
{
    struct pair *pair = arg;

    KIN_TRY(kin_launch(scope, sleeps, pair, .dispatcher = pair->dispatcher));
    return kin_launch(scope, wakes, pair, .dispatcher = pair->dispatcher);
}

static void check_pair(kin_dispatcher *dispatcher, int threads)
{
    struct pair pair = { .dispatcher = dispatcher, .threads = threads };

    CHECK_EQ(kin_run_blocking(launch_pair, &pair), 0);
    CHECK(count(&kin__hard_counts.crossed) >= ROUNDS);
    CHECK_EQ(count(&kin__hard_counts.stayed), 0);
}

TEST(a_fiber_on_default_goes_on_on_another_thread_than_its_waker)
{
    check_pair(kin_default(), 0);
}

TEST(a_fiber_on_io_goes_on_on_another_thread_than_its_waker)
{
    check_pair(kin_io(), 0);
}

TEST(a_fiber_on_a_pool_goes_on_on_another_thread_than_its_waker)
{
    kin_dispatcher *pool;

    CHECK_EQ(kin_fixed_pool(2, "pool", &pool), 0);
    check_pair(pool, 0);
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    kin_dispatcher_release(pool);
}

/* --- Cancelled, many at once ---------------------------------------------- */

enum { LEAVES = 6 };

struct leaves {
    struct kin__runnable *leaf[LEAVES];
    uint64_t generation[LEAVES];
    _Atomic int begun, told, left;  /* told: slots that are filled           */
    const struct kin__thread *canceller;    /* ordered by the cancellation */
};

static int begin_leaf(kin_continuation continuation, void *arg)
{
    struct leaves *leaves = arg;
    int i = atomic_fetch_add(&leaves->begun, 1);

    leaves->leaf[i] = continuation.fiber;
    leaves->generation[i] = continuation.generation + 1;    /* the next wait */
    atomic_fetch_add(&leaves->told, 1);
    return kin_resume(continuation, 0);
}

KIN_SUSPENDS
static int be_a_leaf(kin_scope *scope, void *arg)
{
    struct leaves *leaves = arg;
    int err;

    (void)scope;
    KIN_TRY(kin_suspend(begin_leaf, leaves));
    err = kin_await_cancellation();
    CHECK(leaves->canceller != kin__thread());
    atomic_fetch_sub(&leaves->left, 1);
    return err;
}

static bool all_are_parked(const struct leaves *leaves)
{
    bool all = atomic_load(&leaves->told) == LEAVES;

    for (int i = 0; all && i < LEAVES; i++)
        all = kin__wait_state(leaves->leaf[i], leaves->generation[i])
            == KIN__WAIT_PARKED;
    return all;
}

/* Never suspends: it is on one thread meanwhile. */
static int cancel_leaves(kin_scope *scope, void *arg)
{
    struct leaves *leaves = arg;
    kin_job *parent = NULL;

    (void)scope;
    CHECK_EQ(kin_supervisor_new(NULL, &parent), 0);
    KIN_AUTO(kin_context) context = kin_context_of_job(parent);
    for (int i = 0; i < LEAVES; i++)
        CHECK_EQ(kin_launch(scope, be_a_leaf, leaves, .context = context), 0);
    while (!all_are_parked(leaves))
        sched_yield();
    leaves->canceller = kin__thread();
    kin_job_cancel(parent, NULL);
    kin_job_release(parent);
    return 0;
}

KIN_SUSPENDS
static int cancel_leaves_on_default(kin_scope *scope, void *arg)
{
    for (int i = 0; i < ROUNDS / 10; i++) {
        struct leaves leaves = { .left = LEAVES };
        kin_job *job = NULL;

        CHECK_EQ(kin_launch(scope, cancel_leaves, &leaves, .job = &job,
                            .dispatcher = kin_default()), 0);
        CHECK_EQ(kin_join(job), 0);
        kin_job_release(job);
        while (atomic_load(&leaves.left))
            CHECK_EQ(kin_delay(KIN_US(10)), 0);
    }
    (void)arg;
    return 0;
}

TEST(children_that_are_cancelled_go_on_on_another_thread_than_their_canceller)
{
    CHECK_EQ(kin_run_blocking(cancel_leaves_on_default, NULL), 0);
    CHECK_EQ(count(&kin__hard_counts.stayed), 0);
}

/* --- Sizes ---------------------------------------------------------------- */

TEST(queues_hold_two)
{
    CHECK_EQ(KIN__RING_SIZE, 2);
    CHECK_EQ(KIN__FRESH_SIZE, 2);
}

KIN_SUSPENDS
static int nothing(kin_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    return kin_delay(1);                /* keeps its stack */
}

KIN_SUSPENDS
static int launch_many(kin_scope *scope, void *arg)
{
    int err;

    (void)arg;
    KIN_COROUTINE_SCOPE(err, inner)
        for (int i = 0; i < 100; i++)
            KIN_TRY_IN(inner, kin_launch(inner, nothing, NULL));
    CHECK_EQ(err, 0);
    CHECK(kin__thread()->record_count <= 1);
    (void)scope;
    return 0;
}

TEST(a_thread_keeps_one_record_and_one_stack)
{
    struct kin__stack_cache *cache = &kin__thread()->stacks;
    struct kin__stack_magazine *magazine =
        &cache->magazines[KIN__STACK_DEFAULT_CLASS];

    CHECK_EQ(kin_run_blocking(launch_many, NULL), 0);
    CHECK(kin__thread()->record_count <= 1);
    CHECK(kin__magazine_count(magazine) <= 1);
    CHECK(!magazine->spare);
}

/* --- Planted: what is broken is found at the next step -------------------- */

static void never_fires(struct kin_timer *timer)
{
    (void)timer;
}

/* A timer is where it is not. */
static void break_heap(void *unused)
{
    static struct kin__timers timers;
    static struct kin_timer timer[3];

    (void)unused;
    for (int i = 0; i < 3; i++) {
        timer[i].fire = never_fires;
        CHECK_EQ(kin__timers_arm(&timers, &timer[i], 1000 - i), 0);
    }
    timers.place[timer[0].index] = timers.place[timer[1].index];
    for (int i = 0; i < 100; i++) {     /* not looked at each time */
        struct kin_timer more = { .fire = never_fires };

        CHECK_EQ(kin__timers_arm(&timers, &more, 2000), 0);
        kin__timers_disarm(&more);
    }
}

TEST(a_broken_heap_of_timers_is_found)
{
    check_dies(break_heap, NULL, "heap_is_valid");
}

/* The last of three is forgotten. */
static void break_queue(void *unused)
{
    struct kin_task task[4] = { { .run = NULL } };
    struct kin__task_queue queue = { NULL, NULL };

    (void)unused;
    for (int i = 0; i < 3; i++)
        kin__task_queue_push(&queue, &task[i]);
    queue.last = &task[1];
    kin__task_queue_push(&queue, &task[3]);
}

TEST(a_broken_queue_is_found)
{
    check_dies(break_queue, NULL, "kin__task_queue_is_valid");
}

/* A head that has passed the tail. */
static void break_ring(void *unused)
{
    static struct kin__ring ring;
    struct kin_task task = { .run = NULL };

    (void)unused;
    CHECK(kin__ring_put(&ring, &task));
    atomic_store(&ring.head, 2);
    kin__ring_put(&ring, &task);
}

TEST(a_broken_ring_is_found)
{
    check_dies(break_ring, NULL, "kin__ring_is_valid");
}

/* Not each step looks at all of a family. */
static void have_children(kin_job *parent)
{
    kin_job *child;

    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(kin_job_new(parent, &child), 0);
        kin_job_complete(child);
        kin_job_release(child);
    }
}

/* A child that its neighbours do not know. */
static void break_family(void *unused)
{
    kin_job *parent, *child[2];

    (void)unused;
    CHECK_EQ(kin_job_new(NULL, &parent), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(kin_job_new(parent, &child[i]), 0);
    child[1]->child.next = &child[0]->child;
    have_children(parent);
}

TEST(a_broken_list_of_children_is_found)
{
    check_dies(break_family, NULL, "is_valid");
}

/* As deep as its own child. */
static void break_tree(void *unused)
{
    kin_job *parent, *child;

    (void)unused;
    CHECK_EQ(kin_job_new(NULL, &parent), 0);
    CHECK_EQ(kin_job_new(parent, &child), 0);
    child->depth = 7;
    have_children(parent);
}

TEST(a_broken_tree_is_found)
{
    check_dies(break_tree, NULL, "family_is_valid");
}

TEST_MAIN
