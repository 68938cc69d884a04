/* fiber_sanitize.c -- switching between fibers under a sanitizer, which must
 * know of it; see sanitize.h.  Empty without. */
#include "core/fiber_switch.h"

#if KIN__TSAN
#include <sched.h>
#endif

#if KIN__ASAN
static void leave(struct kin__thread *thread, struct kin_fiber *from,
                  struct kin_fiber *to)
{
    from->asan_arrived = false;
    thread->left = from->asan_dying ? NULL : from;
    __sanitizer_start_switch_fiber(from->asan_dying ? NULL : &from->asan_fake,
                                   to->asan_bottom, to->asan_size);
}

/* Also learns the bounds of the stack come from: nobody else knows those of a
 * thread's own stack. */
void kin__fiber_arrive(struct kin_fiber *self)
{
    struct kin_fiber *left = kin__thread()->left;
    const void *bottom;
    size_t size;

    if (self->asan_arrived)             /* a `then` has done it */
        return;
    self->asan_arrived = true;
    __sanitizer_finish_switch_fiber(self->asan_fake, &bottom, &size);
    if (left) {
        left->asan_bottom = bottom;
        left->asan_size = size;
    }
}

/* Its fake stack is only destroyed by leaving it for good: so the runtime is
 * told that this thread goes there, and comes back. */
__attribute__((no_sanitize("address")))
void kin__fiber_forget(struct kin_fiber *fiber)
{
    const void *bottom;
    size_t size;
    void *mine;

    if (fiber->asan_dying || !fiber->asan_fake)
        return;
    __sanitizer_start_switch_fiber(&mine, fiber->asan_bottom,
                                   fiber->asan_size);
    __sanitizer_finish_switch_fiber(fiber->asan_fake, &bottom, &size);
    __sanitizer_start_switch_fiber(NULL, bottom, size);
    __sanitizer_finish_switch_fiber(mine, NULL, NULL);
    fiber->asan_fake = NULL;
}
#elif KIN__TSAN
/* To make a fiber of TSan's means to clear most of a megabyte, so they are
 * used again, the oldest first.  What a host that is given up has left on the
 * shadow stack of calls stays there, a few entries that a report would show; so
 * there is an end to it.  A generator may be dropped in the middle of many
 * calls: what it had is not used again.
 *
 * The lock is hidden from TSan, which would otherwise see an order between all
 * that begin or end a fiber, and miss races. */
enum { POOL_MIN = 32, POOL_MAX = 1024, USES_MAX = 16 };

static struct {
    char locked;
    unsigned first, count;              /* of the ring                       */
    struct { void *tsan; unsigned uses; } ring[POOL_MAX];
} pool;

#define HIDDEN __attribute__((no_sanitize("thread"), noinline))

static HIDDEN void pool_lock(void)
{
    /* acquire: pairs with release in pool_unlock() */
    while (__atomic_test_and_set(&pool.locked, __ATOMIC_ACQUIRE))
        sched_yield();
}

static HIDDEN void pool_unlock(void)
{
    /* release: pairs with acquire in pool_lock() */
    __atomic_clear(&pool.locked, __ATOMIC_RELEASE);
}

static HIDDEN bool pool_take(struct kin_fiber *fiber)
{
    bool taken;

    pool_lock();
    taken = pool.count > POOL_MIN;
    if (taken) {
        fiber->tsan = pool.ring[pool.first].tsan;
        fiber->tsan_uses = pool.ring[pool.first].uses;
        pool.first = (pool.first + 1) % POOL_MAX;
        pool.count--;
    }
    pool_unlock();
    return taken;
}

static HIDDEN bool pool_keep(struct kin_fiber *fiber)
{
    bool kept;

    pool_lock();
    kept = pool.count < POOL_MAX;
    if (kept) {
        unsigned last = (pool.first + pool.count++) % POOL_MAX;

        pool.ring[last].tsan = fiber->tsan;
        pool.ring[last].uses = fiber->tsan_uses + 1;
    }
    pool_unlock();
    return kept;
}

void kin__tsan_fiber_get(struct kin_fiber *fiber)
{
    if (!pool_take(fiber))
        fiber->tsan = __tsan_create_fiber(0);
}

void kin__tsan_fiber_put(struct kin_fiber *fiber)
{
    if (fiber->body || fiber->tsan_uses >= USES_MAX || !pool_keep(fiber))
        __tsan_destroy_fiber(fiber->tsan);
}

static inline void leave(struct kin__thread *thread, struct kin_fiber *from,
                         struct kin_fiber *to)
{
    (void)thread, (void)from;
    __tsan_switch_to_fiber(to->tsan, 0);
}

void kin__fiber_arrive(struct kin_fiber *self)
{
    (void)self;
}
#endif

#if KIN__ASAN || KIN__TSAN
void *kin__fiber_switch(struct kin__thread *thread, struct kin_fiber *from,
                        struct kin_fiber *to, void *value)
{
    void *received;

    thread->fiber = to;
    leave(thread, from, to);
    received = kin__switch(&from->stack.sp, to->stack.sp, value);
    kin__fiber_arrive(from);
    return received;
}

/* On the next stack.  What to do comes through the thread's record: locals of
 * the stack that was left may lie in a fake stack that is gone. */
static void arrive_then(void *unused)
{
    struct kin__thread *thread = kin__thread();
    void (*then)(void *arg) = thread->then;
    void *arg = thread->then_arg;

    (void)unused;
    kin__fiber_arrive(thread->fiber);
    then(arg);
}

void kin__fiber_switch_then(struct kin__thread *thread, struct kin_fiber *from,
                            struct kin_fiber *to, void (*then)(void *arg),
                            void *arg)
{
    thread->fiber = to;
    thread->then = then;
    thread->then_arg = arg;
    leave(thread, from, to);
    kin__switch_then(&from->stack.sp, to->stack.sp, arrive_then, NULL);
    kin__fiber_arrive(from);
}
#endif
