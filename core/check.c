/* check.c -- how broken facts and misuse are told. */
#include "core/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void kin__check_failed(const char *what, const char *where)
{
    fprintf(stderr, "kin: %s: does not hold: %s\n", where, what);
    abort();
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
