/* fiber.c -- the life of a stack as a fiber. */
#include "core/fiber.h"

#include "core/fiber_switch.h"
#include "core/stack_internal.h"
#include "core/valgrind.h"

#include <stdint.h>
#include <string.h>

/* The first function on every stack of ours. */
static void begin(void *value)
{
    struct kin_fiber *self = kin__thread()->fiber;

    kin__fiber_arrive(self);
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
    kin__tsan_fiber_get(fiber);
    fiber->stack.sp = kin__switch_make(fiber->stack.top, begin);
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
    size_t size = (size_t)((char *)(fiber + 1) - (char *)fiber->stack.base);

    kin__fiber_forget(fiber);
    kin__tsan_fiber_put(fiber);
    if (!fiber->borrowed) {
        kin__stack_put(&thread->stacks, &fiber->stack);
    } else {
        kin__asan_unpoison(fiber->stack.base, size);
        kin__valgrind_memory(fiber->stack.base, size);
    }
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
    void *suspended = thread->native.stack.sp;

    if (!fn)
        return;
    if (thread->fiber == &thread->native) {
        fn(arg);
        return;
    }
    kin__fiber_switch_then(thread, call.self, &thread->native, run_native,
                           &call);
    thread->native.stack.sp = suspended; /* same thread: fn cannot suspend */
}
