/* catch.c -- the personality of kin__call_catching: it has one call, and
 * whatever that throws ends there. */
#include "asm/catch.h"

#include <unwind.h>

#if defined(__x86_64__) || defined(__aarch64__)

extern const char kin__catch_landing[];

_Unwind_Reason_Code
kin__catch_personality(int version, _Unwind_Action actions,
                       _Unwind_Exception_Class of,
                       struct _Unwind_Exception *exception,
                       struct _Unwind_Context *context);

_Unwind_Reason_Code
kin__catch_personality(int version, _Unwind_Action actions,
                       _Unwind_Exception_Class of,
                       struct _Unwind_Exception *exception,
                       struct _Unwind_Context *context)
{
    (void)of;
    if (version != 1)
        return _URC_FATAL_PHASE1_ERROR;
    if (actions & _UA_FORCE_UNWIND)
        return _URC_CONTINUE_UNWIND;
    if (actions & _UA_SEARCH_PHASE)
        return _URC_HANDLER_FOUND;
    if (!(actions & _UA_HANDLER_FRAME))
        return _URC_CONTINUE_UNWIND;
    _Unwind_SetGR(context, __builtin_eh_return_data_regno(0),
                  (_Unwind_Word)(uintptr_t)exception);
    _Unwind_SetIP(context, (_Unwind_Ptr)(uintptr_t)kin__catch_landing);
    return _URC_INSTALL_CONTEXT;
}

#else
/* On other CPUs an exception that leaves a body ends the program. */
int kin__call_catching(kin__caught_fn *fn, void *a, void *b, uintptr_t c,
                       void **exception)
{
    (void)exception;
    return fn(a, b, c);
}
#endif
