/* fiber.c -- switching between fibers, with what the sanitizers must know; and
 * the life of a stack as a fiber. */
#include "core/fiber.h"

#include "asm/switch.h"
#include "core/sanitize.h"
#include "core/thread.h"

#include <stdint.h>
#include <string.h>

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
static void arrive(struct kin_fiber *self)
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
#else
static inline void leave(struct kin__thread *thread, struct kin_fiber *from,
                         struct kin_fiber *to)
{
    (void)thread, (void)from, (void)to;
}

static inline void arrive(struct kin_fiber *self)
{
    (void)self;
}
#endif

void *kin__fiber_switch(struct kin__thread *thread, struct kin_fiber *from,
                        struct kin_fiber *to, void *value)
{
    void *received;

    thread->fiber = to;
    leave(thread, from, to);
#if KIN__TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
    received = kin__switch(&from->sp, to->sp, value);
    arrive(from);
    return received;
}

#if KIN__ASAN
/* On the next stack.  What to do comes through the thread's record: locals of
 * the stack that was left may lie in a fake stack that is gone. */
static void arrive_then(void *unused)
{
    struct kin__thread *thread = kin__thread();
    void (*then)(void *arg) = thread->then;
    void *arg = thread->then_arg;

    (void)unused;
    arrive(thread->fiber);
    then(arg);
}
#endif

void kin__fiber_switch_then(struct kin__thread *thread, struct kin_fiber *from,
                            struct kin_fiber *to, void (*then)(void *arg),
                            void *arg)
{
    thread->fiber = to;
    leave(thread, from, to);
#if KIN__TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
#if KIN__ASAN
    thread->then = then;
    thread->then_arg = arg;
    kin__switch_then(&from->sp, to->sp, arrive_then, NULL);
#else
    kin__switch_then(&from->sp, to->sp, then, arg);
#endif
    arrive(from);
}

/* The first function on every stack of ours. */
static void begin(void *value)
{
    struct kin_fiber *self = kin__thread()->fiber;

    arrive(self);
    self->entry(value);
    __builtin_unreachable();
}

/* Readies an empty stack, whose bounds are in fiber->stack. */
static void make(struct kin_fiber *fiber, void (*entry)(void *value))
{
    size_t skip = sizeof fiber->stack;

    memset((char *)fiber + skip, 0, sizeof *fiber - skip);
    fiber->entry = entry;
    fiber->asan_bottom = fiber->stack.base;
    fiber->asan_size = (size_t)((char *)fiber->stack.top
                                - (char *)fiber->stack.base);
#if KIN__TSAN
    fiber->tsan = __tsan_create_fiber(0);
#endif
    fiber->sp = kin__switch_make(fiber->stack.top, begin);
}

struct kin_fiber *kin__fiber_get(struct kin__thread *thread, size_t size,
                                 void (*entry)(void *value))
{
    struct kin__stack *stack;
    struct kin_fiber *fiber;

    if (kin__stack_get(&thread->stacks, size, &stack) != 0)
        return NULL;
    fiber = (struct kin_fiber *)stack;
    make(fiber, entry);
    return fiber;
}

struct kin_fiber *kin__fiber_on_memory(void *memory, size_t size,
                                       void (*entry)(void *value))
{
    uintptr_t end = ((uintptr_t)memory + size - KIN__STACK_RECORD)
                    & ~(uintptr_t)63;
    struct kin_fiber *fiber = (struct kin_fiber *)end;

    memset(&fiber->stack, 0, sizeof fiber->stack);
    fiber->stack.base = memory;
    fiber->stack.top = fiber;
    make(fiber, entry);
    fiber->borrowed = true;
    return fiber;
}

void kin__fiber_put(struct kin__thread *thread, struct kin_fiber *fiber)
{
#if KIN__TSAN
    __tsan_destroy_fiber(fiber->tsan);
#endif
    if (!fiber->borrowed)
        kin__stack_put(&thread->stacks, &fiber->stack);
}

/* --- Code that needs the thread's own stack ------------------------------- */

struct native_call {
    struct kin_fiber *self;
    void (*fn)(void *arg);
    void *arg;
};

/* On the thread's own stack, below what is suspended there. */
static void run_native(void *arg)
{
    struct native_call *call = arg;
    struct kin__thread *thread = kin__thread();

    thread->no_suspend++;
    call->fn(call->arg);
    thread = kin__thread();
    thread->no_suspend--;
    kin__fiber_switch(thread, &thread->native, call->self, NULL);
    __builtin_unreachable();
}

void kin_call_on_thread_stack(void (*fn)(void *arg), void *arg)
{
    struct kin__thread *thread = kin__thread();
    struct native_call call = { .self = thread->fiber, .fn = fn, .arg = arg };
    void *suspended = thread->native.sp;

    if (!fn)
        return;
    if (thread->fiber == &thread->native) {
        fn(arg);
        return;
    }
    kin__fiber_switch_then(thread, call.self, &thread->native, run_native,
                           &call);
    thread->native.sp = suspended;      /* same thread: fn cannot suspend */
}
