/* core_timer_test.c -- timers fire by deadline, equal deadlines in the order
 * they were armed (R11.2); a disarmed one does not fire; and when disarm has
 * returned, nobody has his hands on the timer any more.  Orders are compared
 * with a sorted copy; the races run for a fixed number of rounds. */
#include "tests/check.h"

#include "core/memory.h"
#include "core/parker.h"
#include "core/timer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

TEST_TIMEOUT(120);

struct probe {
    struct kin_timer timer;         /* first                                 */
    int number;
    int fired;
};

static int order[200000];
static int fired_count;

static void note(struct kin_timer *timer)
{
    struct probe *probe = (struct probe *)timer;

    probe->fired++;
    order[fired_count++] = probe->number;
}

static unsigned long seed = 12345;

static unsigned next_random(void)
{
    seed = seed * 6364136223846793005ul + 1442695040888963407ul;
    return (unsigned)(seed >> 33);
}

static struct probe *make_probes(int n)
{
    struct probe *probes = calloc((size_t)n, sizeof *probes);

    CHECK(probes);
    for (int i = 0; i < n; i++) {
        probes[i].timer.fire = note;
        probes[i].number = i;
    }
    return probes;
}

TEST(an_empty_one_has_no_deadline_and_fires_nothing)
{
    struct kin__timers timers = { 0 };

    CHECK_EQ(kin__timers_earliest(&timers), KIN_NEVER);
    CHECK_EQ(kin__timers_fire(&timers, KIN_NEVER), 0);
    CHECK(!kin__timers_take(&timers));
    kin__timers_destroy(&timers);
}

TEST(timers_fire_by_deadline)
{
    struct kin__timers timers = { 0 };
    struct probe *p = make_probes(3);

    CHECK_EQ(kin__timers_arm(&timers, &p[0].timer, 30), 0);
    CHECK_EQ(kin__timers_arm(&timers, &p[1].timer, 10), 0);
    CHECK_EQ(kin__timers_arm(&timers, &p[2].timer, 20), 0);
    CHECK_EQ(kin__timers_earliest(&timers), 10);
    CHECK_EQ(kin__timers_fire(&timers, 9), 0);
    CHECK_EQ(kin__timers_fire(&timers, 20), 2);
    CHECK_EQ(order[0], 1);
    CHECK_EQ(order[1], 2);
    CHECK_EQ(kin__timers_earliest(&timers), 30);
    CHECK_EQ(kin__timers_fire(&timers, 30), 1);
    CHECK_EQ(kin__timers_earliest(&timers), KIN_NEVER);
    kin__timers_destroy(&timers);
    free(p);
}

/* S159 */
TEST(equal_deadlines_fire_in_the_order_of_arming)
{
    enum { N = 10000 };
    struct kin__timers timers = { 0 };
    struct probe *p = make_probes(N);
    int last[16];

    for (int i = 0; i < N; i++)
        CHECK_EQ(kin__timers_arm(&timers, &p[i].timer, next_random() % 16), 0);
    memset(last, -1, sizeof last);
    CHECK_EQ(kin__timers_fire(&timers, 15), N);
    for (int i = 0; i < N; i++) {
        int64_t deadline = p[order[i]].timer.deadline;

        CHECK(i == 0 || p[order[i - 1]].timer.deadline <= deadline);
        CHECK(last[deadline] < order[i]);
        last[deadline] = order[i];
    }
    kin__timers_destroy(&timers);
    free(p);
}

TEST(never_arms_nothing)
{
    struct kin__timers timers = { 0 };
    struct probe *p = make_probes(1);

    CHECK_EQ(kin__timers_arm(&timers, &p->timer, KIN_NEVER), 0);
    CHECK_EQ(kin__timers_earliest(&timers), KIN_NEVER);
    CHECK(!kin__timers_disarm(&p->timer));
    CHECK_EQ(kin__timers_arm(&timers, &p->timer, 5), 0);
    CHECK_EQ(kin__timers_arm(&timers, &p->timer, KIN_NEVER), 0);
    CHECK_EQ(kin__timers_fire(&timers, 100), 0);
    kin__timers_destroy(&timers);
    free(p);
}

TEST(arming_again_moves_a_timer)
{
    struct kin__timers timers = { 0 };
    struct probe *p = make_probes(1);

    CHECK_EQ(kin__timers_arm(&timers, &p->timer, 10), 0);
    CHECK_EQ(kin__timers_arm(&timers, &p->timer, 20), 0);
    CHECK_EQ(kin__timers_earliest(&timers), 20);
    CHECK_EQ(kin__timers_fire(&timers, 10), 0);
    CHECK_EQ(kin__timers_fire(&timers, 20), 1);
    kin__timers_destroy(&timers);
    free(p);
}

/* A model: an array of deadlines, of which the least is searched. */
TEST(a_hundred_thousand_random_steps_agree_with_a_plain_array)
{
    enum { N = 300 };
    struct kin__timers timers = { 0 };
    struct probe *p = make_probes(N);
    int64_t model[N];
    int64_t now = 0;

    for (int i = 0; i < N; i++)
        model[i] = KIN_NEVER;
    for (int step = 0; step < 100000; step++) {
        unsigned i = next_random() % N, what = next_random() % 8;
        int64_t least = KIN_NEVER;

        if (what < 4) {
            model[i] = now + (int64_t)(next_random() % 1000);
            CHECK_EQ(kin__timers_arm(&timers, &p[i].timer, model[i]), 0);
        } else if (what < 7) {
            CHECK_EQ(kin__timers_disarm(&p[i].timer), model[i] != KIN_NEVER);
            model[i] = KIN_NEVER;
        } else {
            now += (int64_t)(next_random() % 20);
            fired_count = 0;
            kin__timers_fire(&timers, now);
            for (int k = 0; k < fired_count; k++) {
                CHECK(model[order[k]] <= now);
                model[order[k]] = KIN_NEVER;
            }
        }
        for (int k = 0; k < N; k++)
            least = model[k] < least ? model[k] : least;
        CHECK_EQ(kin__timers_earliest(&timers), least);
    }
    for (int i = 0; i < N; i++)
        kin__timers_disarm(&p[i].timer);
    kin__timers_destroy(&timers);
    free(p);
}

TEST(the_memory_of_many_timers_is_given_back)
{
    enum { N = 100000 };
    struct kin__timers timers = { 0 };
    struct probe *p = make_probes(N);

    for (int i = 0; i < N; i++)
        CHECK_EQ(kin__timers_arm(&timers, &p[i].timer, next_random()), 0);
    CHECK(timers.capacity > N);
    for (int i = N; i-- > 0;)
        CHECK(kin__timers_disarm(&p[i].timer));
    CHECK_EQ(timers.capacity, 0);
    CHECK_EQ(kin__timers_arm(&timers, &p[0].timer, 1), 0);
    CHECK_EQ(kin__timers_fire(&timers, 1), 1);
    kin__timers_destroy(&timers);
    free(p);
}

TEST(without_memory_arming_fails_and_changes_nothing)
{
    enum { N = 1000 };
    struct kin__timers timers = { 0 };
    struct probe *p = make_probes(N);
    int armed = 0;

    kin__fail_at(2, true);
    while (armed < N
           && kin__timers_arm(&timers, &p[armed].timer, armed) == 0)
        armed++;
    CHECK(armed > 0 && armed < N);
    CHECK_EQ(kin__timers_arm(&timers, &p[armed].timer, 0), KIN_ENOMEM);
    kin__fail_at(0, false);
    CHECK(!kin__timers_disarm(&p[armed].timer));
    CHECK_EQ(kin__timers_fire(&timers, N), armed);
    kin__timers_destroy(&timers);
    free(p);
}

static struct kin__timers shared;

static void rearm(struct kin_timer *timer)
{
    struct probe *probe = (struct probe *)timer;

    CHECK(!kin__timers_disarm(timer));      /* at once, in its own fire */
    if (++probe->fired < 3)
        CHECK_EQ(kin__timers_arm(&shared, timer, timer->deadline + 1), 0);
}

TEST(a_timer_may_disarm_and_arm_itself_while_it_fires)
{
    struct probe *p = make_probes(1);

    p->timer.fire = rearm;
    CHECK_EQ(kin__timers_arm(&shared, &p->timer, 1), 0);
    CHECK_EQ(kin__timers_fire(&shared, 2), 2);
    CHECK(kin__timers_disarm(&p->timer));
    kin__timers_destroy(&shared);
    free(p);
}

static void fire_more(struct kin_timer *timer)
{
    (void)timer;
    CHECK_EQ(kin__timers_fire(&shared, KIN_NEVER), 0);
}

TEST(only_one_fires_at_a_time)
{
    struct probe *p = make_probes(2);

    p[0].timer.fire = fire_more;
    CHECK_EQ(kin__timers_arm(&shared, &p[0].timer, 1), 0);
    CHECK_EQ(kin__timers_arm(&shared, &p[1].timer, 1), 0);
    CHECK_EQ(kin__timers_fire(&shared, 1), 2);
    kin__timers_destroy(&shared);
    free(p);
}

/* --- Races: the memory of the timer is the witness ------------------------ */

enum { ROUNDS = 20000 };
static _Atomic bool over;
static struct kin__timers elsewhere;

static void *fires(void *unused)
{
    (void)unused;
    while (!atomic_load_explicit(&over, memory_order_acquire))
        kin__timers_fire(&shared, kin_now());
    return NULL;
}

static void touch(struct kin_timer *timer)
{
    struct probe *probe = (struct probe *)timer;

    probe->fired++;
    for (int i = 0; i < 20; i++)
        KIN__CPU_RELAX();
    probe->fired++;                 /* after disarm: a write to freed memory */
}

TEST(disarm_waits_for_the_fire_function_on_another_thread)
{
    pthread_t thread;
    int fired = 0;

    CHECK_EQ(pthread_create(&thread, NULL, fires, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct probe *p = calloc(1, sizeof *p);

        CHECK(p);
        p->timer.fire = touch;
        CHECK_EQ(kin__timers_arm(&shared, &p->timer,
                                 kin_now() + next_random() % 2000), 0);
        for (unsigned k = next_random() % 100; k > 0; k--)
            KIN__CPU_RELAX();
        if (kin__timers_disarm(&p->timer))
            CHECK_EQ(p->fired, 0);
        else
            CHECK_EQ(p->fired, 2);
        fired += p->fired / 2;
        free(p);
    }
    atomic_store_explicit(&over, true, memory_order_release);
    pthread_join(thread, NULL);
    kin__timers_destroy(&shared);
    CHECK(fired <= ROUNDS);
}

/* A loop that closes hands its timers over (R14.5). */
static void *hands_over(void *unused)
{
    struct kin_timer *timer;

    (void)unused;
    while (!atomic_load_explicit(&over, memory_order_acquire))
        while ((timer = kin__timers_take(&shared)) != NULL)
            CHECK_EQ(kin__timers_arm(&elsewhere, timer, timer->deadline), 0);
    return NULL;
}

TEST(disarm_finds_a_timer_that_is_moved_meanwhile)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, hands_over, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct probe *p = calloc(1, sizeof *p);

        CHECK(p);
        p->timer.fire = touch;
        CHECK_EQ(kin__timers_arm(&shared, &p->timer, 1), 0);
        for (unsigned k = next_random() % 100; k > 0; k--)
            KIN__CPU_RELAX();
        CHECK(kin__timers_disarm(&p->timer));
        free(p);
    }
    atomic_store_explicit(&over, true, memory_order_release);
    pthread_join(thread, NULL);
    CHECK_EQ(kin__timers_earliest(&elsewhere), KIN_NEVER);
    kin__timers_destroy(&shared);
    kin__timers_destroy(&elsewhere);
}

TEST_MAIN
