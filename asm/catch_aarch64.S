/* catch_aarch64.S -- see catch.h; AAPCS64, ELF.
 *
 *   sp -> 0x00  x29, x30            the frame record
 *         0x10  x19                 the caller's, kept for `exception`
 *
 * For the way of an exception see catch_x86_64.S. */
#include "asm/asm.h"
#if defined(__aarch64__)

/* int kin__call_catching(fn, void *a, void *b, uintptr_t c, void **exception)
 *                        x0  x1       x2       x3           x4 */
FUNC kin__call_catching
    .cfi_personality 0x1b, kin__catch_personality   /* pc-relative, 4 bytes */
    LANDING
    stp     x29, x30, [sp, #-32]!
    .cfi_adjust_cfa_offset 32
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    str     x19, [sp, #16]
    .cfi_rel_offset x19, 16
    mov     x29, sp
    mov     x19, x4
    mov     x16, x0
    mov     x0, x1
    mov     x1, x2
    mov     x2, x3
    blr     x16
.Lout:
    ldr     x19, [sp, #16]
    ldp     x29, x30, [sp], #32
    .cfi_remember_state
    .cfi_adjust_cfa_offset -32
    .cfi_restore x29
    .cfi_restore x30
    .cfi_restore x19
    ret
    .globl  kin__catch_landing
    .hidden kin__catch_landing
kin__catch_landing:                 /* x0: the exception */
    .cfi_restore_state
    hint    #36                     /* bti j: the unwinder jumps */
    str     x0, [x19]
    mov     w0, wzr
    b       .Lout
END kin__call_catching

#endif /* __aarch64__ */

/* Outside the #if: see switch_x86_64.S. */
END_OF_FILE
