/* trace.c -- see trace.h. */
#include "core/trace.h"

#include "asm/switch.h"
#include "core/sanitize.h"

#include <unwind.h>

#if KIN__ASAN || KIN__TSAN || defined(KIN_CONTEXT_BOOST)
#define CAN_TRACE 0
#else
#define CAN_TRACE 1
#endif

struct trace {
    void *self;                     /* the context of the one who looks on   */
    const void **at;
    size_t room, count;
    size_t skip;                    /* frames that are not the fiber's       */
};

static _Unwind_Reason_Code take(struct _Unwind_Context *context, void *arg)
{
    struct trace *trace = arg;
    uintptr_t address = _Unwind_GetIP(context);

    if (trace->skip) {
        trace->skip--;
        return _URC_NO_REASON;
    }
    if (!address || trace->count == trace->room)
        return _URC_END_OF_STACK;
    trace->at[trace->count++] = (const void *)address;
    return _URC_NO_REASON;
}

void kin__trace_prepare(void)
{
    const void *at[4];
    struct trace trace = { .at = at, .room = 4 };

    if (CAN_TRACE)
        _Unwind_Backtrace(take, &trace);
}

/* On the stack of the parked fiber, called by kin__switch_then. */
static void collect(void *arg)
{
    struct trace *trace = arg;
    void *left;

    _Unwind_Backtrace(take, trace);
    kin__switch(&left, trace->self, NULL);
    __builtin_unreachable();
}

size_t kin__trace(const struct kin_fiber *fiber, const void **at, size_t room)
{
    struct trace trace = { .at = at, .room = room, .skip = 2 };

    if (!CAN_TRACE || !kin__stack_holds(&fiber->stack, fiber->sp)
        || (size_t)((char *)fiber->sp - (char *)fiber->stack.base)
           < KIN__TRACE_ROOM)
        return 0;
    kin__switch_then(&trace.self, fiber->sp, collect, &trace);
    return trace.count;
}
