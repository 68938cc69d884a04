/* hold.c -- the locks that fibers of this thread hold, in debug builds.
 *
 * A held lock forbids what a callback forbids, by the same counter, so that a
 * call that suspends looks at one word for both.  The list only serves to tell
 * which lock it was. */
#include "core/hold.h"

#include "core/check.h"
#include "core/fork.h"
#include "core/memory.h"
#include "core/run.h"
#include "kin/lock.h"

struct kin__held {
    struct kin__held *outer;
    const struct kin__runnable *holder;
    const void *lock;
    const char *where;
};

void kin_lock_taken(const void *lock, const char *where)
{
    struct kin__thread *thread;
    struct kin__held *held;

    if (!KIN_DEBUG)
        return;
    thread = kin__thread();
    held = thread->current ? kin__malloc(sizeof *held) : NULL;
    if (!held)
        return;                         /* off a fiber, or not watched */
    *held = (struct kin__held){ .outer = thread->held, .lock = lock,
                                .holder = thread->current,
                                .where = where ? where : "?" };
    thread->held = held;
    thread->no_suspend++;
}

/* Takes the newest of that lock from the list, or NULL. */
static struct kin__held *take(struct kin__thread *thread, const void *lock)
{
    struct kin__held **link = &thread->held, *held;

    while (*link && (*link)->lock != lock)
        link = &(*link)->outer;
    held = *link;
    if (held)
        *link = held->outer;
    return held;
}

void kin_lock_released(const void *lock)
{
    struct kin__thread *thread;
    struct kin__held *held;

    if (!KIN_DEBUG)
        return;
    thread = kin__thread();
    held = take(thread, lock);
    if (held && held->holder == thread->current)
        thread->no_suspend--;
    kin__free(held);
}

static void describe(struct kin__runnable *r, char *text, size_t size)
{
    text[0] = '\0';
    r->ops->describe(r, text, size);
}

int kin__hold_refuse(const char *function, const char *verb)
{
    struct kin__thread *thread = kin__thread();
    struct kin__held *held = thread->held;
    char who[200];

    if (kin__is_forked)
        return kin__fork_refuse(function);
    if (!held || held->holder != thread->current)
        return kin__misuse(KIN_EPERM, function, "must not be called in a "
                           "callback, which cannot %s", verb);
    describe(thread->current, who, sizeof who);
    return kin__misuse(KIN_EPERM, function, "must not be called while the lock "
                       "%p is held, which was taken at %s, by %s", held->lock,
                       held->where, who);
}

void kin__hold_end(struct kin__thread *thread)
{
    struct kin__held *held;
    char who[200];

    while ((held = thread->held) && held->holder == thread->current) {
        thread->held = held->outer;
        thread->no_suspend--;
        describe(thread->current, who, sizeof who);
        (void)kin__misuse(KIN_EPERM, "kin_lock_taken", "the lock %p, taken at "
                          "%s, is still held at the end of %s", held->lock,
                          held->where, who);
        kin__free(held);
    }
}
