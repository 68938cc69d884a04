/* fuzz.h -- for fuzz targets: a program read from bytes, and what must hold.
 *
 * A target is tests/<layer>_<noun>_fuzz.c and defines LLVMFuzzerTestOneInput.
 * `make fuzz` links it with libFuzzer; tests/<layer>_<noun>_fuzz_test.c
 * includes it and replays its corpus in every row of the matrix.  FUZZ_STORY=1
 * in the environment has it tell what it does. */
#ifndef KIN_TESTS_FUZZ_H
#define KIN_TESTS_FUZZ_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(cond)                                                          \
    ((cond) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #cond))

/* Of a replay with calls refused (tests/check_refuse.h): true if what fails
 * now is excused; the program goes on then. */
bool check_excused(const char *what, long long a, long long b)
    __attribute__((weak));

__attribute__((unused))
static void fuzz_fail(const char *file, int line, const char *what)
{
    if (check_excused && check_excused(what, 0, 0))
        return;
    fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, what);
    abort();
}

/* One line of what happens, for whoever reads a program that failed. */
__attribute__((format(printf, 1, 2), unused))
static void fuzz_story(const char *format, ...)
{
    static int wanted = -1;
    va_list list;

    if (wanted < 0)
        wanted = getenv("FUZZ_STORY") != NULL;
    if (!wanted)
        return;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
}

/* The input, from its beginning to its end, whoever reads. */
struct fuzz_bytes {
    const uint8_t *next, *end;
};

/* 0 after the end. */
static inline unsigned fuzz_byte(struct fuzz_bytes *bytes)
{
    return bytes->next < bytes->end ? *bytes->next++ : 0;
}

static inline bool fuzz_is_over(const struct fuzz_bytes *bytes)
{
    return bytes->next == bytes->end;
}

#endif
