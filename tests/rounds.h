/* rounds.h -- how often a race is run, and its random numbers. */
#ifndef KIN_TESTS_ROUNDS_H
#define KIN_TESTS_ROUNDS_H

#include "core/sanitize.h"
#include "tests/check.h"

#include <stdint.h>
#include <stdlib.h>

enum { RACE_ROUNDS = 100000 };

/* For a file to define: by how much there are less under ThreadSanitizer in
 * the usual run.  `make stress` has them all. */
#ifndef RACE_LESS
#define RACE_LESS 1
#endif

/* A number above 0, or `usual`. */
static inline int race_setting(const char *name, int usual)
{
    const char *text = getenv(name);

    return text && atoi(text) > 0 ? atoi(text) : usual;
}

/* `rounds`; a quarter with sanitizers but for ThreadSanitizer, fewer where
 * everything is emulated, never none.  With KIN_TEST_SHARE=n at most the nth
 * part (the Makefile says where); with KIN_TEST_ROUNDS=n, n of every race. */
static inline int race_rounds(int rounds)
{
    int slow = (int)check_slow(1), share = race_setting("KIN_TEST_SHARE", 1);
    int part = slow > 4 ? slow * slow
             : slow == 1 ? 1 : KIN__TSAN ? RACE_LESS : 4;
    int fewer = rounds / (share > part ? share : part);

    return race_setting("KIN_TEST_ROUNDS", fewer > 100 ? fewer : 100);
}

static inline uint32_t race_next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* What the nth thread draws, from KIN_SEED: something else than the others. */
static inline uint32_t race_seed(uint32_t n)
{
    const char *seed = getenv("KIN_SEED");
    uint32_t number = seed ? (uint32_t)strtoul(seed, NULL, 0) : 1;

    return (number * 2654435761u + n * 2246822518u) | 1;
}

#endif
