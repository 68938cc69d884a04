/* check.c -- how broken facts and misuse are told. */
#include "core/check.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void kin__check_failed(const char *what, const char *where)
{
    fprintf(stderr, "kin: %s: does not hold: %s\n", where, what);
    abort();
}

bool kin__slow_turn(size_t n)
{
    static _Atomic uint64_t steps;
    /* relaxed: any number does; hashed, for n may grow with the steps */
    uint64_t step = atomic_fetch_add_explicit(&steps, 1, memory_order_relaxed);

    return (step * 0x9e3779b97f4a7c15u >> 32) % (n + 1) == 0;
}

int kin__misuse(int code, const char *function, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "kin: misuse: %s: %s (%s)\n", function, text,
            kin_error_name(code));
    if (KIN_DEBUG)
        abort();
    return kin_fail_at("", code, "%s: %s", function, text);
}

size_t kin__append(char *buffer, size_t size, size_t length, const char *text)
{
    while (*text && length + 1 < size)
        buffer[length++] = *text++;
    if (size)
        buffer[length] = '\0';
    return length;
}
