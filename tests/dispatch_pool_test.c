/* dispatch_pool_test.c -- dispatchers with threads of their own: their names,
 * their number, and their end: what is queued still runs, what comes later is
 * refused, and close returns when the threads have ended. */
#include "tests/check.h"

#include "core/check.h"
#include "core/memory.h"
#include "core/sanitize.h"
#include "tests/dispatch_helpers.h"
#include "tests/process.h"

#include <stdio.h>
#include <string.h>

static struct counter done = COUNTER_INIT, inside = COUNTER_INIT;
static struct counter gate = COUNTER_INIT;
static kin_dispatcher *pool;

static void count(void *unused)
{
    (void)unused;
    counter_add(&done, 1);
}

static char names[2][16];

static void note_name(void *unused)
{
    char name[16];

    (void)unused;
    pthread_getname_np(pthread_self(), name, sizeof name);
    CHECK(strcmp(name, "p-1") == 0 || strcmp(name, "p-2") == 0);
    strcpy(names[name[2] - '1'], name);
    counter_add(&inside, 1);
    counter_await(&inside, 2);
    counter_add(&done, 1);
}

/* S240 */
TEST(a_fixed_pool_has_so_many_threads_with_names)
{
    CHECK_EQ(kin_fixed_pool(2, "p", &pool), 0);
    CHECK_STR(kin_dispatcher_name(pool), "p");
    post(pool, note_name, NULL);
    post(pool, note_name, NULL);
    counter_await(&done, 2);
    CHECK_STR(names[0], "p-1");
    CHECK_STR(names[1], "p-2");
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    kin_dispatcher_release(pool);
}

static void wait_for_gate(void *unused)
{
    (void)unused;
    counter_add(&inside, 1);
    counter_await(&gate, 1);
}

static void *close_it(void *unused)
{
    (void)unused;
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    CHECK_EQ(counter_get(&done), 100);      /* it has waited for them */
    return NULL;
}

TEST(closing_lets_the_queue_run_out_and_refuses_what_is_new)
{
    pthread_t closer[2];
    int more = 0;

    CHECK_EQ(kin_fixed_pool(1, "p", &pool), 0);
    post(pool, wait_for_gate, NULL);
    counter_await(&inside, 1);
    for (int i = 0; i < 100; i++)
        post(pool, count, NULL);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&closer[i], NULL, close_it, NULL), 0);
    counter_add(&gate, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(closer[i], NULL);
    CHECK_EQ(try_post(pool, count, &more, 0), KIN_ECLOSED);
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    kin_dispatcher_release(pool);
    CHECK_EQ(counter_get(&done), 100);
}

static void close_inside(void *unused)
{
    (void)unused;
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    CHECK_EQ(try_post(pool, count, NULL, 0), KIN_ECLOSED);
    counter_add(&done, 1);
}

TEST(a_pool_may_be_closed_on_its_own_thread)
{
    CHECK_EQ(kin_single_thread("own", &pool), 0);
    post(pool, close_inside, NULL);
    counter_await(&done, 1);
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    kin_dispatcher_release(pool);
}

static void close_and_release(void *unused)
{
    (void)unused;
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    kin_dispatcher_release(pool);
    counter_add(&done, 1);
}

TEST(a_pool_may_be_released_on_its_own_thread)
{
    /* ThreadSanitizer starts one of its own with the first. */
    long before = process_threads() + (KIN__TSAN ? 1 : 0);

    for (int i = 1; i <= 100; i++) {
        CHECK_EQ(kin_fixed_pool(2, "own", &pool), 0);
        post(pool, close_and_release, NULL);
        counter_await(&done, i);
    }
    while (process_threads() > before)  /* the last one frees the pool */
        sched_yield();
}

static void note_single(void *name)
{
    pthread_getname_np(pthread_self(), name, 16);
    counter_add(&done, 1);
}

TEST(a_single_thread_bears_the_name_itself)
{
    char name[16];

    CHECK_EQ(kin_single_thread("only", &pool), 0);
    post(pool, note_single, name);
    counter_await(&done, 1);
    CHECK_STR(name, "only");
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    kin_dispatcher_release(pool);
}

static void make_none(void *unused)
{
    (void)unused;
    CHECK_EQ(kin_fixed_pool(0, "p", &pool), KIN_EINVAL);
    CHECK_EQ(kin_fixed_pool(-1, "p", &pool), KIN_EINVAL);
    CHECK_EQ(kin_fixed_pool(1, NULL, &pool), KIN_EINVAL);
    CHECK_EQ(kin_single_thread(NULL, &pool), KIN_EINVAL);
    CHECK_EQ(kin_single_thread("p", NULL), KIN_EINVAL);
}

/* S241 */
TEST(a_pool_without_threads_or_name_is_an_error)
{
    if (KIN_DEBUG)
        check_dies(make_none, NULL, "kin_fixed_pool");
    else
        check_says(make_none, NULL, "kin_fixed_pool");
    CHECK(!pool);
}

TEST(without_memory_or_threads_nothing_is_left)
{
    int err = -1;

    for (unsigned long n = 1; err; n++) {
        kin__fail_at(n, false);
        err = kin_fixed_pool(3, "p", &pool);
        kin__fail_at(0, false);
        CHECK(err == 0 || err == KIN_ENOMEM || err == KIN_EAGAIN);
        CHECK(n < 100);
    }
    post(pool, count, NULL);
    counter_await(&done, 1);
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    kin_dispatcher_release(pool);
}

TEST(an_absurd_number_of_threads_is_refused)
{
    CHECK_EQ(kin_fixed_pool(1 << 30, "p", &pool), KIN_EAGAIN);
}

static void *posts(void *unused)
{
    (void)unused;
    for (int i = 0; i < 20000; i++)
        if (try_post(pool, count, NULL, 0) != 0)
            count(NULL);
    return NULL;
}

TEST(posts_that_race_with_close_run_or_are_refused)
{
    pthread_t threads[3];

    CHECK_EQ(kin_fixed_pool(2, "p", &pool), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, posts, NULL), 0);
    counter_await(&done, 30000);
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(counter_get(&done), 60000);
    kin_dispatcher_release(pool);
}

TEST_MAIN
