/* trace.c -- see trace.h.
 *
 * The compiler's unwinder and dladdr() do what glibc's backtrace() and
 * backtrace_symbols() would; Android has those two only from level 33 on. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/trace.h"

#include "asm/switch.h"
#include "core/sanitize.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
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

    if (!CAN_TRACE || !kin__stack_holds(&fiber->stack, fiber->stack.sp)
        || (size_t)((char *)fiber->stack.sp - (char *)fiber->stack.base)
           < KIN__TRACE_ROOM)
        return 0;
    kin__switch_then(&trace.self, fiber->stack.sp, collect, &trace);
    return trace.count;
}

__attribute__((noinline)) size_t kin__trace_here(const void **at, size_t room)
{
    struct trace trace = { .at = at, .room = room, .skip = 1 };

    _Unwind_Backtrace(take, &trace);
    return trace.count;
}

/* dladdr() names the function that covers the address, not the nearest: what
 * is not exported has no name. */
size_t kin__trace_name(uintptr_t address, char *buffer, size_t size)
{
    const void *call = (const void *)(address - 1); /* it may be the last one */
    char function[256] = "";
    const char *module;
    Dl_info info;

    if (!dladdr(call, &info) || !info.dli_fname)
        return (size_t)snprintf(buffer, size, "0x%" PRIxPTR, address);
    if (info.dli_sname)
        snprintf(function, sizeof function, "%.200s+0x%" PRIxPTR " ",
                 info.dli_sname, address - (uintptr_t)info.dli_saddr);
    module = strrchr(info.dli_fname, '/');
    return (size_t)snprintf(buffer, size, "%s(%s+0x%" PRIxPTR ")", function,
                            module ? module + 1 : info.dli_fname,
                            address - (uintptr_t)info.dli_fbase);
}
