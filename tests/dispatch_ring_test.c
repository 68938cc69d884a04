/* dispatch_ring_test.c -- the queue of one permit: its order, its bounds, and
 * that under thieves each task is had exactly once.  The owner puts and takes
 * while others steal, until a fixed number of tasks has been counted. */
#include "dispatch/ring.h"
#include "tests/thieves.h"

TEST_TIMEOUT(120);

static struct kin__ring ring, other;
static struct kin_task task[2 * KIN__RING_SIZE + 4];

static long number_of(const struct kin_task *t)
{
    return t ? t - task : -1;
}

TEST(the_ring_is_a_queue)
{
    CHECK(kin__ring_is_empty(&ring));
    CHECK(!kin__ring_take(&ring));
    CHECK(kin__ring_put(&ring, &task[1]));
    CHECK(kin__ring_put(&ring, &task[2]));
    CHECK(!kin__ring_is_empty(&ring));
    CHECK_EQ(number_of(kin__ring_take(&ring)), 1);
    CHECK_EQ(number_of(kin__ring_take(&ring)), 2);
    CHECK(!kin__ring_take(&ring));
}

TEST(a_full_ring_takes_no_more_and_spills_its_older_half)
{
    struct kin__task_queue queue = { NULL, NULL };

    /* anywhere, also where the counters wrap */
    ring.head = ring.tail = UINT32_MAX - 1;
    for (unsigned i = 0; i < KIN__RING_SIZE; i++)
        CHECK(kin__ring_put(&ring, &task[i]));
    CHECK(!kin__ring_put(&ring, &task[KIN__RING_SIZE]));
    CHECK_EQ(kin__ring_spill(&ring, &queue), KIN__RING_SIZE / 2);
    for (unsigned i = 0; i < KIN__RING_SIZE / 2; i++)
        CHECK_EQ(number_of(kin__task_queue_pop(&queue)), i);
    CHECK(!kin__task_queue_pop(&queue));
    CHECK_EQ(number_of(kin__ring_take(&ring)), KIN__RING_SIZE / 2);
}

TEST(a_thief_takes_half_and_the_oldest)
{
    CHECK(!kin__ring_steal(&ring, &other));
    for (unsigned i = 0; i < 2; i++)
        CHECK(kin__ring_put(&ring, &task[i]));
    CHECK_EQ(number_of(kin__ring_steal(&ring, &other)), 0);
    CHECK(kin__ring_is_empty(&other));
    CHECK_EQ(number_of(kin__ring_steal(&ring, &other)), 1);
    CHECK(kin__ring_is_empty(&ring));
    if (KIN__RING_SIZE < 8)
        return;
    for (unsigned i = 0; i < 7; i++)
        CHECK(kin__ring_put(&ring, &task[i]));
    CHECK_EQ(number_of(kin__ring_steal(&ring, &other)), 0);
    for (unsigned i = 1; i < 4; i++)
        CHECK_EQ(number_of(kin__ring_take(&other)), i);
    CHECK(!kin__ring_take(&other));
    CHECK_EQ(number_of(kin__ring_take(&ring)), 4);
}

TEST(the_slot_holds_one_and_hands_back_the_one_before)
{
    CHECK(!kin__slot_take(&ring));
    CHECK(!kin__slot_put(&ring, &task[1]));
    CHECK_EQ(number_of(kin__slot_put(&ring, &task[2])), 1);
    CHECK_EQ(number_of(kin__slot_peek(&ring)), 2);
    CHECK(!kin__slot_steal(&ring, &task[1]));       /* not that one any more */
    CHECK_EQ(number_of(kin__slot_steal(&ring, &task[2])), 2);
    CHECK(!kin__slot_steal(&ring, NULL));
    CHECK(kin__slot_is_empty(&ring));
}

/* --- Under thieves -------------------------------------------------------- */

static struct kin__ring own[THIEVES];

static struct kin_task *steal(int n)
{
    struct kin_task *t = kin__ring_steal(&ring, &own[n]);

    return t ? t : kin__slot_steal(&ring, kin__slot_peek(&ring));
}

static struct kin_task *take_own(int n)
{
    return kin__ring_take(&own[n]);
}

static void play_owner(void)
{
    struct kin__task_queue spilled = { NULL, NULL };
    struct kin_task *t;

    for (int i = 0; i < TASKS; i++) {
        t = fresh_task(i);
        if (i % 3 == 0)
            t = kin__slot_put(&ring, t);
        if (t && !kin__ring_put(&ring, t)) {
            kin__ring_spill(&ring, &spilled);
            CHECK(kin__ring_put(&ring, t));
        }
        count_spilled(&spilled);
        if (i % 2 && (t = kin__ring_take(&ring)) != NULL)
            count_one(t);
    }
    while ((t = kin__ring_take(&ring)) || (t = kin__slot_take(&ring)))
        count_one(t);
}

TEST(under_thieves_each_task_is_had_once)
{
    play_under_thieves(&(struct theft){ steal, take_own, play_owner });
}

TEST_MAIN
