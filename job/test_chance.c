/* test_chance.c -- what a seed does at a marked place (core/chance.h): now and
 * then one event that is due comes first, in a frame of its own, with whoever
 * came to the place blocked beneath it: as if another thread had been there.
 *
 * The seed says how often that is, and of one in four seeds it is never, so
 * that the order of the queue alone is explored, too.  The clock stands still
 * meanwhile: what is not due at this instant is no rival. */
#include "job/test_scheduler.h"

#include "core/thread.h"

enum { NESTED_MAX = 3 };

struct chance {
    struct kin__frame frame;            /* first                             */
    kin_test_scheduler *scheduler;
    const struct kin__test_limit *limit;
    bool drawn;                         /* there was the one event           */
    bool ran;
};

static struct kin_task *chance_poll(struct kin__frame *frame)
{
    (void)frame;
    return kin__in_place_take(frame->thread);
}

static struct kin_task *chance_next(struct kin__frame *frame)
{
    struct chance *chance = (struct chance *)frame;

    if (chance->drawn)
        return kin__in_place_take(frame->thread);
    chance->drawn = true;
    return kin__test_next_one(chance->scheduler, chance->limit, &chance->ran);
}

static bool chance_chance(struct kin__frame *frame)
{
    struct chance *chance = (struct chance *)frame;

    return kin__test_chance(chance->scheduler, chance->limit);
}

bool kin__test_chance(kin_test_scheduler *scheduler,
                      const struct kin__test_limit *limit)
{
    struct kin__test_limit now = {
        .last = kin__test_now(scheduler), .idle = limit->idle, .amid = true,
    };
    struct chance chance = {
        .frame = { .poll = chance_poll, .next = chance_next,
                   .chance = chance_chance },
        .scheduler = scheduler, .limit = &now,
    };

    if (now.last > limit->last)
        now.last = limit->last;
    if (scheduler->chances == NESTED_MAX || !kin__test_draws(scheduler))
        return false;
    scheduler->chances++;
    if (kin__frame_run(&chance.frame) != 0)
        chance.ran = false;             /* without memory: not this time */
    scheduler->chances--;
    return chance.ran;
}
