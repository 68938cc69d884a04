/* dispatch_limited_test.c -- views: never more slices at once than they say,
 * but that many; first come, first served; and neither a base that refuses nor
 * one that closes loses a task.  Every test that counts runs on a view of
 * Default or IO, which go through a limiter, and on one of a pool, which has
 * workers of its own. */
#include "tests/check.h"

#include "core/check.h"
#include "core/task.h"
#include "dispatch/scheduler.h"
#include "tests/counting_dispatcher.h"
#include "tests/dispatch_helpers.h"

TEST_TIMEOUT(120);

static struct counter done = COUNTER_INIT, inside = COUNTER_INIT;
static struct counter gate = COUNTER_INIT;
static struct kin__scheduler *scheduler;
static kin_dispatcher *cpu, *io, *pool;

static void make_bases(int core)
{
    scheduler = kin__scheduler_new(core, 64, "base");
    CHECK(scheduler);
    cpu = kin__scheduler_default(scheduler);
    io = kin__scheduler_io(scheduler);
    CHECK_EQ(kin_fixed_pool(core, "pool", &pool), 0);
}

static void free_bases(void)
{
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    kin_dispatcher_release(pool);
    kin__scheduler_free(scheduler);
}

static kin_dispatcher *view_of(kin_dispatcher *base, int n)
{
    kin_dispatcher *view = NULL;

    CHECK_EQ(kin_limited_parallelism(base, n, "view", &view), 0);
    CHECK(view);
    return view;
}

static void pass(void *unused)
{
    (void)unused;
    counter_add(&inside, 1);
    counter_add(&inside, -1);
    counter_add(&done, 1);
}

static void meet(void *unused)
{
    (void)unused;
    counter_add(&gate, 1);
    counter_await(&gate, 2);
    counter_add(&done, 1);
}

/* S224 */
static void check_limit_is_kept(kin_dispatcher *base)
{
    kin_dispatcher *view = view_of(base, 2);

    for (int i = 0; i < 1000; i++)
        post(view, pass, NULL);
    counter_await(&done, 1000);
    CHECK(counter_most(&inside) <= 2);
    post(view, meet, NULL);             /* two can wait for each other */
    post(view, meet, NULL);
    counter_await(&done, 1002);
    kin_dispatcher_release(view);
}

TEST(a_view_of_default_keeps_its_limit_and_reaches_it)
{
    make_bases(4);
    check_limit_is_kept(cpu);
    free_bases();
}

TEST(a_view_of_io_keeps_its_limit_and_reaches_it)
{
    make_bases(4);
    check_limit_is_kept(io);
    free_bases();
}

TEST(a_view_of_a_pool_keeps_its_limit_and_reaches_it)
{
    make_bases(4);
    check_limit_is_kept(pool);
    free_bases();
}

static kin_dispatcher *the_view;

static void say_and_return(void *word)
{
    ev(word);
    counter_add(&done, 1);
}

static void say_a(void *unused)
{
    (void)unused;
    ev("1");
    CHECK_EQ(try_post(the_view, say_and_return, "3", KIN__TASK_FAIR), 0);
}

static void say_b(void *unused)
{
    (void)unused;
    ev("2");
    CHECK_EQ(try_post(the_view, say_and_return, "4", KIN__TASK_FAIR), 0);
}

static void start_both(void *unused)
{
    (void)unused;
    post(the_view, say_a, NULL);
    post(the_view, say_b, NULL);
}

static void check_order(kin_dispatcher *base)
{
    the_view = view_of(base, 1);
    post(the_view, start_both, NULL);
    counter_await(&done, 2);
    CHECK_LOG("1 2 3 4");
    kin_dispatcher_release(the_view);
}

/* S225 */
TEST(a_view_of_default_is_first_come_first_served)
{
    make_bases(4);
    check_order(cpu);
    free_bases();
}

TEST(a_view_of_a_pool_is_first_come_first_served)
{
    make_bases(4);
    check_order(pool);
    free_bases();
}

/* --- Fairness between views ----------------------------------------------- */

static kin_dispatcher *view_1, *view_2;
static int slices_of_1, slices_before;

static void note_2(void *unused)
{
    (void)unused;
    slices_before = slices_of_1;
    counter_add(&done, 1);
}

static void yield_for_ever(void *unused)
{
    (void)unused;
    if (++slices_of_1 == 5)
        post(view_2, note_2, NULL);
    if (counter_get(&done) == 0)
        CHECK_EQ(try_post(view_1, yield_for_ever, NULL, KIN__TASK_FAIR), 0);
    else
        counter_add(&done, 1);
}

static void check_fairness(kin_dispatcher *base)
{
    view_1 = view_of(base, 1);
    view_2 = view_of(base, 1);
    post(view_1, yield_for_ever, NULL);
    counter_await(&done, 2);
    CHECK(slices_before <= 5 + 20);
    kin_dispatcher_release(view_1);
    kin_dispatcher_release(view_2);
}

/* S226 */
TEST(a_view_on_one_thread_lets_another_have_its_turn)
{
    kin_dispatcher *single;

    CHECK_EQ(kin_single_thread("single", &single), 0);
    check_fairness(single);
    CHECK_EQ(kin_dispatcher_close(single), 0);
    kin_dispatcher_release(single);
}

TEST(a_view_of_io_with_one_thread_lets_another_have_its_turn)
{
    make_bases(1);
    kin__scheduler_set_limits(scheduler, KIN_S(60), 1);
    check_fairness(io);
    free_bases();
}

/* --- What a view is ------------------------------------------------------- */

/* S227, R16.2, R16.3 */
TEST(a_view_of_a_view_is_the_stricter_one)
{
    make_bases(4);
    kin_dispatcher *three = view_of(cpu, 3), *same = view_of(three, 5);
    kin_dispatcher *two = view_of(three, 2);

    CHECK_PTR(same, three);
    CHECK(two != three);
    CHECK_PTR(view_of(cpu, 4), cpu);
    CHECK_PTR(view_of(pool, 4), pool);
    kin_dispatcher_release(pool);
    kin_dispatcher *of_io = view_of(io, 64);

    CHECK(of_io != io);
    kin_dispatcher_release(of_io);
    CHECK_STR(kin_dispatcher_name(two), "view");
    for (int i = 0; i < 1000; i++)
        post(two, pass, NULL);
    kin_dispatcher_release(three);
    kin_dispatcher_release(same);
    kin_dispatcher_release(two);            /* its tasks keep it */
    counter_await(&done, 1000);
    CHECK(counter_most(&inside) <= 2);
    free_bases();
}

TEST(views_that_nest_share_the_outer_limit)
{
    make_bases(4);
    kin_dispatcher *outer = view_of(io, 3);
    kin_dispatcher *a = view_of(outer, 2), *b = view_of(outer, 2);

    for (int i = 0; i < 1000; i++)
        post(i % 2 ? a : b, pass, NULL);
    counter_await(&done, 1000);
    CHECK(counter_most(&inside) <= 3);
    kin_dispatcher_release(a);
    kin_dispatcher_release(b);
    kin_dispatcher_release(outer);
    free_bases();
}

static void limit_zero(void *view)
{
    if (kin_limited_parallelism(cpu, 0, NULL, view) == KIN_EINVAL)
        return;
    FAIL("0 was accepted");
}

TEST(a_view_for_nobody_is_an_error)
{
    kin_dispatcher *view = NULL;

    make_bases(2);
    if (KIN_DEBUG)
        check_dies(limit_zero, &view, "kin_limited_parallelism");
    else
        check_says(limit_zero, &view, "kin_limited_parallelism");
    CHECK(!view);
    free_bases();
}

/* S230 */
TEST(there_is_no_view_of_unconfined)
{
    kin_dispatcher *view = NULL;

    CHECK_EQ(kin_limited_parallelism(kin_unconfined(), 1, NULL, &view),
             KIN_ENOTSUP);
    CHECK(!view);
}

static void wait_for_gate(void *unused)
{
    (void)unused;
    counter_add(&inside, 1);
    counter_await(&gate, 1);
    counter_add(&done, 1);
}

/* S231 */
TEST(a_view_of_io_is_not_bound_by_the_limit_of_io)
{
    make_bases(2);
    kin_dispatcher *view = view_of(io, 70);

    for (int i = 0; i < 64; i++)
        post(io, wait_for_gate, NULL);
    counter_await(&inside, 64);
    for (int i = 0; i < 70; i++)
        post(view, wait_for_gate, NULL);
    counter_await(&inside, 134);
    counter_add(&gate, 1);
    counter_await(&done, 134);
    kin_dispatcher_release(view);
    free_bases();
}

/* --- Bases that refuse ---------------------------------------------------- */

static void run_all(struct counting *d)
{
    while (d->head) {
        kin_task *task = d->head;

        d->head = task->next;
        if (!d->head)
            d->tail = &d->head;
        kin_task_run(task);
    }
}

static void count(void *unused)
{
    (void)unused;
    counter_add(&done, 1);
}

/* S228 */
TEST(a_base_that_refuses_for_a_while_leaves_the_view_whole)
{
    struct counting base;
    int accepted = 0, before;

    counting_init(&base, "base");
    kin_dispatcher *view = view_of(&base.dispatcher, 3);
    for (int i = 0; i < 1000; i++) {
        base.refusal = i * 7 % 5 < 2 ? KIN_EAGAIN : 0;
        accepted += try_post(view, count, NULL, 0) == 0;
        if (i % 11 == 0)
            run_all(&base);
    }
    base.refusal = 0;
    run_all(&base);
    CHECK(accepted > 0 && accepted < 1000);
    CHECK_EQ(counter_get(&done), accepted);
    before = counting_dispatched(&base);
    for (int i = 0; i < 3; i++)
        post(view, count, NULL);
    CHECK_EQ(counting_dispatched(&base) - before, 3);
    run_all(&base);
    kin_dispatcher_release(view);
}

/* R16.1, R16.7 */
TEST(a_worker_goes_to_the_tail_after_sixteen_slices_if_there_are_more)
{
    struct counting base;

    counting_init(&base, "base");
    kin_dispatcher *view = view_of(&base.dispatcher, 1);
    for (int i = 0; i < 16; i++)
        post(view, count, NULL);
    run_all(&base);
    CHECK_EQ(counting_dispatched(&base), 1);
    for (int i = 0; i < 17; i++)
        post(view, count, NULL);
    run_all(&base);
    CHECK_EQ(counting_dispatched(&base), 3);
    CHECK_EQ(counter_get(&done), 33);
    kin_dispatcher_release(view);
}

TEST(a_worker_whose_base_has_closed_goes_on_in_place)
{
    struct counting base;

    counting_init(&base, "base");
    kin_dispatcher *view = view_of(&base.dispatcher, 1);
    for (int i = 0; i < 100; i++)
        post(view, count, NULL);
    base.refusal = KIN_ECLOSED;
    run_all(&base);
    CHECK_EQ(counter_get(&done), 100);
    CHECK_EQ(try_post(view, count, NULL, 0), KIN_ECLOSED);
    kin_dispatcher_release(view);
}

TEST_MAIN
