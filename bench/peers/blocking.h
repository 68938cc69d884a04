/* blocking.h -- the workloads for libraries that have the shape of pthreads:
 * threads (of whatever kind) that are spawned, joined and cancelled, locks and
 * conditions.  Included once, after these were defined:
 *
 *     thread, lock, condition                  types
 *     thread spawn(void *(*body)(void *), void *arg)       0 if it cannot
 *     void *join(thread), what its body returned
 *     give_way, sleep_ms
 *     int sleep_for_ever(void), which cancel(thread) ends: by an error, after
 *                              which the body returns CANCELLED, or for good
 *     lock_init, lock_take, lock_give
 *     condition_init, condition_wait, condition_signal, condition_broadcast
 *     MOST, MOST_WHY                           how many, and why no more
 *
 * What is shared is atomic because with pthreads it has to be. */
#include "bench/peers/peer.h"

#include <errno.h>

static inline int64_t add(int64_t *to, int64_t n)
{
    return __atomic_add_fetch(to, n, __ATOMIC_RELAXED);
}

static inline int64_t load(int64_t *from)
{
    return __atomic_load_n(from, __ATOMIC_RELAXED);
}

static void *room_for(long n, size_t size)
{
    void *room;

    if (n > MOST)
        peer_cannot("%s", MOST_WHY);
    room = calloc((size_t)(n ? n : 1), size);
    if (!room)
        peer_cannot("%ld times %zu bytes of memory", n, size);
    memset(room, 0, (size_t)n * size);          /* touched, not only promised */
    return room;
}

static thread launch(void *(*body)(void *), void *arg)
{
    thread child = spawn(body, arg);

    if (!child)
        peer_cannot("it cannot spawn so many: %s", strerror(errno));
    return child;
}

static void join_all(thread *children, long n)
{
    for (long i = 0; i < n; i++)
        join(children[i]);
}

/* A place where n threads wait for one another. */
static struct {
    lock lock;
    condition all_here;
    long here, turn;
} meeting;

static void meet(long n)
{
    lock_take(&meeting.lock);
    if (++meeting.here == n) {
        meeting.here = 0;
        meeting.turn++;
        condition_broadcast(&meeting.all_here);
    } else {
        for (long turn = meeting.turn; turn == meeting.turn;)
            condition_wait(&meeting.all_here, &meeting.lock);
    }
    lock_give(&meeting.lock);
}

/* ---------------------------------------------------------------- W2, W3 */

static struct {
    long fibers, times;
    int64_t begun, begin, end, sum;
} turns;

static void *give_way_often(void *arg)
{
    meet(turns.fibers);
    give_way();
    if (add(&turns.begun, 1) == 1)
        turns.begin = peer_now();
    for (long i = 1; i < turns.times; i++)
        give_way();
    if (add(&turns.sum, turns.times) == turns.fibers * turns.times)
        turns.end = peer_now();
    return arg;
}

static void w2(struct peer_ask ask)
{
    long n = ask.param, times = n < 10000 ? 100000 / n : 10;
    thread *children = room_for(n, sizeof *children);

    for (;;) {
        peer_next();
        turns.fibers = n, turns.times = times;
        turns.begun = turns.sum = 0;
        for (long i = 0; i < n; i++)
            children[i] = launch(give_way_often, NULL);
        join_all(children, n);
        peer_add("yield", "ns", turns.end - turns.begin, n * times, turns.sum);
    }
}

struct numbered {
    long number, stored;
};

static void *store(void *arg)
{
    struct numbered *self = arg;

    self->stored = self->number;
    return NULL;
}

static void w3one(struct peer_ask ask)
{
    (void)ask;
    for (;;) {
        int64_t begin, sum = 0;

        peer_next();
        begin = peer_now();
        for (long i = 0; i < 1000; i++) {
            struct numbered child = {i, 0};

            join(launch(store, &child));
            sum += child.stored;
        }
        peer_add("fiber", "ns", peer_now() - begin, 1000, sum);
    }
}

static void w3scope(struct peer_ask ask)
{
    long n = ask.param;
    thread *children = room_for(n, sizeof *children);
    struct numbered *slots = room_for(n, sizeof *slots);

    for (;;) {
        int64_t begin, sum = 0;

        peer_next();
        begin = peer_now();
        for (long i = 0; i < n; i++) {
            slots[i].number = i;
            children[i] = launch(store, &slots[i]);
        }
        join_all(children, n);
        for (long i = 0; i < n; i++)
            sum += slots[i].stored;
        peer_add("fiber", "ns", peer_now() - begin, n, sum);
    }
}

/* -------------------------------------------------------------------- W4 */

struct node {
    long first, leaves, sum;
};

static void *sum_of_leaves(void *arg)
{
    struct node *self = arg, child[10];
    thread children[10];

    self->sum = self->first;
    if (self->leaves == 1)
        return NULL;
    for (int i = 0; i < 10; i++) {
        child[i].leaves = self->leaves / 10;
        child[i].first = self->first + i * child[i].leaves;
        children[i] = launch(sum_of_leaves, &child[i]);
    }
    self->sum = 0;
    for (int i = 0; i < 10; i++) {
        join(children[i]);
        self->sum += child[i].sum;
    }
    return NULL;
}

static void w4(struct peer_ask ask)
{
    if (ask.param > MOST)
        peer_cannot("%s", MOST_WHY);
    for (;;) {
        struct node root = {0, ask.param, 0};
        int64_t begin;

        peer_next();
        begin = peer_now();
        join(launch(sum_of_leaves, &root));
        peer_add("tree", "ms", peer_now() - begin, 1, root.sum);
    }
}

/* -------------------------------------------------------------------- W5 */

/* Holds one value; its two users never want to fill it twice. */
struct cell {
    lock lock;
    condition filled;
    int full;
    long value;
};

static struct cell to, fro;

static void cell_put(struct cell *cell, long value)
{
    lock_take(&cell->lock);
    cell->value = value;
    cell->full = 1;
    condition_signal(&cell->filled);
    lock_give(&cell->lock);
}

static long cell_take(struct cell *cell)
{
    long value;

    lock_take(&cell->lock);
    while (!cell->full)
        condition_wait(&cell->filled, &cell->lock);
    cell->full = 0;
    value = cell->value;
    lock_give(&cell->lock);
    return value;
}

static void *echo(void *arg)
{
    for (;;)
        cell_put(&fro, cell_take(&to) + 1);
    return arg;
}

static void w5(struct peer_ask ask)
{
    (void)ask;
    lock_init(&to.lock), condition_init(&to.filled);
    lock_init(&fro.lock), condition_init(&fro.filled);
    launch(echo, NULL);
    for (;;) {
        int64_t begin, sum = 0;

        peer_next();
        begin = peer_now();
        for (long i = 0; i < 1000; i++) {
            cell_put(&to, i);
            sum += cell_take(&fro);
        }
        peer_add("trip", "ns", peer_now() - begin, 1000, sum);
    }
}

/* ------------------------------------------------------- W7, W10 and W12 */

/* A value that many wait for; the next one may follow. */
static struct {
    lock lock;
    condition completed;
    int64_t turn, value;
    int64_t waiting, sum, ended;
} deferred;

static void deferred_await(int64_t turn)
{
    lock_take(&deferred.lock);
    deferred.waiting++;
    while (deferred.turn < turn)
        condition_wait(&deferred.completed, &deferred.lock);
    deferred.sum += deferred.value;
    lock_give(&deferred.lock);
}

static void deferred_complete(int64_t value)
{
    lock_take(&deferred.lock);
    deferred.turn++;
    deferred.value = value;
    deferred.waiting = 0;
    condition_broadcast(&deferred.completed);
    lock_give(&deferred.lock);
}

/* Waits until n threads wait for the deferred. */
static void deferred_awaited(long n)
{
    for (;;) {
        int64_t waiting;

        lock_take(&deferred.lock);
        waiting = deferred.waiting;
        lock_give(&deferred.lock);
        if (waiting == n)
            return;
        give_way();
    }
}

static void *park(void *arg)
{
    peer_touch_stack();
    deferred_await(1);
    return arg;
}

static void w7(struct peer_ask ask)
{
    long n = ask.param;
    thread *children = room_for(n, sizeof *children);

    for (;;) {
        int64_t begin, before, grown, created;

        peer_next();
        before = peer_resident();
        begin = peer_now();
        for (long i = 0; i < n; i++) {
            children[i] = launch(park, NULL);
            if (i % 1024 == 0)
                give_way();
        }
        deferred_awaited(n);
        created = peer_now() - begin;
        grown = peer_resident() - before;

        begin = peer_now();
        deferred_complete(1);
        join_all(children, n);
        peer_add("wake", "ns", peer_now() - begin, n, deferred.sum);
        peer_add("create", "ns", created, n, deferred.sum);
        peer_show("resident", "bytes", (double)grown / (double)n,
                  deferred.sum);
    }
}

enum { WAITERS = 100, DEFERREDS = 10 };

static void *await_often(void *arg)
{
    int64_t turn = *(int64_t *)arg;

    for (int i = 1; i <= DEFERREDS; i++)
        deferred_await(turn + i);
    return NULL;
}

static void w10resume(struct peer_ask ask)
{
    thread waiters[WAITERS];

    (void)ask;
    for (;;) {
        int64_t turn = deferred.turn, begin;

        peer_next();
        deferred.sum = 0;
        for (int i = 0; i < WAITERS; i++)
            waiters[i] = launch(await_often, &turn);
        deferred_awaited(WAITERS);
        begin = peer_now();
        for (int i = 1; i <= DEFERREDS; i++) {
            deferred_awaited(WAITERS);
            deferred_complete(i);
        }
        join_all(waiters, WAITERS);
        peer_add("wake", "ns", peer_now() - begin, WAITERS * DEFERREDS,
                 deferred.sum);
    }
}

static void *wait_for_the_end(void *arg)
{
    add(arg, 1);
    return sleep_for_ever() == 0 ? NULL : CANCELLED;
}

static void w12(struct peer_ask ask)
{
    long n = ask.param;
    thread *children = room_for(n, sizeof *children);

    for (;;) {
        int64_t begin, waiting = 0, cancelled = 0;

        peer_next();
        for (long i = 0; i < n; i++)
            children[i] = launch(wait_for_the_end, &waiting);
        while (load(&waiting) < n)
            give_way();
        begin = peer_now();
        for (long i = 0; i < n; i++)
            cancel(children[i]);
        for (long i = 0; i < n; i++)
            cancelled += join(children[i]) == CANCELLED;
        peer_add("child", "ns", peer_now() - begin, n, cancelled);
    }
}

/* -------------------------------------------------------------------- W8 */

static int64_t slept;

static void *sleep_once(void *arg)
{
    sleep_ms((long)arg);
    add(&slept, (long)arg);
    return NULL;
}

static int64_t sleepers(thread *children, long n)
{
    int64_t before = peer_cpu();
    uint32_t x = 1;

    slept = 0;
    for (long i = 0; i < n; i++)
        children[i] = launch(sleep_once, (void *)(long)peer_sleep_ms(&x));
    join_all(children, n);
    return peer_cpu() - before;
}

static void w8sleep(struct peer_ask ask)
{
    thread *children = room_for(ask.param, sizeof *children);

    for (;;) {
        int64_t used;

        peer_next();
        used = sleepers(children, ask.param);
        peer_add("first", "s", used, 1, slept);
        used = sleepers(children, ask.param);
        peer_add("warm", "s", used, 1, slept);
    }
}

static void *compute_and_give_way(void *arg)
{
    for (;;) {
        peer_compute(10000);
        give_way();
    }
    return arg;
}

static void w8late(struct peer_ask ask)
{
    if (ask.param)
        launch(compute_and_give_way, NULL);
    for (;;) {
        int64_t late[100];

        peer_next();
        for (int i = 0; i < 100; i++) {
            int64_t begin = peer_now();

            sleep_ms(1);
            late[i] = peer_now() - begin - 1000000;
        }
        peer_show_late(late, 100);
    }
}

static void blocking_init(void)
{
    lock_init(&meeting.lock), condition_init(&meeting.all_here);
    lock_init(&deferred.lock), condition_init(&deferred.completed);
}

static const struct peer_workload blocking_table[] = {
    { "W2", WARM, w2 },
    { "W3one", WARM, w3one },
    { "W3scope", WARM, w3scope },
    { "W4", WARM, w4 },
    { "W5one", WARM, w5 },
    { "W5loops", WARM, w5 },
    { "W7", FRESH, w7 },
    { "W8sleep", FRESH, w8sleep },
    { "W8late", ONCE, w8late },
    { "W10resume", WARM, w10resume },
    { "W12", WARM, w12 },
};
