/* dispatch_queue_fuzz.c -- timers and run queues against the simplest thing
 * that does the same.
 *
 * Timers (core/timer.h), many of them, of which each byte arms, moves, disarms
 * or fires some, against a list that is searched; among those of one deadline
 * the one armed first fires first.  Callbacks arm and disarm others, too.  The
 * ring (dispatch/ring.h), its slot and a thief's ring, and task queues, against
 * arrays.  On one thread: what several do to each other is the business of
 * dispatch/ring.pml and of the stress tests. */
#include "tests/fuzz.h"

#include "core/timer.h"
#include "dispatch/ring.h"

#include <string.h>

static struct fuzz_bytes bytes;

/* --- Timers --------------------------------------------------------------- */

enum { TIMERS = 300, HEAPS = 2, SPAN = 16 };

struct alarm {
    struct kin_timer timer;             /* first                             */
    int heap;                           /* the model: -1: not armed          */
    int64_t deadline;
    uint64_t order;                     /* when it was armed                 */
};

static struct kin__timers heaps[HEAPS];
static struct alarm alarms[TIMERS];
static uint64_t orders;
static int64_t now;
static int firing;                      /* which heap; -1: none              */

static bool is_before(const struct alarm *a, const struct alarm *b)
{
    return a->deadline != b->deadline ? a->deadline < b->deadline
                                      : a->order < b->order;
}

/* The first of a heap, or NULL. */
static struct alarm *first_of(int heap)
{
    struct alarm *first = NULL;

    for (int i = 0; i < TIMERS; i++)
        if (alarms[i].heap == heap && (!first || is_before(&alarms[i], first)))
            first = &alarms[i];
    return first;
}

static void check_earliest(int heap)
{
    struct alarm *first = first_of(heap);

    HOLDS(kin__timers_earliest(&heaps[heap])
          == (first ? first->deadline : KIN_NEVER));
}

static struct alarm *any_alarm(void)
{
    unsigned low = fuzz_byte(&bytes);

    return &alarms[(low | (low & 3) << 8) % TIMERS];
}

static int64_t any_deadline(void)
{
    unsigned byte = fuzz_byte(&bytes);

    switch (byte >> 5) {
    case 0:
        return KIN_NEVER;
    case 1:
        return now;
    case 2:
        return now - (int64_t)(byte & 31);
    default:
        return now + (int64_t)(byte & (SPAN - 1));
    }
}

static void arm(struct alarm *alarm, int heap)
{
    int64_t deadline = any_deadline();

    HOLDS(kin__timers_arm(&heaps[heap], &alarm->timer, deadline) == 0);
    alarm->heap = deadline == KIN_NEVER ? -1 : heap;
    alarm->deadline = deadline;
    alarm->order = ++orders;
}

static void disarm(struct alarm *alarm)
{
    HOLDS(kin__timers_disarm(&alarm->timer) == (alarm->heap >= 0));
    alarm->heap = -1;
}

static void fire(struct kin_timer *timer)
{
    struct alarm *alarm = (struct alarm *)timer;

    HOLDS(alarm == first_of(firing));
    HOLDS(alarm->deadline <= now);
    alarm->heap = -1;
    switch (fuzz_byte(&bytes) % 8) {
    case 0:
        arm(any_alarm(), firing);
        break;
    case 1:
        disarm(any_alarm());
        break;
    case 2:
        HOLDS(kin__timers_fire(&heaps[firing], now) == 0);
        break;
    default:
        break;
    }
}

static void fire_due(int heap)
{
    size_t fired;

    now += (int64_t)(fuzz_byte(&bytes) % SPAN);
    firing = heap;
    fired = kin__timers_fire(&heaps[heap], now);
    firing = -1;
    HOLDS(!first_of(heap) || first_of(heap)->deadline > now);
    HOLDS(fired <= orders);
}

/* All of one heap to the other, as a loop that is closed does it. */
static void carry_over(int heap)
{
    struct kin_timer *timer;

    while ((timer = kin__timers_take(&heaps[heap])) != NULL) {
        struct alarm *alarm = (struct alarm *)timer;

        HOLDS(alarm == first_of(heap));
        HOLDS(kin__timers_arm(&heaps[1 - heap], timer, alarm->deadline) == 0);
        alarm->heap = 1 - heap;
        alarm->order = ++orders;
    }
}

static void arm_many(int heap)
{
    unsigned n = fuzz_byte(&bytes);

    for (unsigned i = 0; i < n; i++) {
        struct alarm *alarm = &alarms[(i * 37) % TIMERS];

        HOLDS(kin__timers_arm(&heaps[heap], &alarm->timer,
                              now + (int64_t)(i % SPAN)) == 0);
        alarm->heap = heap;
        alarm->deadline = now + (int64_t)(i % SPAN);
        alarm->order = ++orders;
    }
}

static void step_of_timers(unsigned what)
{
    int heap = (int)(what >> 3 & 1);

    switch (what % 8) {
    case 0: case 1: case 2:
        arm(any_alarm(), heap);
        break;
    case 3:
        disarm(any_alarm());
        break;
    case 4:
        arm_many(heap);
        break;
    case 5:
        carry_over(heap);
        break;
    default:
        fire_due(heap);
        break;
    }
    check_earliest(0);
    check_earliest(1);
}

static void begin_timers(void)
{
    memset(alarms, 0, sizeof alarms);
    memset(heaps, 0, sizeof heaps);
    orders = 0;
    now = 1000;
    firing = -1;
    for (int i = 0; i < TIMERS; i++) {
        alarms[i].heap = -1;
        alarms[i].timer.fire = fire;
    }
}

static void end_timers(void)
{
    bytes.next = bytes.end;
    for (int i = 0; i < TIMERS; i++)
        disarm(&alarms[i]);
    for (int i = 0; i < HEAPS; i++)
        kin__timers_destroy(&heaps[i]);
}

/* --- Run queues ----------------------------------------------------------- */

enum { TASKS = 2048, RINGS = 2 };

struct fifo {                           /* the model of a queue              */
    int from, to;
    struct kin_task *task[TASKS];
};

static struct kin_task tasks[TASKS];
static int given;
static struct kin__ring rings[RINGS];
static struct fifo in_ring[RINGS], in_queue;
static struct kin_task *in_slot[RINGS];
static struct kin__task_queue queue;

/* What was popped has made room at the front. */
static void push(struct fifo *fifo, struct kin_task *task)
{
    if (fifo->to == TASKS) {
        fifo->to -= fifo->from;
        memmove(fifo->task, fifo->task + fifo->from,
                (size_t)fifo->to * sizeof *fifo->task);
        fifo->from = 0;
    }
    fifo->task[fifo->to++] = task;
}

static struct kin_task *pop(struct fifo *fifo)
{
    return fifo->from < fifo->to ? fifo->task[fifo->from++] : NULL;
}

static int count(const struct fifo *fifo)
{
    return fifo->to - fifo->from;
}

static void put(int r)
{
    struct kin_task *task = &tasks[given];
    bool fits = count(&in_ring[r]) < (int)KIN__RING_SIZE;

    HOLDS(kin__ring_put(&rings[r], task) == fits);
    if (!fits)
        return;
    push(&in_ring[r], task);
    given++;
}

static void put_into_slot(int r, bool quietly)
{
    struct kin_task *task = &tasks[given++];

    if (quietly && !in_slot[r]) {
        kin__slot_put_quietly(&rings[r], task);
    } else {
        struct kin_task *before = kin__slot_put(&rings[r], task);

        HOLDS(before == in_slot[r]);
        if (before) {
            push(&in_queue, before);
            kin__task_queue_push(&queue, before);
        }
    }
    in_slot[r] = task;
}

static void take_slot(int r, bool steals)
{
    struct kin_task *seen = kin__slot_peek(&rings[r]);

    HOLDS(seen == in_slot[r]);
    HOLDS(kin__slot_is_empty(&rings[r]) == !seen);
    HOLDS((steals ? kin__slot_steal(&rings[r], seen)
                  : kin__slot_take(&rings[r])) == seen);
    in_slot[r] = NULL;
}

/* The half of it, the older one; the other ring must be empty for that. */
static void steal(int r)
{
    struct fifo *from = &in_ring[r], *to = &in_ring[1 - r];
    int n = count(from) - count(from) / 2;

    if (count(to) > 0)
        return;
    HOLDS(kin__ring_steal(&rings[r], &rings[1 - r]) == pop(from));
    for (int i = 1; i < n; i++)
        push(to, pop(from));
}

static void spill(int r)
{
    int n = count(&in_ring[r]) < (int)KIN__RING_SIZE / 2
        ? count(&in_ring[r]) : (int)KIN__RING_SIZE / 2;

    HOLDS(kin__ring_spill(&rings[r], &queue) == (size_t)n);
    for (int i = 0; i < n; i++)
        push(&in_queue, pop(&in_ring[r]));
}

static void fill(int r)
{
    int n = (int)(fuzz_byte(&bytes) % KIN__RING_SIZE);

    if (count(&in_ring[r]) > 0)
        return;
    n = n < count(&in_queue) ? n : count(&in_queue);
    kin__ring_fill(&rings[r], &queue, (uint32_t)n);
    for (int i = 0; i < n; i++)
        push(&in_ring[r], pop(&in_queue));
}

static void step_of_queues(unsigned what)
{
    int r = (int)(what >> 3 & 1);

    switch (what % 8) {
    case 0:
        for (unsigned n = fuzz_byte(&bytes); n > 0 && given < TASKS / 2; n--)
            put(r);
        break;
    case 1:
        put(r);
        break;
    case 2:
        put_into_slot(r, (what & 16) != 0);
        break;
    case 3:
        take_slot(r, (what & 16) != 0);
        break;
    case 4:
        HOLDS(kin__ring_take(&rings[r]) == pop(&in_ring[r]));
        break;
    case 5:
        steal(r);
        break;
    case 6:
        spill(r);
        break;
    default:
        fill(r);
        break;
    }
    for (int i = 0; i < RINGS; i++)
        HOLDS(kin__ring_is_empty(&rings[i]) == (count(&in_ring[i]) == 0));
    HOLDS(kin__task_queue_is_empty(&queue) == (count(&in_queue) == 0));
}

static void begin_queues(void)
{
    given = 0;
    memset(rings, 0, sizeof rings);
    memset(in_slot, 0, sizeof in_slot);
    for (int i = 0; i < RINGS; i++) {
        in_ring[i].from = in_ring[i].to = 0;
        rings[i].head = rings[i].tail = UINT32_MAX - fuzz_byte(&bytes);
    }
    in_queue.from = in_queue.to = 0;
    queue = (struct kin__task_queue){ NULL, NULL };
}

/* Everything that was put in is still there, in its order. */
static void end_queues(void)
{
    for (int r = 0; r < RINGS; r++) {
        take_slot(r, false);
        while (count(&in_ring[r]) > 0)
            HOLDS(kin__ring_take(&rings[r]) == pop(&in_ring[r]));
        HOLDS(!kin__ring_take(&rings[r]));
    }
    while (count(&in_queue) > 0)
        HOLDS(kin__task_queue_pop(&queue) == pop(&in_queue));
    HOLDS(!kin__task_queue_pop(&queue));
}

/* --- All of it ------------------------------------------------------------ */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes = (struct fuzz_bytes){ data, data + size };
    begin_timers();
    begin_queues();
    while (!fuzz_is_over(&bytes) && given < TASKS - 1) {
        unsigned what = fuzz_byte(&bytes);

        if (what & 128)
            step_of_timers(what);
        else
            step_of_queues(what);
    }
    end_queues();
    end_timers();
    return 0;
}
