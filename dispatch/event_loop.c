/* event_loop.c -- see event_loop.h.
 *
 * The inbox is a list, newest first, to which anyone pushes by a
 * compare-and-swap and which the owner takes as a whole; CLOSED in its place
 * ends it, so that no task can get into a loop that nobody runs. */
#include "dispatch/event_loop.h"

#include "core/check.h"
#include "core/memory.h"
#include "core/thread.h"
#include "dispatch/dispatcher_more.h"
#include "dispatch/os_thread.h"
#include "dispatch/scheduler.h"

#include <stddef.h>

static struct kin_task closed_mark;
#define CLOSED (&closed_mark)

void kin__event_loop_init(struct kin__event_loop *loop,
                          const struct kin_dispatcher_ops *ops,
                          const char *name)
{
    loop->dispatcher = (struct kin_dispatcher){ .ops = ops, .name = name,
                                                .refs = 1 };
    loop->queue = (struct kin__task_queue){ NULL, NULL };
    loop->put = loop->taken = 1;
    loop->outlook.last = 0;
    loop->firing = false;
    loop->refuse = NULL;
    loop->announce = NULL;
    /* relaxed: published with the loop itself */
    atomic_store_explicit(&loop->inbox, NULL, memory_order_relaxed);
    atomic_store_explicit(&loop->owner, kin__thread(), memory_order_relaxed);
}

static bool is_owner(struct kin__event_loop *loop)
{
    /* relaxed: only the owner's own thread can find itself here */
    return atomic_load_explicit(&loop->owner, memory_order_relaxed)
           == kin__thread();
}

static void wake(struct kin__event_loop *loop)
{
    if (loop->announce)
        loop->announce(loop);
    kin__parker_wake(&loop->parker);
}

/* The loop may be gone as soon as it has the task, and is woken after that: so
 * it is held meanwhile.  (Main is held by its caller.) */
static int push_inbox(struct kin__event_loop *loop, struct kin_task *task)
{
    /* relaxed: the exchange below orders it */
    struct kin_task *head = atomic_load_explicit(&loop->inbox,
                                                 memory_order_relaxed);

    kin_dispatcher_retain(&loop->dispatcher);
    do {
        if (head == CLOSED)
            break;
        task->next = head;
        /* release: publishes the task; pairs with acquire in take_inbox() */
    } while (!atomic_compare_exchange_weak_explicit(
                 &loop->inbox, &head, task, memory_order_release,
                 memory_order_relaxed));
    if (!head)
        wake(loop);
    kin_dispatcher_release(&loop->dispatcher);
    return head == CLOSED ? loop->refuse(task) : 0;
}

/* Appends the inbox to the queue, oldest first; leaves `mark` in its place. */
static void take_inbox(struct kin__event_loop *loop, struct kin_task *mark)
{
    struct kin_task *reversed = NULL, *next, *task;

    /* relaxed: only the owner closes it, and it stays closed */
    if (atomic_load_explicit(&loop->inbox, memory_order_relaxed) == CLOSED)
        return;
    /* acquire: pairs with release in push_inbox(); release: a loop is without
     * an owner before it is seen closed */
    task = atomic_exchange_explicit(&loop->inbox, mark, memory_order_acq_rel);
    for (; task; task = next) {
        next = task->next;
        task->next = reversed;
        reversed = task;
    }
    for (; reversed; reversed = next) {
        next = reversed->next;
        kin__event_loop_append(loop, reversed);
    }
}

/* What has come due goes to the queue before anything newer does. */
static void fire_due(struct kin__event_loop *loop)
{
    int64_t now;
    bool held;

    if (kin__timers_earliest(&loop->timers) == KIN_NEVER || loop->firing)
        return;
    now = kin_now();
    if (kin__timers_earliest(&loop->timers) > now)
        return;
    loop->firing = true;
    held = kin__in_place_hold();
    kin__timers_fire(&loop->timers, now);
    kin__in_place_let_go(held);
    loop->firing = false;
}

int kin__event_loop_dispatch(struct kin_dispatcher *self, struct kin_task *task)
{
    struct kin__event_loop *loop = (struct kin__event_loop *)self;

    if (!is_owner(loop))
        return push_inbox(loop, task);
    fire_due(loop);
    kin__event_loop_append(loop, task);
    if (loop->announce)
        loop->announce(loop);
    return 0;
}

int kin__event_loop_set_timer(struct kin_dispatcher *self,
                              struct kin_timer *timer, int64_t deadline)
{
    struct kin__event_loop *loop = (struct kin__event_loop *)self;
    bool earlier;
    int err;

    kin__timers_disarm(timer);
    if (deadline == KIN_NEVER)
        return 0;
    /* relaxed: a loop that closes meanwhile hands its timers over */
    if (!atomic_load_explicit(&loop->owner, memory_order_relaxed))
        return kin__scheduler_set_timer(timer, deadline);
    earlier = deadline < kin__timers_earliest(&loop->timers);
    err = kin__timers_arm(&loop->timers, timer, deadline);
    /* It may have been closed, and its timers handed over, since that look.
     * relaxed: the timers' lock orders the two */
    if (!err && !atomic_load_explicit(&loop->owner, memory_order_relaxed)
        && kin__timers_disarm(timer))
        return kin__scheduler_set_timer(timer, deadline);
    if (!err && earlier && (loop->announce || !is_owner(loop)))
        wake(loop);
    return err;
}

static void requeue(struct kin_task *task)
{
    struct kin__event_loop *loop = kin__thread()->loop;

    fire_due(loop);
    kin__event_loop_append(loop, task);
}

int kin__event_loop_requeue(void)
{
    return kin__park_local(requeue);
}

struct kin_task *kin__event_loop_poll(struct kin__event_loop *loop,
                                      struct kin__thread *thread)
{
    struct kin_task *task = kin__event_loop_peek(thread, loop);

    if (KIN__LIKELY(task))
        return kin__event_loop_pop(loop);
    task = kin__in_place_take(thread);

    if (task)
        return task;
    /* relaxed: taken with an exchange if there is something */
    if (atomic_load_explicit(&loop->inbox, memory_order_relaxed))
        take_inbox(loop, NULL);
    fire_due(loop);
    task = kin__in_place_take(thread);  /* what a timer has resumed */
    return task || !loop->queue.head ? task : kin__event_loop_pop(loop);
}

/* --- Looking ahead --------------------------------------------------------
 * Many fibers that are woken at once, and have been away for long, are in no
 * cache; and each is known only from the one before it in the queue.  So a few
 * steps ahead of the head their records are fetched, then their fibers, then
 * their frames. */

#define RECORDS 20
#define FIBERS  6
#define GROUP   8
#define FRAMES  4

/* How many of those behind the head are known; below 0: not even the head. */
static int64_t outlook(const struct kin__event_loop *loop)
{
    return (int64_t)(loop->outlook.last - loop->taken);
}

static struct kin__runnable *ahead(struct kin__event_loop *loop, int by)
{
    uint64_t number = loop->taken + (uint64_t)by;

    return outlook(loop) < by
        ? NULL : kin__parked_of(loop->outlook.task[number % KIN__OUTLOOK]);
}

static void look_further(struct kin__event_loop *loop)
{
    struct kin__outlook *out = &loop->outlook;
    struct kin_task *next = out->task[out->last % KIN__OUTLOOK]->next;

    if (!next)
        return;
    out->task[++out->last % KIN__OUTLOOK] = next;
    kin__fetch(next, 5 * KIN__LINE);
}

void kin__event_loop_fetch(struct kin__event_loop *loop)
{
    struct kin__runnable *r;

    if (!loop->queue.head || !loop->queue.head->next)
        return;
    if (outlook(loop) < 0) {
        loop->outlook.last = loop->taken;
        loop->outlook.task[loop->taken % KIN__OUTLOOK] = loop->queue.head;
    }
    look_further(loop);
    if (outlook(loop) < RECORDS)
        look_further(loop);
    if (loop->taken % GROUP == 0)
        for (int by = FIBERS; by < FIBERS + GROUP; by++)
            if ((r = ahead(loop, by)))
                kin__fetch(r->fiber, 2 * KIN__LINE);
    if ((r = ahead(loop, FRAMES)))
        kin__fetch_frames(r->fiber);
}

int64_t kin__event_loop_deadline(struct kin__event_loop *loop)
{
    /* seq_cst: pairs with seq_cst in retract() of main.c, and there with
     * announce() */
    if (loop->queue.head || kin__thread()->in_place.queue.head
        || atomic_load_explicit(&loop->inbox, memory_order_seq_cst))
        return 0;
    return kin__timers_earliest(&loop->timers);
}

void kin__event_loop_close(struct kin__event_loop *loop)
{
    /* relaxed: others only compare it with themselves */
    atomic_store_explicit(&loop->owner, NULL, memory_order_relaxed);
    take_inbox(loop, CLOSED);
}

void kin__event_loop_hand_over(struct kin__event_loop *loop)
{
    struct kin_timer *timer;

    while (loop->queue.head)
        loop->refuse(kin__event_loop_pop(loop));
    while ((timer = kin__timers_take(&loop->timers)))
        if (kin__scheduler_set_timer(timer, timer->deadline) != 0)
            kin_timer_fire(timer);      /* too early beats never */
}

/* --- Blocking a thread on an event loop ----------------------------------- */

enum { LOOKS_MAX = 10 };

struct blocking_frame {
    struct kin__frame frame;
    struct kin__event_loop *loop;
    struct kin__done *done;
    bool is_new;
    unsigned looks;                     /* at done->idle since it was woken  */
    unsigned long slack;                /* of the thread before; 0: unknown  */
};

static struct kin_task *frame_poll(struct kin__frame *frame)
{
    struct blocking_frame *self = (struct blocking_frame *)frame;

    return kin__event_loop_poll(self->loop, frame->thread);
}

static bool is_done(struct kin__done *done)
{
    /* acquire: what was done happens before the return; pairs with release in
     * kin__done_set() */
    return atomic_load_explicit(&done->flag, memory_order_acquire);
}

/* Until there is something to do; or until somebody should look why not.  What
 * he sees then may be on its way still, elsewhere: so he looks again, after
 * twice as long each time. */
static void rest(struct blocking_frame *self)
{
    struct kin__parker *parker = &self->loop->parker;
    int64_t until = kin__event_loop_deadline(self->loop), look;

    if (self->done->idle && until) {
        look = kin_after(self->done->idle_ns << self->looks);
        if (look < until) {
            if (kin__parker_wait(parker, look)) {
                self->looks = 0;
                return;
            }
            self->looks += self->looks < LOOKS_MAX;
            self->done->idle(self->done->arg);
            return;
        }
    }
    self->looks = 0;
    if (until != KIN_NEVER && until != 0)
        kin__os_slack_less(&self->slack);
    kin__parker_wait(parker, until);
}

static struct kin_task *frame_next(struct kin__frame *frame)
{
    struct blocking_frame *self = (struct blocking_frame *)frame;
    struct kin_task *task;

    while (!is_done(self->done)) {
        task = kin__event_loop_poll(self->loop, frame->thread);
        if (task) {
            kin__event_loop_look_ahead(self->loop);
            return task;
        }
        if (is_done(self->done))
            break;
        kin__scheduler_will_block();
        kin__run_idle(frame->thread);
        rest(self);
    }
    if (!self->is_new)
        return NULL;
    if (is_owner(self->loop))
        kin__event_loop_close(self->loop);
    frame->local = NULL;                /* what yields now is refused */
    task = kin__in_place_take(frame->thread);
    return task || !self->loop->queue.head ? task
                                           : kin__event_loop_pop(self->loop);
}

int kin__event_loop_run(struct kin__event_loop *loop, bool is_new,
                        struct kin__done *done)
{
    struct blocking_frame frame = {
        .frame = { .poll = frame_poll, .next = frame_next,
                   .local = &loop->dispatcher },
        .loop = loop, .done = done, .is_new = is_new,
    };
    void *outer = kin__thread()->loop;
    int err;

    kin__thread()->loop = loop;
    err = kin__frame_run(&frame.frame);
    kin__os_slack_restore(&frame.slack);
    kin__thread()->loop = outer;
    if (is_new && is_owner(loop))
        kin__event_loop_close(loop);
    if (is_new)
        kin__event_loop_hand_over(loop);
    return err;
}

void kin__done_set(struct kin__done *done)
{
    struct kin__event_loop *loop = done->loop;

    kin_dispatcher_retain(&loop->dispatcher);
    /* release: pairs with acquire in is_done() */
    atomic_store_explicit(&done->flag, 1, memory_order_release);
    wake(loop);
    kin_dispatcher_release(&loop->dispatcher);
}

/* --- The loop of kin_run_blocking ----------------------------------------- */

static int dispatch_default(struct kin_task *task)
{
    return kin__dispatch(kin_default(), task);
}

static void destroy(struct kin_dispatcher *self)
{
    struct kin__event_loop *loop = (struct kin__event_loop *)self;

    kin__timers_destroy(&loop->timers);
    kin__free(loop);
}

static const struct kin__dispatcher_more more = {
    .parallelism = 1, .stays = true,
};

static const struct kin_dispatcher_ops event_loop_ops = {
    .dispatch = kin__event_loop_dispatch,
    .set_timer = kin__event_loop_set_timer,
    .destroy = destroy,
};

struct kin__event_loop *kin__event_loop_here(bool *is_new)
{
    struct kin__event_loop *loop = kin__thread()->loop;

    *is_new = !loop || !is_owner(loop);     /* none, or one that is closing */
    if (!*is_new) {
        kin_dispatcher_retain(&loop->dispatcher);
        return loop;
    }
    loop = kin__calloc(1, sizeof *loop);
    if (!loop)
        return NULL;
    kin__event_loop_init(loop, &event_loop_ops, "EventLoop");
    loop->dispatcher.more = &more;
    loop->refuse = dispatch_default;
    return loop;
}
