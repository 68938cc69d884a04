/* core_parker_stress.c -- a wake is never lost, whether it comes before, into
 * or after the sleep; several are as one; and a deadline ends the sleep.  Two
 * threads hand a token to and fro: one wake lost, and the alarm goes off. */
#include "tests/check.h"

#include "core/parker.h"
#include "tests/rounds.h"

#include <pthread.h>

TEST(a_wake_before_the_wait_ends_it_at_once)
{
    struct kin__parker parker = { 0 };

    kin__parker_wake(&parker);
    kin__parker_wake(&parker);
    CHECK(kin__parker_wait(&parker, KIN_NEVER));
    CHECK(!kin__parker_wait(&parker, 0));           /* two are as one */
}

TEST(a_deadline_ends_the_wait)
{
    struct kin__parker parker = { 0 };
    int64_t deadline = kin_after(KIN_MS(2));

    CHECK(!kin__parker_wait(&parker, deadline));
    CHECK(kin_now() >= deadline);
    CHECK(!kin__parker_wait(&parker, deadline));    /* it has passed */
    CHECK(!kin__parker_wait(&parker, -5));
    kin__parker_wake(&parker);
    CHECK(kin__parker_wait(&parker, deadline));     /* the token wins */
}

static int rounds(void)
{
    return race_rounds(RACE_ROUNDS / 5);
}

static struct kin__parker here, there;
static int ball;                    /* whoever has the token                 */

static void *answers(void *unused)
{
    (void)unused;
    for (int i = rounds(); i > 0; i--) {
        CHECK(kin__parker_wait(&there, KIN_NEVER));
        ball++;
        kin__parker_wake(&here);
    }
    return NULL;
}

TEST(two_threads_wake_each_other_and_lose_nothing)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, answers, NULL), 0);
    for (int i = 0; i < rounds(); i++) {
        kin__parker_wake(&there);
        CHECK(kin__parker_wait(&here, KIN_NEVER));
        CHECK_EQ(ball, i + 1);
    }
    pthread_join(thread, NULL);
}

static _Atomic int left;

static void *wakes(void *unused)
{
    (void)unused;
    for (int i = 0; i < rounds(); i++) {
        atomic_fetch_sub_explicit(&left, 1, memory_order_relaxed);
        kin__parker_wake(&here);
    }
    return NULL;
}

/* The sleeper gives up at short deadlines all the time. */
TEST(wakes_of_many_race_with_deadlines_and_none_is_lost)
{
    enum { WAKERS = 3 };
    pthread_t threads[WAKERS];

    left = WAKERS * rounds();
    for (int i = 0; i < WAKERS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, wakes, NULL), 0);
    for (int i = 0; atomic_load_explicit(&left, memory_order_relaxed) > 0; i++)
        kin__parker_wait(&here, i % 2 ? kin_now() + i % 3000 : KIN_NEVER);
    for (int i = 0; i < WAKERS; i++)
        pthread_join(threads[i], NULL);
}

TEST(there_is_a_processor)
{
    CHECK(kin__cpu_count() >= 1);
}

TEST_MAIN
