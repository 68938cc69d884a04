/* race.h -- two threads that do something at the same time, over and over.
 *
 *     struct round { kin_job *job; int completed; };
 *
 *     TEST(completing_against_cancelling_ends_in_one_of_both)
 *     {
 *         RACE(make_job, complete_it, cancel_it, check_it,
 *              "completed", "cancelled");
 *     }
 *
 * Each of the four is given the round, zeroed at first.  begin, left and end
 * are played by one thread, right by another, left and right at the same time,
 * each after a pause of random length, so that now the one and now the other
 * is first.  They are called on a fiber of the thread's own event loop, and may
 * suspend.
 *
 * RACE_SETTLED has one more function after begin: rounds are played only when
 * settled says of each that what begin has launched is where it is to be.
 *
 * Rounds come in batches: all begin, all are played, all end.  Within a batch
 * the two threads keep in step as long as both have a processor, and do not
 * wait for each other where they have not: a meeting for each round would cost
 * a time slice each on a busy machine.  Some batches are played one after the
 * other, so that both orders happen on any machine.
 *
 * end tells how the round came out with saw(outcome), which counts from 0;
 * each of the outcomes must have been seen when all rounds are over, unless
 * they run in an emulator, or its name begins with '?': that one needs two
 * processors to itself.  No heap block, no mapping and no stack may be left
 * over: what there is after a fifth of the rounds is all that there is after
 * the last.
 *
 * The pauses and draws come from KIN_SEED. */
#ifndef KIN_TESTS_RACE_H
#define KIN_TESTS_RACE_H

#include "core/memory.h"
#include "core/spin.h"
#include "tests/rounds.h"
#include "tests/words.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { RACE_BATCH = 64, RACE_OUTCOMES = 8 };

struct round;

struct race {
    void (*begin)(struct round *round);
    bool (*settled)(struct round *round);       /* or NULL                   */
    void (*left)(struct round *round);
    void (*right)(struct round *round);
    void (*end)(struct round *round);
    size_t size;                    /* of a struct round                     */
    int rounds;
    const char *outcomes[RACE_OUTCOMES];
};

/* begin, left, right, end, and the names of the outcomes. */
#define RACE(begin, left, right, end, ...)                                \
    RACE_SETTLED(begin, NULL, left, right, end, __VA_ARGS__)
#define RACE_SETTLED(begin, settled, left, right, end, ...)               \
    RACE_ALL(RACE_ROUNDS, begin, settled, left, right, end, __VA_ARGS__)
#define RACE_ALL(n, b, s, l, r, e, ...)                                   \
    run_race(&(struct race){                                              \
        .begin = (b), .settled = (s), .left = (l), .right = (r),          \
        .end = (e),                                                       \
        .size = sizeof(struct round), .rounds = (n),                      \
        .outcomes = { __VA_ARGS__ } })

struct race_side {
    uint32_t state;                 /* of its random numbers                 */
    atomic_int at;                  /* the round it plays                    */
    bool in_step;                   /* it was, with the other side           */
    kin_dispatcher *loop;           /* of its thread                         */
    kin_continuation continuation;  /* while it waits for the other side     */
};
static struct race_side race_left, race_right;
static _Atomic(struct race_side *) race_waits;

static const struct race *race_now;
static char *race_batch;            /* its rounds                            */
static int race_count;              /* how many; 0: it is over               */
static enum { TOGETHER, LEFT_FIRST, RIGHT_FIRST } race_order;
static long race_seen[RACE_OUTCOMES];

/* --- Numbers ------------------------------------------------------------ */

/* From 0 to below n: for begin, left and end, and for right. */
UNUSED static uint32_t draw(uint32_t n)
{
    return (race_next(&race_left.state) >> 8) % n;
}

UNUSED static uint32_t draw_right(uint32_t n)
{
    return (race_next(&race_right.state) >> 8) % n;
}

static inline void saw(int outcome)
{
    race_seen[outcome]++;
}

/* --- Dispatchers -------------------------------------------------------- */

static inline kin_dispatcher *race_loop(void)
{
    KIN_AUTO(kin_context) context = NULL;
    MUST(kin_current_context(&context));
    return kin_context_get(context, &kin_key_dispatcher);
}

/* One of all kinds, borrowed; mostly those that cost little. */
UNUSED static kin_dispatcher *some_dispatcher(void)
{
    uint32_t random = draw(16);

    if (random < 8)
        return kin_unconfined();
    if (random < 15)
        return random % 2 ? race_left.loop : race_right.loop;
    return draw(2) ? kin_default() : kin_io();
}

/* --- Meeting ------------------------------------------------------------ */

/* Parks, unless the other side is there: then both go on. */
static inline int race_arrive(kin_continuation continuation, void *arg)
{
    struct race_side *self = arg, *other = NULL;

    self->continuation = continuation;
    if (atomic_compare_exchange_strong(&race_waits, &other, self))
        return 0;
    atomic_store(&race_waits, NULL);
    MUST(kin_resume(other->continuation, 0));
    MUST(kin_resume(continuation, 0));
    return 0;
}

KIN_SUSPENDS
static inline void race_meet(struct race_side *self)
{
    MUST(kin_suspend(race_arrive, self));
}

/* Of a while: as likely some nanoseconds as some microseconds. */
static inline int race_length(struct race_side *side)
{
    uint32_t random = race_next(&side->state);

    return (int)((random >> 16) % (1u << (random >> 8) % 13));
}

static inline void race_spin(int length)
{
    for (volatile int i = length; i > 0; i = i - 1)
        ;
}

static inline void race_pause(struct race_side *side)
{
    race_spin(race_length(side));
}

/* Both come to round i at nearly the same time, if they have been in step: one
 * that is not running now is not waited for again before it has caught up. */
static inline void race_step(struct race_side *self, struct race_side *other,
                             int i)
{
    int patience = i == 0 || self->in_step ? 2000 : 0;
    int yields = i == 0 ? 200 : 0;

    atomic_store(&self->at, i);
    while (atomic_load(&other->at) < i && patience-- > 0)
        KIN__CPU_RELAX();
    while (atomic_load(&other->at) < i && yields-- > 0)
        sched_yield();
    self->in_step = atomic_load(&other->at) >= i;
    race_pause(self);
}

static inline struct round *race_at(int i)
{
    return (struct round *)(race_batch + (size_t)i * race_now->size);
}

static inline void race_play(struct race_side *self, struct race_side *other,
                             void (*play)(struct round *round))
{
    for (int i = 0; i < race_count; i++) {
        if (race_order == TOGETHER)
            race_step(self, other, i);
        play(race_at(i));
    }
}

/* Each side keeps to a processor of its own: a thread that is woken is often
 * put where its waker runs, and then one would play after the other. */
static inline void race_pin(int nth)
{
    cpu_set_t allowed, one;

    CPU_ZERO(&allowed);
    CPU_ZERO(&one);
    if (pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed) != 0
        || CPU_COUNT(&allowed) < 2)
        return;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && nth-- == 0)
            CPU_SET(cpu, &one);
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

/* The threads of Default and IO are not to be pinned with those that start
 * them. */
static inline void race_start_workers(void)
{
    kin_job *jobs[4];

    for (int i = 0; i < 4; i++)
        jobs[i] = LAUNCH(kin_global_scope(), do_nothing, NULL,
                         .dispatcher = i % 2 ? kin_default() : kin_io());
    for (int i = 0; i < 4; i++) {
        wait_for_job(jobs[i]);
        kin_job_release(jobs[i]);
    }
}

/* --- The rounds --------------------------------------------------------- */

struct race_mark {
    long blocks;                    /* of the heap                           */
    size_t records;                 /* bytes mapped, but for stacks          */
    size_t stacks;                  /* live ones                             */
};

static inline struct race_mark race_mark(void)
{
    struct kin__memory_stats memory;
    kin_stack_stats stacks;

    kin__memory_get_stats(&memory);
    MUST(kin_stack_get_stats(&stacks));
    return (struct race_mark){
        memory.blocks, memory.bytes_mapped - stacks.bytes_mapped, stacks.live
    };
}

/* A little may be on its way still: workers let go after others go on; and each
 * worker that was started maps a stack for signals. */
static inline void race_check_mark(struct race_mark before)
{
    struct race_mark now = race_mark();

    if (now.blocks > before.blocks + 64)
        FAIL("%ld heap blocks, before %ld", now.blocks, before.blocks);
    if (now.records > before.records + (8 << 20))
        FAIL("%zu bytes of records, before %zu", now.records, before.records);
    if (now.stacks > before.stacks + 64)
        FAIL("%zu live stacks, before %zu", now.stacks, before.stacks);
}

static inline void race_each(void (*play)(struct round *round))
{
    for (int i = 0; i < race_count; i++)
        play(race_at(i));
}

/* The other loops are at work: both sides are parked, or yield. */
KIN_SUSPENDS
static inline void race_settle(void)
{
    for (int i = 0; race_now->settled && i < race_count; i++)
        for (int n = 1; !race_now->settled(race_at(i)); n++) {
            MUST(kin_yield());
            if (n % 8 == 0)
                MUST(kin_delay(KIN_US(20)));
        }
}

/* What the left does of a batch.  One side after the other: a third meeting,
 * between them. */
KIN_SUSPENDS
static inline void race_play_batch(int batch)
{
    memset(race_batch, 0, (size_t)RACE_BATCH * race_now->size);
    race_order = batch % 8 == 3 ? LEFT_FIRST
               : batch % 8 == 7 ? RIGHT_FIRST : TOGETHER;
    atomic_store(&race_left.at, -1);
    atomic_store(&race_right.at, -1);
    race_each(race_now->begin);
    race_settle();
    race_meet(&race_left);
    if (race_order == RIGHT_FIRST)
        race_meet(&race_left);
    race_play(&race_left, &race_right, race_now->left);
    atomic_store(&race_left.at, race_count);
    if (race_order == LEFT_FIRST)
        race_meet(&race_left);
    race_meet(&race_left);
    race_each(race_now->end);
}

BODY(race_play_left)
{
    int left = race_rounds(race_now->rounds), batches;
    struct race_mark mark = { 0 };

    batches = (left + RACE_BATCH - 1) / RACE_BATCH;
    race_pin(0);
    race_left.loop = race_loop();
    race_meet(&race_left);
    for (int batch = 0; batch < batches; batch++, left -= race_count) {
        race_count = left < RACE_BATCH ? left : RACE_BATCH;
        race_play_batch(batch);
        if (batch == batches / 5)
            mark = race_mark();
    }
    race_check_mark(mark);
    race_count = 0;
    race_meet(&race_left);
    return 0;
}

BODY(race_play_right)
{
    race_pin(1);
    race_right.loop = race_loop();
    race_meet(&race_right);
    for (;;) {
        race_meet(&race_right);
        if (!race_count)
            return 0;
        if (race_order == LEFT_FIRST)
            race_meet(&race_right);
        race_play(&race_right, &race_left, race_now->right);
        atomic_store(&race_right.at, race_count);
        if (race_order == RIGHT_FIRST)
            race_meet(&race_right);
        race_meet(&race_right);
    }
}

static inline void *race_run_right(UNUSED void *arg)
{
    MUST(kin_run_blocking(race_play_right, NULL));
    return NULL;
}

static inline void race_tell(const struct race *race)
{
    for (int i = 0; i < RACE_OUTCOMES && race->outcomes[i]; i++)
        printf("%s%s %ld", i ? ", " : "  ", race->outcomes[i], race_seen[i]);
    printf("\n");
    for (int i = 0; i < RACE_OUTCOMES && race->outcomes[i]; i++)
        if (check_slow(1) <= 4 && *race->outcomes[i] != '?' && !race_seen[i])
            FAIL("never seen: %s", race->outcomes[i]);
}

UNUSED static void run_race(const struct race *race)
{
    pthread_t right;

    race_now = race;
    race_batch = calloc(RACE_BATCH, race->size);
    CHECK(race_batch);
    race_left.state = race_seed(1);
    race_right.state = race_seed(2);
    kin__memory_watch(true);
    race_start_workers();
    right = start_thread(race_run_right, NULL);
    MUST(kin_run_blocking(race_play_left, NULL));
    pthread_join(right, NULL);
    race_tell(race);
    free(race_batch);
}

#endif
