/* libuv.c -- libuv: no fibers, so a round trip is a callback that comes back.
 * The loop runs until the unit is done.
 *
 * W14 has two answers.  busy: a queue, and one handle that is sent to for each
 * entry, of which libuv makes as few wake-ups as it can.  handles: one for each
 * who waits, which is libuv's own notion of what another thread resumes. */
#include "bench/peers/foreign.h"

#include <uv.h>

static uv_loop_t loop;

/* ------------------------------------------------------------------- W8 */

struct timed {
    uv_timer_t timer;
    long ms;
};

static int64_t fired;

static void fire(uv_timer_t *timer)
{
    fired += ((struct timed *)timer)->ms;
}

static void w8timer(struct peer_ask ask)
{
    struct timed *all = calloc((size_t)ask.param, sizeof *all);
    uint32_t x = 1;
    int64_t before;

    if (!all)
        abort();
    peer_next();
    before = peer_cpu();
    for (long i = 0; i < ask.param; i++) {
        all[i].ms = peer_sleep_ms(&x);
        uv_timer_init(&loop, &all[i].timer);
        uv_timer_start(&all[i].timer, fire, (uint64_t)all[i].ms, 0);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    peer_add("cpu", "s", peer_cpu() - before, 1, fired);
    peer_next();
}

/* A timeout around a body: its timer is stopped, for the body has returned. */
static void w8cancel(struct peer_ask ask)
{
    struct timed *others = calloc((size_t)ask.param + 1, sizeof *others);
    uv_timer_t timeout;

    if (!others)
        abort();
    for (long i = 0; i < ask.param; i++) {
        uv_timer_init(&loop, &others[i].timer);
        uv_timer_start(&others[i].timer, fire, 3600 * 1000, 0);
    }
    uv_timer_init(&loop, &timeout);
    for (;;) {
        volatile int64_t sum = 0;
        int64_t begin;

        peer_next();
        begin = peer_now();
        for (int i = 0; i < 1000; i++) {
            uv_timer_start(&timeout, fire, 10000, 0);
            sum += i;
            uv_timer_stop(&timeout);
        }
        peer_add("timeout", "ns", peer_now() - begin, 1000, sum);
    }
}

static struct {
    int64_t begin, late[100];
    int count;
} naps;

static void nap(uv_timer_t *timer);

static void nap_again(uv_timer_t *timer)
{
    uv_update_time(timer->loop);                /* it sleeps from now on */
    naps.begin = peer_now();
    uv_timer_start(timer, nap, 1, 0);
}

static void nap(uv_timer_t *timer)
{
    naps.late[naps.count++] = peer_now() - naps.begin - 1000000;
    if (naps.count < 100)
        nap_again(timer);
    else
        uv_stop(timer->loop);
}

static void compute(uv_idle_t *idle)
{
    (void)idle;
    peer_compute(10000);
}

static void w8late(struct peer_ask ask)
{
    uv_timer_t timer;
    uv_idle_t busy;

    uv_timer_init(&loop, &timer);
    uv_idle_init(&loop, &busy);
    if (ask.param)
        uv_idle_start(&busy, compute);
    for (;;) {
        peer_next();
        naps.count = 0;
        nap_again(&timer);
        uv_run(&loop, UV_RUN_DEFAULT);
        peer_show_late(naps.late, 100);
    }
}

/* ------------------------------------------------------------------- W9 */

static struct {
    uv_work_t work;
    long i;
    int64_t sum;
} hop;

static void hop_there(uv_work_t *work)
{
    (void)work;
    hop.sum += hop.i;
}

static void hop_back(uv_work_t *work, int status)
{
    (void)status;
    if (++hop.i < 1000)
        uv_queue_work(&loop, work, hop_there, hop_back);
}

static void w9(struct peer_ask ask)
{
    (void)ask;
    for (;;) {
        int64_t begin;

        peer_next();
        hop.i = hop.sum = 0;
        begin = peer_now();
        uv_queue_work(&loop, &hop.work, hop_there, hop_back);
        uv_run(&loop, UV_RUN_DEFAULT);
        peer_add("trip", "ns", peer_now() - begin, 1000, hop.sum);
    }
}

/* ------------------------------------------------------------------ W14 */

struct answer {
    long number;
    struct answer *next;
};

static struct {
    uv_async_t async;
    uv_mutex_t lock;
    struct answer *first, **last;       /* guarded by lock */
    long expected, ran;
    int64_t sum, end;
} inbox;

static void answer_send(long number)
{
    static struct answer answers[FOREIGN_BUSY];
    struct answer *answer = &answers[number];

    answer->number = number;
    answer->next = NULL;
    uv_mutex_lock(&inbox.lock);
    *inbox.last = answer;
    inbox.last = &answer->next;
    uv_mutex_unlock(&inbox.lock);
    uv_async_send(&inbox.async);
}

static struct answer *answers_take(void)
{
    struct answer *all;

    uv_mutex_lock(&inbox.lock);
    all = inbox.first;
    inbox.first = NULL;
    inbox.last = &inbox.first;
    uv_mutex_unlock(&inbox.lock);
    return all;
}

static void answer_ran(long number, uv_loop_t *on)
{
    inbox.sum += number;
    if (++inbox.ran == inbox.expected) {
        inbox.end = peer_now();
        uv_stop(on);
    }
}

static void answers_came(uv_async_t *async)
{
    for (struct answer *a = answers_take(); a; a = a->next)
        answer_ran(a->number, async->loop);
}

/* The other way: its own loop, as a loop looks at all its handles each time. */
static uv_loop_t crowd;
static uv_async_t handles[FOREIGN_BUSY];

static void handle_send(long number)
{
    uv_async_send(&handles[number]);
}

static void handle_came(uv_async_t *async)
{
    answer_ran(async - handles, async->loop);
}

/* Nanoseconds from the first answer to the last one's callback. */
static int64_t answers_await(uv_loop_t *on, long n, void (*ask)(void))
{
    inbox.expected = n;
    inbox.ran = inbox.sum = 0;
    foreign.resume = on == &crowd ? handle_send : answer_send;
    ask();
    uv_run(on, UV_RUN_DEFAULT);
    return inbox.end - foreign.begin;
}

static void w14_init(void)
{
    uv_async_init(&loop, &inbox.async, answers_came);
    uv_mutex_init(&inbox.lock);
    inbox.last = &inbox.first;
    uv_loop_init(&crowd);
    for (int i = 0; i < FOREIGN_BUSY; i++)
        uv_async_init(&crowd, &handles[i], handle_came);
    foreign_start(answer_send);
}

static void w14(struct peer_ask ask)
{
    (void)ask;
    w14_init();
    for (;;) {
        int64_t wakes[FOREIGN_IDLE], elapsed;

        peer_next();
        elapsed = answers_await(&loop, FOREIGN_BUSY, foreign_busy);
        peer_add("busy", "ns", elapsed, FOREIGN_BUSY, inbox.sum);
        elapsed = answers_await(&crowd, FOREIGN_BUSY, foreign_busy);
        peer_add("handles", "ns", elapsed, FOREIGN_BUSY, inbox.sum);
        for (int i = 0; i < FOREIGN_IDLE; i++)
            wakes[i] = answers_await(&loop, 1, foreign_idle);
        peer_sort(wakes, FOREIGN_IDLE);
        peer_show("idle", "us", (double)wakes[FOREIGN_IDLE / 2] / 1e3,
                  FOREIGN_IDLE);
    }
}

static void idle(struct peer_ask ask)
{
    static struct timed alarm;
    int64_t before;

    uv_queue_work(&loop, &hop.work, hop_there, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_timer_init(&loop, &alarm.timer);
    peer_next();
    before = peer_cpu();
    uv_update_time(&loop);
    uv_timer_start(&alarm.timer, fire, (uint64_t)ask.param * 1000, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    peer_add("cpu", "s", peer_cpu() - before, 1, ask.param);
    peer_next();
}

int main(int argc, char **argv)
{
    static const struct peer_workload table[] = {
        { "W8timer", FRESH, w8timer },
        { "W8cancel", WARM, w8cancel },
        { "W8late", ONCE, w8late },
        { "W9block", WARM, w9 },
        { "W9main", WARM, w9 },
        { "W14main", WARM, w14 },
        { "W14default", WARM, w14 },
        { "IDLE", FRESH, idle },
    };
    char version[32];

    snprintf(version, sizeof version, "libuv %s", uv_version_string());
    uv_loop_init(&loop);
    return peer_main(argc, argv, (struct peer){
        .version = version, .threads = 2, .table = table,
        .count = PEER_COUNT(table), .why_not = "it has callbacks, no fibers" });
}
