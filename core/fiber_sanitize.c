/* fiber_sanitize.c -- switching between fibers under a sanitizer, which must
 * know of it; see sanitize.h.  Empty without. */
#include "core/fiber_switch.h"

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
#elif KIN__TSAN
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
    received = kin__switch(&from->sp, to->sp, value);
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
    kin__switch_then(&from->sp, to->sp, arrive_then, NULL);
    kin__fiber_arrive(from);
}
#endif
