/* core/fiber_switch.h -- leaving one fiber for another. */
#ifndef KIN_CORE_FIBER_SWITCH_H
#define KIN_CORE_FIBER_SWITCH_H

#include "asm/switch.h"
#include "core/fiber.h"
#include "core/sanitize.h"
#include "core/thread.h"

/* kin__fiber_switch: leaves the running fiber `from` and continues `to`; thread
 * is the calling thread's record, which is updated and must not be used again
 * afterwards.  Returns what the one who continues `from` passes as value.
 *
 * kin__fiber_switch_then: likewise, but calls then(arg) on the stack of `to`
 * first, when `from` is saved and may be published.  `from` is not touched any
 * more after that.
 *
 * Inlined, since each call that returns after a switch is one misprediction
 * more; with a sanitizer there is more to do, in fiber_sanitize.c. */
#if KIN__ASAN || KIN__TSAN
void *kin__fiber_switch(struct kin__thread *thread, struct kin_fiber *from,
                        struct kin_fiber *to, void *value);
void kin__fiber_switch_then(struct kin__thread *thread, struct kin_fiber *from,
                            struct kin_fiber *to, void (*then)(void *arg),
                            void *arg);

/* The first thing on a fresh stack. */
void kin__fiber_arrive(struct kin_fiber *self);
#else
static inline void *kin__fiber_switch(struct kin__thread *thread,
                                      struct kin_fiber *from,
                                      struct kin_fiber *to, void *value)
{
    thread->fiber = to;
    return kin__switch_here(&from->stack.sp, to->stack.sp, value);
}

static inline void kin__fiber_switch_then(struct kin__thread *thread,
                                          struct kin_fiber *from,
                                          struct kin_fiber *to,
                                          void (*then)(void *arg), void *arg)
{
    thread->fiber = to;
    kin__switch_then_here(&from->stack.sp, to->stack.sp, then, arg);
}

static inline void kin__fiber_arrive(struct kin_fiber *self)
{
    (void)self;
}
#endif

/* Gives a fresh fiber its counterpart in ThreadSanitizer; takes that back. */
#if KIN__TSAN
void kin__tsan_fiber_get(struct kin_fiber *fiber);
void kin__tsan_fiber_put(struct kin_fiber *fiber);
#else
static inline void kin__tsan_fiber_get(struct kin_fiber *fiber)
{
    (void)fiber;
}

static inline void kin__tsan_fiber_put(struct kin_fiber *fiber)
{
    (void)fiber;
}
#endif

/* The fiber is suspended, and will not be continued. */
#if KIN__ASAN
void kin__fiber_forget(struct kin_fiber *fiber);
#else
static inline void kin__fiber_forget(struct kin_fiber *fiber)
{
    (void)fiber;
}
#endif

#endif /* KIN_CORE_FIBER_SWITCH_H */
