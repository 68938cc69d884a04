/* dispatch_fresh_test.c -- what has been launched and not begun: its order, its
 * bounds, and that under thieves each task is had exactly once.  The owner puts
 * and takes while others steal, until a fixed number of tasks is counted. */
#include "dispatch/fresh.h"
#include "tests/thieves.h"

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

static struct kin__fresh own[THIEVES];

static struct kin_task *steal(int n)
{
    return kin__fresh_steal(&fresh, &own[n]);
}

static struct kin_task *take_own(int n)
{
    return kin__fresh_take(&own[n]);
}

/* Often few are there, so that a place is used again at once. */
static void play_owner(void)
{
    struct kin__task_queue spilled = { NULL, NULL };
    struct kin_task *t;

    for (int i = 0; i < TASKS; i++) {
        t = fresh_task(i);
        if (!kin__fresh_put(&fresh, t)) {
            kin__fresh_spill(&fresh, &spilled);
            while (!kin__fresh_put(&fresh, t))
                ;
        }
        count_spilled(&spilled);
        for (int n = i % 4; n > 0 && (t = kin__fresh_take(&fresh)); n--)
            count_one(t);
    }
    while ((t = kin__fresh_take(&fresh)))
        count_one(t);
}

TEST(under_thieves_each_task_is_had_once)
{
    play_under_thieves(&(struct theft){ steal, take_own, play_owner });
}

TEST_MAIN
