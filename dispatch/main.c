/* main.c -- Main and Main.immediate: an event loop on the host's thread, run a
 * little at a time.
 *
 * `main_loop` names the attached one.  It is looked at from every thread, so
 * whoever dispatches to it holds the gate's read side meanwhile (a count);
 * detach takes the loop away first and then waits for the count to be 0. */
#include "kin/main.h"

#include "core/check.h"
#include "core/fork.h"
#include "core/memory.h"
#include "core/spin.h"
#include "core/thread.h"
#include "dispatch/dispatcher_more.h"
#include "dispatch/event_loop.h"
#include "dispatch/main_internal.h"
#include "dispatch/scheduler.h"

#include <errno.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct main_loop {
    struct kin__event_loop loop;        /* first                             */
    int fd;                             /* constant; readable: there is work */
    void (*untie)(void);                /* owner only; NULL: not tied        */
    _Atomic bool announced;             /* atomic: fd is readable            */
    _Atomic bool running;               /* owner writes: in pump or run      */
    _Atomic bool quit;                  /* atomic: run is to end             */
};

static struct main_loop *_Atomic main_loop;
static _Atomic unsigned users;

/* The attached loop, to be put back with let_go(); NULL: none. */
static struct main_loop *hold(void)
{
    struct main_loop *main;

    /*   hold()                    kin_main_detach()
     *   1 users++                 1 main_loop = NULL
     *   2 main_loop?              2 users == 0?
     * Either the one sees that it is gone, or the other sees a user.
     * seq_cst: pairs with seq_cst in kin_main_detach() */
    atomic_fetch_add_explicit(&users, 1, memory_order_seq_cst);
    main = atomic_load_explicit(&main_loop, memory_order_seq_cst);
    if (!main)
        /* release: pairs with seq_cst in kin_main_detach() */
        atomic_fetch_sub_explicit(&users, 1, memory_order_release);
    return main;
}

static void let_go(void)
{
    /* release: pairs with seq_cst in kin_main_detach() */
    atomic_fetch_sub_explicit(&users, 1, memory_order_release);
}

bool kin_main_is_attached(void)
{
    /* relaxed: an answer that may be old as soon as it is given */
    return atomic_load_explicit(&main_loop, memory_order_relaxed) != NULL;
}

/* The loop, if the calling thread is its owner. */
static struct main_loop *mine(void)
{
    /* relaxed: on the owner's thread it is stable, elsewhere only compared */
    struct main_loop *main = atomic_load_explicit(&main_loop,
                                                  memory_order_relaxed);

    return main && kin__thread()->main == main ? main : NULL;
}

bool kin_main_is_current(void)
{
    return mine() != NULL;
}

/* --- The descriptor ------------------------------------------------------- */

static void announce(struct kin__event_loop *loop)
{
    struct main_loop *self = (struct main_loop *)loop;
    uint64_t one = 1;

    /*   announce()                    run()
     *   1 push the task (RMW)         1 running = false
     *   2 running?                    2 is there a task?
     * Either the pusher sees that nobody runs, or the owner, who has run what
     * there was, sees the task.  seq_cst: pairs with seq_cst in run() */
    kin__full_barrier_after_rmw();
    if (atomic_load_explicit(&self->running, memory_order_seq_cst))
        return;
    /* seq_cst: pairs with seq_cst in retract() */
    if (atomic_exchange_explicit(&self->announced, true, memory_order_seq_cst))
        return;
    while (write(self->fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

static void retract(struct main_loop *self)
{
    uint64_t count;

    /* acquire: pairs with seq_cst in announce() */
    if (!atomic_load_explicit(&self->announced, memory_order_acquire))
        return;
    while (read(self->fd, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    /*   retract()                  announce()
     *   1 announced = false        1 push the task
     *   2 is there a task?         2 announced?
     * Either the owner sees the task, or the pusher sees that the descriptor is
     * silent, and writes.
     * seq_cst: pairs with seq_cst in announce() */
    atomic_exchange_explicit(&self->announced, false, memory_order_seq_cst);
}

/* --- The dispatchers ------------------------------------------------------ */

static int dispatch(kin_dispatcher *dispatcher, kin_task *task)
{
    struct main_loop *self = mine();
    int err;

    (void)dispatcher;
    if (self)
        return kin__event_loop_dispatch(&self->loop.dispatcher, task);
    self = hold();
    if (!self)
        return KIN_ENOMAIN;
    err = kin__event_loop_dispatch(&self->loop.dispatcher, task);
    let_go();
    return err;
}

static bool needs_dispatch(kin_dispatcher *dispatcher)
{
    (void)dispatcher;
    return !kin_main_is_current();
}

static int set_timer(kin_dispatcher *dispatcher, kin_timer *timer,
                     int64_t deadline)
{
    struct main_loop *self = hold();
    int err;

    (void)dispatcher;
    if (!self) {
        kin__timers_disarm(timer);
        return deadline == KIN_NEVER ? 0 : KIN_ENOMAIN;
    }
    err = kin__event_loop_set_timer(&self->loop.dispatcher, timer, deadline);
    let_go();
    return err;
}

static const kin_dispatcher_ops main_ops = {
    .dispatch = dispatch, .set_timer = set_timer,
};

static const kin_dispatcher_ops immediate_ops = {
    .dispatch = dispatch, .needs_dispatch = needs_dispatch,
    .set_timer = set_timer,
};

static const struct kin__dispatcher_more more = {
    .immortal = true, .parallelism = 1,
};

static kin_dispatcher main_dispatcher = {
    .ops = &main_ops, .more = &more, .name = "Main", .refs = 1,
};

static kin_dispatcher immediate_dispatcher = {
    .ops = &immediate_ops, .more = &more, .name = "Main.immediate", .refs = 1,
};

kin_dispatcher *kin_main(void)
{
    return &main_dispatcher;
}

kin_dispatcher *kin_main_immediate(void)
{
    return &immediate_dispatcher;
}

/* --- Attaching ------------------------------------------------------------ */

static int refuse_closed(struct kin_task *task)
{
    (void)task;
    return KIN_ENOMAIN;
}

/* What is queued when Main goes. */
static int refuse_left(struct kin_task *task)
{
    struct kin__runnable *runnable = (struct kin__runnable *)task;

    if (task->run == kin__runnable_run) {
        runnable->ops->reject(runnable, KIN_ENOMAIN);
        return 0;
    }
    return kin_io()->ops->dispatch(kin_io(), task);
}

/* There is one at a time, and it is never freed: a timer that was armed on it
 * may be disarmed, which takes its lock, long after a detach. */
static struct main_loop the_loop;
static _Atomic bool taken;

static bool take(void)
{
    /* acquire: what the one before has left; pairs with release in give() */
    return !atomic_exchange_explicit(&taken, true, memory_order_acquire);
}

static void give(void)
{
    /* release: pairs with acquire in take() */
    atomic_store_explicit(&taken, false, memory_order_release);
}

static int open_loop(struct main_loop *self)
{
    int err = kin__event_fd(EFD_NONBLOCK, &self->fd);

    if (err)
        return err;
    kin__event_loop_init(&self->loop, &main_ops, "Main");
    self->loop.refuse = refuse_closed;
    self->loop.announce = announce;
    self->untie = NULL;
    /* relaxed: not published yet */
    atomic_store_explicit(&self->announced, false, memory_order_relaxed);
    atomic_store_explicit(&self->running, false, memory_order_relaxed);
    atomic_store_explicit(&self->quit, false, memory_order_relaxed);
    return 0;
}

int kin_main_attach(void)
{
    int err;

    if (kin__is_forked)
        return kin__fork_refuse("kin_main_attach");
    if (!take())
        return KIN_EALREADY;
    err = open_loop(&the_loop);
    if (err) {
        give();
        return err;
    }
    kin__thread()->main = &the_loop;
    /* seq_cst: publishes the loop; pairs with seq_cst in hold() */
    atomic_store_explicit(&main_loop, &the_loop, memory_order_seq_cst);
    return 0;
}

/* The loop of the calling thread; *err says why not. */
static struct main_loop *attached(const char *function, int *err)
{
    struct main_loop *self = mine();

    if (kin__is_forked) {
        *err = kin__fork_refuse(function);
        return NULL;
    }
    if (self)
        return self;
    if (!kin_main_is_attached())
        *err = kin__misuse(KIN_ENOMAIN, function, "no thread is Main: call "
                           "kin_main_attach first");
    else
        *err = kin__misuse(KIN_EPERM, function, "another thread is Main");
    return NULL;
}

static struct main_loop *attached_idle(const char *function, int *err)
{
    struct main_loop *self = attached(function, err);

    /* relaxed: own field */
    if (self && (atomic_load_explicit(&self->running, memory_order_relaxed)
                 || kin__thread()->current)) {
        *err = kin__misuse(KIN_EBUSY, function, "called from inside the pump");
        return NULL;
    }
    return self;
}

void kin__main_on_detach(void (*untie)(void))
{
    mine()->untie = untie;
}

int kin_main_detach(void)
{
    int err = 0;
    unsigned round = 0;
    struct main_loop *self = attached_idle("kin_main_detach", &err);
    struct kin_task *task;

    if (!self)
        return err;
    if (self->untie)
        self->untie();
    /* seq_cst: pairs with seq_cst in hold() */
    atomic_store_explicit(&main_loop, NULL, memory_order_seq_cst);
    kin__thread()->main = NULL;
    kin__event_loop_close(&self->loop);
    while (atomic_load_explicit(&users, memory_order_seq_cst))
        kin__spin_pause(&round);
    self->loop.refuse = refuse_left;
    kin__event_loop_hand_over(&self->loop);
    /* What a timer has resumed. */
    while ((task = kin__in_place_take(kin__thread())))
        kin__run_in_place(task);
    close(self->fd);
    give();
    return 0;
}

/* --- Pumping and running -------------------------------------------------- */

struct pump {
    struct kin__frame frame;            /* first                             */
    struct main_loop *main;
    int64_t until;                      /* no slice is begun after that      */
    struct kin_task *last;              /* of one pass; NULL: no such end    */
    bool one_pass, waits;
    int slices;
};

static bool is_over(struct pump *pump)
{
    if (pump->waits)
        /* acquire: pairs with release in kin_main_quit() */
        return atomic_load_explicit(&pump->main->quit, memory_order_acquire);
    if (pump->one_pass)
        return !pump->last && pump->slices;
    return pump->until != KIN_NEVER && pump->slices
        && kin_now() >= pump->until;
}

static struct kin_task *pump_poll(struct kin__frame *frame)
{
    struct pump *pump = (struct pump *)frame;
    struct kin_task *task;

    if (is_over(pump))
        return NULL;
    task = kin__event_loop_poll(&pump->main->loop, frame->thread);
    if (!task)
        return NULL;
    if (pump->one_pass && !pump->slices)
        pump->last = kin__task_queue_is_empty(&pump->main->loop.queue)
            ? task : pump->main->loop.queue.last;
    if (task == pump->last)
        pump->last = NULL;
    pump->slices++;
    return task;
}

static struct kin_task *pump_next(struct kin__frame *frame)
{
    struct pump *pump = (struct pump *)frame;

    for (;;) {
        struct kin_task *task = pump_poll(frame);

        if (task || !pump->waits || is_over(pump))
            return task;
        kin__run_idle(frame->thread);
        kin__parker_wait(&pump->main->loop.parker,
                         kin__event_loop_deadline(&pump->main->loop));
    }
}

/* Runs a pump on the calling thread, which is Main's. */
static int run(struct pump *pump)
{
    struct main_loop *self = pump->main;
    int err;

    /* relaxed: read by announce(), which is harmless either way */
    atomic_store_explicit(&self->running, true, memory_order_relaxed);
    retract(self);
    err = kin__frame_run(&pump->frame);
    /* seq_cst: before the look; pairs with seq_cst in announce() */
    atomic_store_explicit(&self->running, false, memory_order_seq_cst);
    if (kin__event_loop_deadline(&self->loop) == 0)
        announce(&self->loop);          /* there is work left */
    return err;
}

/* Is there something to do?  Reads the clock only if a timer may be due. */
static bool is_due(struct main_loop *self)
{
    int64_t deadline = kin__event_loop_deadline(&self->loop);

    return deadline != KIN_NEVER && deadline <= kin_now();
}

int kin_main_pump(int64_t budget)
{
    int err = 0;
    struct main_loop *self = attached_idle("kin_main_pump", &err);
    struct pump pump = {
        .frame = { .poll = pump_poll, .next = pump_next },
        .main = self, .one_pass = budget == 0,
    };

    if (!self)
        return err;
    if (budget < 0)
        return kin__misuse(KIN_EINVAL, "kin_main_pump", "budget is negative");
    if (!is_due(self)) {
        retract(self);
        if (kin__event_loop_deadline(&self->loop) != 0)
            return 0;                   /* nothing to do */
    }
    pump.until = kin_after(budget);
    err = run(&pump);
    return err ? err : pump.slices;
}

int kin_main_run(void)
{
    int err = 0;
    struct main_loop *self = attached_idle("kin_main_run", &err);
    struct pump pump = {
        .frame = { .poll = pump_poll, .next = pump_next },
        .main = self, .waits = true,
    };

    if (!self)
        return err;
    err = run(&pump);
    /* relaxed: taken by the run that has ended */
    if (!err)
        atomic_store_explicit(&self->quit, false, memory_order_relaxed);
    return err;
}

int kin_main_quit(void)
{
    struct main_loop *self = hold();

    if (!self)
        return KIN_ENOMAIN;
    /* release: pairs with acquire in is_over() */
    atomic_store_explicit(&self->quit, true, memory_order_release);
    kin__parker_wake(&self->loop.parker);
    let_go();
    return 0;
}

int kin_main_fd(void)
{
    struct main_loop *self = hold();
    int fd = KIN_ENOMAIN;

    if (self) {
        fd = self->fd;
        let_go();
    }
    return fd;
}

int64_t kin_main_deadline(void)
{
    int err = 0;
    struct main_loop *self = attached("kin_main_deadline", &err);

    return self ? kin__event_loop_deadline(&self->loop) : err;
}
