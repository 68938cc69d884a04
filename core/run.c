/* run.c -- frames, host stacks, and parking; see run.h for the picture.
 *
 * The spare.  A thread that runs fibers keeps one host stack suspended inside
 * host_main, so that parking has somewhere to go and needs no memory: it, or an
 * empty stack at hand, is provided before a body is called, where a failure can
 * be told. */
#include "core/run.h"

#include "core/check.h"
#include "core/fiber_switch.h"
#include "core/hard.h"
#include "core/overflow.h"

#include <stddef.h>

static void host_main(void *unused);

static struct kin__runnable *runnable_of(struct kin_task *task)
{
    return (struct kin__runnable *)task;
}

static bool is_runnable(const struct kin_task *task)
{
    return task->run == kin__runnable_run;
}

/* --- Host stacks ---------------------------------------------------------- */

static bool ensure_spare(struct kin__thread *thread)
{
    if (KIN__UNLIKELY(!thread->spare))
        thread->spare = kin__fiber_get(thread, 0, host_main);
    return thread->spare != NULL;
}

/* The spare is the caller's now; only after ensure_spare. */
static struct kin_fiber *take_spare(struct kin__thread *thread)
{
    struct kin_fiber *host = thread->spare;

    thread->spare = NULL;
    return host;
}

/* On the next stack: this host is not needed. */
static void put_host(void *host)
{
    kin__fiber_put(kin__thread(), host);
}

static bool is_odd(const struct kin_fiber *host)
{
    return host->stack.size_class != KIN__STACK_DEFAULT_CLASS;
}

/* Leaves the host self for `to`: it becomes the spare, or is given back. */
static void leave_host(struct kin__thread *thread, struct kin_fiber *self,
                       struct kin_fiber *to)
{
    if (!thread->spare && !is_odd(self)) {
        thread->spare = self;
        kin__fiber_switch(thread, self, to, NULL);
        return;
    }
    kin__fiber_dying(self);
    kin__fiber_switch_then(thread, self, to, put_host, self);
    KIN_UNREACHABLE("a host given back was continued");
}

/* --- Running one task on a host ------------------------------------------- */

/* A body that wants a stack of its own size: hands the task to a host on it. */
static void run_on_odd_stack(struct kin__thread *thread,
                             struct kin_fiber *self, struct kin__runnable *r)
{
    struct kin_fiber *host = kin__fiber_get(thread, r->stack_size, host_main);

    if (!host) {
        r->ops->refuse(r, KIN_ENOMEM);
        return;
    }
    r->stack_size = 0;
    thread->pending = &r->task;
    leave_host(thread, self, host);
}

/* There is a stack to go to if the body parks.  One at hand is not readied
 * before that: most likely this host comes back first, as the spare. */
static bool can_park(struct kin__thread *thread)
{
    return thread->spare || kin__stack_at_hand(&thread->stacks)
        || ensure_spare(thread);
}

static void call_body(struct kin__thread *thread, struct kin__runnable *r)
{
    if (KIN__UNLIKELY(!can_park(thread))) {
        r->ops->refuse(r, KIN_ENOMEM);
        return;
    }
    thread->current = r;
    r->ops->body(r, thread);            /* r may be gone, the thread another */
}

static void run_on_host(struct kin__thread *thread, struct kin_fiber *self,
                        struct kin_task *task)
{
    struct kin__runnable *r = runnable_of(task);

    if (!is_runnable(task)) {
        task->run(task);
    } else if (r->fiber) {
        thread->current = r;
        leave_host(thread, self, r->fiber);
    } else if (r->stack_size) {
        run_on_odd_stack(thread, self, r);
    } else {
        call_body(thread, r);
    }
}

/* A task waits in `pending`: nobody goes past it by way of the local queue. */
static void hide_local(struct kin__frame *frame)
{
    if (frame->local)
        frame->local_hidden = frame->local;
    frame->local = NULL;
}

static void show_local(struct kin__frame *frame)
{
    if (frame->local_hidden)
        frame->local = frame->local_hidden;
    frame->local_hidden = NULL;
}

/* What this host is to do now; NULL: leave for the frame's own host.  It may
 * have to leave for another one first. */
static struct kin_task *next_task(struct kin__thread *thread,
                                  struct kin_fiber *self)
{
    struct kin_task *task = thread->pending;
    struct kin__frame *frame;

    if (KIN__UNLIKELY(task)) {
        thread->pending = NULL;
        show_local(thread->frame);
        return task;
    }
    if (KIN__UNLIKELY(is_odd(self) && ensure_spare(thread)))
        leave_host(thread, self, take_spare(thread));
    frame = thread->frame;
    return frame->next ? frame->next(frame) : NULL;
}

/* What every host stack does: one task after the other, for whatever frame is
 * the top one on whatever thread it finds itself on. */
static void host_main(void *unused)
{
    struct kin_fiber *self = kin__thread()->fiber;

    (void)unused;
    for (;;) {
        struct kin__thread *thread = kin__thread();
        struct kin_task *task = next_task(thread, self);

        if (KIN__LIKELY(task))
            run_on_host(thread, self, task);
        else
            leave_host(thread, self, thread->frame->host);
    }
}

/* --- What is a slice's ---------------------------------------------------- */

void kin__undress_all(struct kin__runnable *r)
{
    if (r->dressed & KIN__WEARS_ELEMENTS)
        r->ops->leave(r);
    if (r->dressed & KIN__WEARS_EXCEPTIONS)
        kin__exceptions_off(&kin__thread()->fiber->exceptions);
}

void kin__dress_all(struct kin__runnable *r)
{
    if (r->dressed & KIN__WEARS_EXCEPTIONS)
        kin__exceptions_on(&kin__thread()->fiber->exceptions);
    if (r->dressed & KIN__WEARS_ELEMENTS)
        r->ops->enter(r);
}

/* --- Frames --------------------------------------------------------------- */

/* What a frame saves of the thread, and gives back. */
static void enter_frame(struct kin__thread *thread, struct kin__frame *frame)
{
    if (thread->current)
        kin__undress(thread->current);
    else
        kin__exceptions_off(&thread->fiber->exceptions);
    frame->outer = thread->frame;
    frame->host = thread->fiber;
    frame->thread = thread;
    frame->current = thread->current;
    frame->no_suspend = thread->no_suspend;
    frame->in_place_active = thread->in_place.active;
    frame->pending = thread->pending;
    thread->frame = frame;
    thread->current = NULL;
    thread->pending = NULL;
    thread->no_suspend = 0;
}

static void leave_frame(struct kin__thread *thread, struct kin__frame *frame)
{
    thread->frame = frame->outer;
    thread->current = frame->current;
    thread->no_suspend = frame->no_suspend;
    thread->pending = frame->pending;
    thread->in_place.active = frame->in_place_active;
    if (frame->current)
        kin__dress(frame->current);
    else
        kin__exceptions_on(&thread->fiber->exceptions);
}

void kin__run_describe(const struct kin__stack *stack, char *buffer,
                       size_t size)
{
    struct kin__thread *thread = kin__thread();

    buffer[0] = '\0';
    if (thread->current && &thread->fiber->stack == stack)
        thread->current->ops->describe(thread->current, buffer, size);
    else if (((const struct kin_fiber *)stack)->name)
        kin__append(buffer, size, kin__append(buffer, size, 0, "fiber "),
                    ((const struct kin_fiber *)stack)->name);
}

/* Once a thread: an alternate stack, for a report of an overflow.  Without it
 * fibers run all the same. */
static void make_ready(struct kin__thread *thread)
{
    if (KIN__LIKELY(thread->ready))
        return;
    thread->ready = true;
    kin__overflow_thread_enter();
}

int kin__frame_prepare(void)
{
    struct kin__thread *thread = kin__thread();

    make_ready(thread);
    return ensure_spare(thread) ? 0 : KIN_ENOMEM;
}

int kin__frame_run(struct kin__frame *frame)
{
    struct kin__thread *thread = kin__thread();
    struct kin_fiber *self = thread->fiber;

    KIN_TRY(kin__frame_prepare());
    enter_frame(thread, frame);
    thread->in_place.active = false;    /* this frame runs them itself */
    kin__fiber_switch(thread, self, take_spare(thread), NULL);
    leave_frame(kin__thread(), frame);
    return 0;
}

void kin__runnable_run(struct kin_task *task)
{
    struct kin__thread *thread = kin__thread();
    struct kin_fiber *self = thread->fiber;
    struct kin__runnable *r = runnable_of(task);
    struct kin__frame frame = { .next = NULL };

    make_ready(thread);
    if (!r->fiber && !ensure_spare(thread)) {
        r->ops->refuse(r, KIN_ENOMEM);
        return;
    }
    enter_frame(thread, &frame);
    if (r->fiber) {
        thread->current = r;
        kin__fiber_switch(thread, self, r->fiber, NULL);
    } else {
        thread->pending = task;
        kin__fiber_switch(thread, self, take_spare(thread), NULL);
    }
    leave_frame(kin__thread(), &frame);
}

/* --- Parking -------------------------------------------------------------- */

/* Where to go from a fiber that parks: the next parked one, the frame's host,
 * or a host stack with the next task.  NULL: there is no stack; a task that was
 * taken waits in `pending` for the next host. */
static struct kin_fiber *next_fiber(struct kin__thread *thread)
{
    struct kin__frame *frame = thread->frame;
    struct kin_task *task = thread->pending;

    if (!frame->poll && !task)
        return frame->host;
    if (!task)
        task = frame->poll(frame);
    if (task && kin__parked_of(task)) {
        thread->pending = NULL;
        thread->current = runnable_of(task);
        return thread->current->fiber;
    }
    thread->pending = task;
    if (KIN__LIKELY(ensure_spare(thread)))
        return take_spare(thread);
    if (task)
        hide_local(frame);
    return NULL;
}

int kin__park(void (*publish)(void *arg), void *arg)
{
    struct kin__thread *thread = kin__thread();
    struct kin_fiber *self = thread->fiber;

    struct kin__runnable *r = thread->current;
    struct kin_fiber *to;

    kin__undress(r);
    kin__hard_left(r, thread);
    r->fiber = self;
    r->parks++;
    thread->current = NULL;             /* poll may run slices in place */
    to = next_fiber(thread);
    if (KIN__UNLIKELY(!to)) {
        thread->current = r;
        kin__dress(r);
        return KIN_ENOMEM;
    }
    kin__fiber_switch_then(thread, self, to, publish, arg);
    kin__dress(r);
    return 0;
}

int kin__park_local(void (*requeue)(struct kin_task *task))
{
    struct kin__thread *thread = kin__thread();
    struct kin_fiber *self = thread->fiber;
    struct kin__runnable *r = thread->current;
    struct kin_fiber *to;

    KIN_ASSERT(thread->frame->poll);
    if (KIN__UNLIKELY(!ensure_spare(thread)))
        return KIN_ENOMEM;
    kin__undress(r);
    r->fiber = self;
    r->parks++;
    thread->current = NULL;
    requeue(&r->task);
    to = next_fiber(thread);
    if (KIN__UNLIKELY(!to))             /* queued all the same: goes on twice */
        KIN_UNREACHABLE("a local queue with a fiber in it needs no stack");
    if (to != self)                     /* most likely it has yielded, too */
        kin__fiber_switch(thread, self, to, NULL);
    kin__dress(r);
    return 0;
}

/* --- In place ------------------------------------------------------------- */

void kin__run_in_place(struct kin_task *task)
{
    struct kin__thread *thread = kin__thread();

    if (thread->in_place.active) {
        kin__task_queue_push(&thread->in_place.queue, task);
        return;
    }
    thread->in_place.active = true;
    do {
        task->run(task);
        task = kin__task_queue_pop(&kin__thread()->in_place.queue);
    } while (task);
    kin__thread()->in_place.active = false;
}

bool kin__in_place_hold(void)
{
    struct kin__thread *thread = kin__thread();
    bool held = thread->in_place.active;

    thread->in_place.active = true;
    return held;
}

void kin__in_place_let_go(bool held)
{
    kin__thread()->in_place.active = held;
}

void kin_task_run(kin_task *task)
{
    if (!task || !task->run)
        kin__misuse(KIN_EINVAL, "kin_task_run", "task is NULL or empty");
    else
        task->run(task);
}

static void put_spare(struct kin__thread *thread)
{
    if (thread->spare)
        kin__fiber_put(thread, take_spare(thread));
}

void kin__run_idle(struct kin__thread *thread)
{
    put_spare(thread);
    kin__stack_cache_tidy(&thread->stacks);
}

void kin__run_thread_exit(struct kin__thread *thread)
{
    put_spare(thread);
}
