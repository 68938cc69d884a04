/* dispatch_fresh_test.c -- what has been launched and not begun: its order, its
 * bounds, and that under thieves each task is had exactly once.  The owner puts
 * and takes while others steal, until a fixed number of tasks is counted. */
#include "tests/check.h"

#include "core/spin.h"
#include "dispatch/fresh.h"

#include <pthread.h>
#include <stdlib.h>

TEST_TIMEOUT(120);

static struct kin__fresh fresh, other;
static struct kin_task task[2 * KIN__FRESH_SIZE + 4];

static long number_of(const struct kin_task *t)
{
    return t ? t - task : -1;
}

static void fill(struct kin__fresh *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        CHECK(kin__fresh_put(f, &task[i]));
}

TEST(the_owner_has_the_newest_first)
{
    CHECK(kin__fresh_is_empty(&fresh));
    CHECK(!kin__fresh_take(&fresh));
    fill(&fresh, 2);
    CHECK(!kin__fresh_is_empty(&fresh));
    CHECK_EQ(number_of(kin__fresh_take(&fresh)), 1);
    CHECK(kin__fresh_put(&fresh, &task[2]));
    CHECK_EQ(number_of(kin__fresh_take(&fresh)), 2);
    CHECK_EQ(number_of(kin__fresh_take(&fresh)), 0);
    CHECK(!kin__fresh_take(&fresh));
    CHECK(kin__fresh_is_empty(&fresh));
}

TEST(one_that_is_full_takes_no_more_and_spills_its_older_half)
{
    struct kin__task_queue queue = { NULL, NULL };

    /* anywhere, also where the places and the count come round */
    fresh.word = kin__fresh_ends(~(uint64_t)0, 4095, 4095);
    fill(&fresh, KIN__FRESH_SIZE);
    CHECK(!kin__fresh_put(&fresh, &task[KIN__FRESH_SIZE]));
    CHECK_EQ(kin__fresh_spill(&fresh, &queue), KIN__FRESH_SIZE / 2);
    for (unsigned i = 0; i < KIN__FRESH_SIZE / 2; i++)
        CHECK_EQ(number_of(kin__task_queue_pop(&queue)), i);
    CHECK(!kin__task_queue_pop(&queue));
    CHECK_EQ(number_of(kin__fresh_take(&fresh)), KIN__FRESH_SIZE - 1);
}

TEST(a_thief_takes_half_and_the_oldest)
{
    CHECK(!kin__fresh_steal(&fresh, &other));
    fill(&fresh, 2);
    CHECK_EQ(number_of(kin__fresh_steal(&fresh, &other)), 0);
    CHECK(kin__fresh_is_empty(&other));
    CHECK_EQ(number_of(kin__fresh_steal(&fresh, &other)), 1);
    CHECK(kin__fresh_is_empty(&fresh));
    if (KIN__FRESH_SIZE < 8)
        return;
    fill(&fresh, 7);
    CHECK_EQ(number_of(kin__fresh_steal(&fresh, &other)), 0);
    for (unsigned i = 3; i > 0; i--)
        CHECK_EQ(number_of(kin__fresh_take(&other)), i);
    CHECK(!kin__fresh_take(&other));
    CHECK_EQ(number_of(kin__fresh_take(&fresh)), 6);
}

TEST(nobody_takes_more_than_he_has_room_for)
{
    struct kin_task *one = NULL;

    if (KIN__FRESH_SIZE < 4 * KIN__FRESH_BATCH)
        return;
    fill(&fresh, KIN__FRESH_SIZE);
    CHECK_EQ(kin__fresh_take_oldest(&fresh, &one, 1), 1);
    CHECK_EQ(number_of(one), 0);
    CHECK_EQ(number_of(kin__fresh_steal(&fresh, &other)), 1);
    CHECK_EQ(kin__fresh_count(other.word), KIN__FRESH_BATCH - 1);
    CHECK_EQ(number_of(kin__fresh_take(&other)), KIN__FRESH_BATCH);
}

/* The word has gone on, though both ends are where they were. */
TEST(a_thief_that_read_before_the_newest_was_replaced_has_nothing)
{
    uint64_t seen;

    fill(&fresh, 2);
    seen = fresh.word;
    CHECK_EQ(number_of(kin__fresh_take(&fresh)), 1);
    CHECK(kin__fresh_put(&fresh, &task[3]));
    CHECK_EQ(kin__fresh_oldest(fresh.word), kin__fresh_oldest(seen));
    CHECK_EQ(kin__fresh_newest(fresh.word), kin__fresh_newest(seen));
    CHECK(!atomic_compare_exchange_strong_explicit(
              &fresh.word, &seen, seen + KIN__FRESH_OLDEST,
              memory_order_relaxed, memory_order_relaxed));
}

/* --- Under thieves -------------------------------------------------------- */

enum { TASKS = 200000, THIEVES = 3 };
static struct kin_task *many;
static _Atomic unsigned char *had;
static _Atomic int counted;

static void count_one(struct kin_task *t)
{
    CHECK_EQ(atomic_fetch_add_explicit(&had[t - many], 1,
                                       memory_order_relaxed), 0);
    CHECK_EQ(t->tag, (uintptr_t)(t - many));    /* he sees what is in it */
    atomic_fetch_add_explicit(&counted, 1, memory_order_relaxed);
}

static void *steals(void *arg)
{
    struct kin__fresh *mine = arg;
    struct kin_task *t;
    unsigned round = 0;

    while (atomic_load_explicit(&counted, memory_order_relaxed) < TASKS) {
        t = kin__fresh_steal(&fresh, mine);
        if (!t)
            kin__spin_pause(&round);
        for (; t; t = kin__fresh_take(mine))
            count_one(t);
    }
    return NULL;
}

/* Few places, so that they are used again at once: the owner puts up to three
 * and takes up to three. */
TEST(under_thieves_each_task_is_had_once)
{
    static struct kin__fresh mine[THIEVES];
    pthread_t threads[THIEVES];
    struct kin__task_queue spilled = { NULL, NULL };
    struct kin_task *t;

    many = calloc(TASKS, sizeof *many);
    had = calloc(TASKS, sizeof *had);
    CHECK(many && had);
    for (int i = 0; i < THIEVES; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, steals, &mine[i]), 0);
    for (int i = 0; i < TASKS; i++) {
        many[i].tag = (uintptr_t)i;
        if (!kin__fresh_put(&fresh, &many[i])) {
            kin__fresh_spill(&fresh, &spilled);
            while (!kin__fresh_put(&fresh, &many[i]))
                ;
        }
        while ((t = kin__task_queue_pop(&spilled)) != NULL)
            count_one(t);
        for (int n = i % 4; n > 0 && (t = kin__fresh_take(&fresh)); n--)
            count_one(t);
    }
    while ((t = kin__fresh_take(&fresh)))
        count_one(t);
    for (int i = 0; i < THIEVES; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(counted, TASKS);
    free(many);
    free((void *)had);
}

TEST_MAIN
