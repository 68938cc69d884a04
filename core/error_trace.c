/* error_trace.c -- where an error was made: a backtrace, in debug builds.
 *
 * The addresses are taken when the error is made, which is cheap; names are
 * looked up when a report is written.  The unwinder makes itself ready by the
 * first trace of a process: at start, not on the small stack of a fiber. */
#include "core/error_internal.h"

#include "core/check.h"
#include "core/trace.h"

#if KIN_DEBUG

#include <stdio.h>
#include <string.h>

#define OURS 5                          /* calls inside error*.c             */

__attribute__((constructor)) static void load_unwinder(void)
{
    kin__trace_prepare();
}

uint8_t kin__error_trace(void *frames[KIN__FRAMES])
{
    const void *at[KIN__FRAMES + OURS];
    size_t count = kin__trace_here(at, KIN__FRAMES + OURS);

    if (count <= OURS)
        return 0;
    memcpy(frames, at + OURS, (count - OURS) * sizeof *frames);
    return (uint8_t)(count - OURS);
}

size_t kin__error_format_trace(const kin_error *error, char *buffer,
                               size_t size)
{
    const char *before = "\n  made at:\n    ";
    size_t length = 0;

    while (error && !error->frames)
        error = kin_error_cause(error);
    for (int i = 0; error && i < error->frames; i++) {
        void *const *frames = (void *const *)(error + 1);
        char name[KIN__TRACE_NAME];

        kin__trace_name((uintptr_t)frames[i], name, sizeof name);
        length += (size_t)snprintf(length < size ? buffer + length : NULL,
                                   length < size ? size - length : 0,
                                   "%s%s", before, name);
        before = "\n    ";
    }
    if (!length && size)
        *buffer = '\0';
    return length;
}

#else

uint8_t kin__error_trace(void *frames[KIN__FRAMES])
{
    (void)frames;
    return 0;
}

size_t kin__error_format_trace(const kin_error *error, char *buffer,
                               size_t size)
{
    (void)error;
    if (size)
        *buffer = '\0';
    return 0;
}

#endif
