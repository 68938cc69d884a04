/* asm/wipe.h -- clear what lies below the caller's frame.
 *
 * Written in assembly because a C function has a frame of its own in just the
 * place that is to be cleared, and need not write all of it. */
#ifndef KIN_ASM_WIPE_H
#define KIN_ASM_WIPE_H

#include <stddef.h>

/* Writes zeroes to the `bytes` below the caller's frame, a multiple of 8, and
 * leaves nothing of its own there but (on x86-64) its return address. */
void kin__wipe_below(size_t bytes);

#endif /* KIN_ASM_WIPE_H */
