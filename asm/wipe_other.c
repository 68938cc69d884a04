/* asm/wipe_other.c -- for CPUs without an assembly file: see wipe.h.  What the
 * frame of this function covers without writing to it is left as it was. */
#if !defined(__x86_64__) && !defined(__aarch64__)
#include "asm/wipe.h"

#include <stdint.h>

__attribute__((noinline)) void kin__wipe_below(size_t bytes)
{
    volatile uint64_t *end = __builtin_frame_address(0);
    volatile uint64_t *word = end - bytes / sizeof *word;

    while (word < end - 16)
        *word++ = 0;
}

#else
typedef int kin__not_an_empty_file;
#endif
