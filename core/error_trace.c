/* error_trace.c -- where an error was made: a backtrace, in debug builds.
 *
 * The addresses are taken when the error is made, which is cheap; names are
 * looked up when a report is written.  libgcc's unwinder is loaded by the first
 * backtrace() of a process: at start, not on the small stack of a fiber. */
#include "core/error_internal.h"

#include "core/check.h"

#if KIN_DEBUG

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OURS 5                          /* calls inside error*.c             */

__attribute__((constructor)) static void load_unwinder(void)
{
    void *frame;

    backtrace(&frame, 1);
}

uint8_t kin__error_trace(void *frames[KIN__FRAMES])
{
    int count = backtrace(frames, KIN__FRAMES) - OURS;

    if (count <= 0)
        return 0;
    memmove(frames, frames + OURS, (size_t)count * sizeof *frames);
    return (uint8_t)count;
}

size_t kin__error_format_trace(const kin_error *error, char *buffer,
                               size_t size)
{
    const char *before = "\n  made at:\n    ";
    size_t length = 0;
    char **names;

    while (error && !error->frames)
        error = kin_error_cause(error);
    names = error ? backtrace_symbols((void *const *)(error + 1),
                                      error->frames) : NULL;
    for (int i = 0; names && i < error->frames; i++) {
        length += (size_t)snprintf(length < size ? buffer + length : NULL,
                                   length < size ? size - length : 0,
                                   "%s%s", before, names[i]);
        before = "\n    ";
    }
    if (!length && size)
        *buffer = '\0';
    free(names);
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
