/* test_scheduler.c -- the virtual clock as an object, and turning it: each call
 * is a frame that runs events, beneath whatever called. */
#include "job/test_scheduler.h"

#include "core/check.h"
#include "core/memory.h"
#include "core/thread.h"

struct drive {
    struct kin__frame frame;            /* first                             */
    kin_test_scheduler *scheduler;
    const struct kin__test_limit *limit;
};

static struct kin_task *drive_poll(struct kin__frame *frame)
{
    (void)frame;
    return kin__in_place_take(frame->thread);
}

static struct kin_task *drive_next(struct kin__frame *frame)
{
    struct drive *drive = (struct drive *)frame;

    return kin__test_next(drive->scheduler, drive->limit);
}

static bool drive_chance(struct kin__frame *frame)
{
    struct drive *drive = (struct drive *)frame;

    return kin__test_chance(drive->scheduler, drive->limit);
}

int kin__test_enter(kin_test_scheduler *scheduler, const char *function)
{
    struct kin__thread *thread = kin__thread();
    bool busy;

    if (thread->no_suspend)
        return kin__misuse(KIN_EPERM, function, "must not be called in a "
                           "callback, which cannot block");
    kin__test_lock(scheduler);
    busy = scheduler->driver && scheduler->driver != thread;
    if (!busy) {
        scheduler->driver = thread;
        scheduler->depth++;
    }
    kin__test_unlock(scheduler);
    return busy ? kin__misuse(KIN_EBUSY, function, "another thread runs the "
                              "events of this scheduler") : 0;
}

void kin__test_leave(kin_test_scheduler *scheduler)
{
    kin__test_lock(scheduler);
    if (--scheduler->depth == 0)
        scheduler->driver = NULL;
    kin__test_unlock(scheduler);
}

/* Runs what is within the limit; from inside an event, too. */
static int run_events(kin_test_scheduler *scheduler,
                      const struct kin__test_limit *limit)
{
    struct drive drive = {
        .frame = { .poll = drive_poll, .next = drive_next,
                   .chance = drive_chance },
        .scheduler = scheduler, .limit = limit,
    };

    return kin__frame_run(&drive.frame);
}

int kin_test_run_current(kin_test_scheduler *scheduler)
{
    struct kin__test_limit limit = { .idle = false };
    int err;

    if (!scheduler)
        return kin__misuse(KIN_EINVAL, "kin_test_run_current",
                           "scheduler is NULL");
    KIN_TRY(kin__test_enter(scheduler, "kin_test_run_current"));
    limit.last = kin__test_now(scheduler);
    err = run_events(scheduler, &limit);
    kin__test_leave(scheduler);
    return err;
}

int kin_test_advance_by(kin_test_scheduler *scheduler, int64_t duration)
{
    struct kin__test_limit limit = { .idle = false };
    int64_t end;
    int err;

    if (!scheduler || duration < 0)
        return kin__misuse(KIN_EINVAL, "kin_test_advance_by", "%s",
                           scheduler ? "duration is negative"
                                     : "scheduler is NULL");
    KIN_TRY(kin__test_enter(scheduler, "kin_test_advance_by"));
    end = duration < KIN_NEVER - kin__test_now(scheduler)
        ? kin__test_now(scheduler) + duration : KIN_NEVER;
    limit.last = end - 1;
    err = run_events(scheduler, &limit);
    if (!err) {
        kin__test_lock(scheduler);
        kin__test_move_clock(scheduler, end);
        kin__test_unlock(scheduler);
    }
    kin__test_leave(scheduler);
    return err;
}

int kin_test_advance_until_idle(kin_test_scheduler *scheduler)
{
    static const struct kin__test_limit limit = { .last = KIN_NEVER,
                                                 .idle = true };
    int err;

    if (!scheduler)
        return kin__misuse(KIN_EINVAL, "kin_test_advance_until_idle",
                           "scheduler is NULL");
    KIN_TRY(kin__test_enter(scheduler, "kin_test_advance_until_idle"));
    err = run_events(scheduler, &limit);
    kin__test_leave(scheduler);
    return err;
}

int64_t kin_test_now(const kin_test_scheduler *scheduler)
{
    if (!scheduler)
        return kin__misuse(KIN_EINVAL, "kin_test_now", "scheduler is NULL");
    return kin__test_now(scheduler);
}

/* --- Life ----------------------------------------------------------------- */

int kin_test_scheduler_new(kin_test_scheduler **scheduler)
{
    kin_test_scheduler *made;

    if (!scheduler)
        return kin__misuse(KIN_EINVAL, "kin_test_scheduler_new",
                           "where the handle goes is NULL");
    made = kin__calloc(1, sizeof *made);
    if (!made)
        return KIN_ENOMEM;
    pthread_mutex_init(&made->lock, NULL);
    /* relaxed: not published yet */
    atomic_store_explicit(&made->refs, 1, memory_order_relaxed);
    *scheduler = made;
    return 0;
}

kin_test_scheduler *kin_test_scheduler_retain(kin_test_scheduler *scheduler)
{
    if (scheduler)
        /* relaxed: whoever retains holds a reference */
        atomic_fetch_add_explicit(&scheduler->refs, 1, memory_order_relaxed);
    return scheduler;
}

void kin_test_scheduler_release(kin_test_scheduler *scheduler)
{
    if (!scheduler)
        return;
    /* acq_rel: the last one sees what the others did; pairs with itself */
    if (atomic_fetch_sub_explicit(&scheduler->refs, 1, memory_order_acq_rel)
        != 1)
        return;
    kin__timers_destroy(&scheduler->timers);
    pthread_mutex_destroy(&scheduler->lock);
    kin__free(scheduler);
}
