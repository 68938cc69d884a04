/* asm/switch_aarch64.S -- the switch for AAPCS64.
 *
 *   sp -> 0x00  d8 ... d15         low 64 bits of v8-v15
 *         0x40  x19 x20 ... x28    new context: x19 entry
 *         0x90  x29 (fp)           new context: 0, ends the frame chain
 *         0x98  x30 (lr)           where the switch returns to
 *         0xa0  fpcr, pad          new context: its maker's
 *         0xb0  caller's frame     16-byte aligned
 *
 * FPCR belongs to the context, as mxcsr does on x86-64: AAPCS64 calls it
 * global state, and C's floating-point environment would otherwise leak from
 * one context into the next.  It is written only where it differs, which is
 * rare; writing it may drain the pipeline.
 *
 * x18 is never touched: it is the platform's register and holds the thread's
 * shadow call stack on Android.  The return address is not signed; what the
 * caller has signed in its own frame comes back at the same sp.  SVE's
 * callee-saved state exists only between functions of that calling
 * convention, which the switch is not; ZA must be off.
 *
 * The rest as in switch_x86_64.S.
 */
#include "asm/asm.h"
#if defined(__aarch64__) && !defined(KIN_CONTEXT_BOOST)

#define D8    0x00
#define X19   0x40
#define X29   0x90
#define FPCR  0xa0
#define FRAME 0xb0

/* Saves or loads two registers, number by number for the unwinder. */
.macro SAVE_PAIR a, b, offset, dwarf
    stp     \a, \b, [sp, #\offset]
    .cfi_rel_offset \dwarf, \offset
    .cfi_rel_offset \dwarf + 1, \offset + 8
.endm
.macro LOAD_PAIR a, b, offset, dwarf
    ldp     \a, \b, [sp, #\offset]
    .cfi_restore \dwarf
    .cfi_restore \dwarf + 1
.endm
.macro EACH_PAIR do
    \do     d8,  d9,  D8,         72
    \do     d10, d11, D8 + 0x10,  74
    \do     d12, d13, D8 + 0x20,  76
    \do     d14, d15, D8 + 0x30,  78
    \do     x19, x20, X19,        19
    \do     x21, x22, X19 + 0x10, 21
    \do     x23, x24, X19 + 0x20, 23
    \do     x25, x26, X19 + 0x30, 25
    \do     x27, x28, X19 + 0x40, 27
    \do     x29, x30, X29,        29
.endm

/* Makes the frame; x9 = fpcr, x10 = sp. */
.macro SAVE
    sub     sp, sp, #FRAME
    .cfi_adjust_cfa_offset FRAME
    EACH_PAIR SAVE_PAIR
    mrs     x9, fpcr
    str     x9, [sp, #FPCR]
    mov     x10, sp
.endm

/* Loads the frame's fpcr; x9 = fpcr now. */
.macro LOAD_FP_CONTROL
    ldr     x11, [sp, #FPCR]
    cmp     x9, x11
    b.ne    9f
8:
.endm

/* Stands behind the last jump of a function that uses LOAD_FP_CONTROL. */
.macro LOAD_OTHER_FPCR
9:  msr     fpcr, x11
    b       8b
.endm

.macro RESTORE
    EACH_PAIR LOAD_PAIR
    add     sp, sp, #FRAME
    .cfi_adjust_cfa_offset -FRAME
.endm
.macro RESTORE_AND_CONTINUE
    .cfi_remember_state
    RESTORE
    CONTINUE_AT(x30)
    .cfi_restore_state
.endm

/* void *kin__switch(void **from, void *to, void *value)
 *                   x0           x1        x2 */
FUNC kin__switch
    LANDING
    SAVE
    str     x10, [x0]               /* saved; not yet published */
    mov     sp, x1                  /* from here on: the other stack */
    mov     x0, x2
    LOAD_FP_CONTROL
    RESTORE_AND_CONTINUE
    LOAD_OTHER_FPCR
END kin__switch

/* void *kin__switch_then(void **from, void *to, void (*then)(void *),
 *                        x0           x1        x2
 *                        void *arg)
 *                        x3 */
FUNC kin__switch_then
    LANDING
    SAVE
    str     x10, [x0]
    mov     sp, x1
    LOAD_FP_CONTROL
    mov     x19, x3
    mov     x0, x3
    blr     x2
    mov     x0, x19
    RESTORE_AND_CONTINUE
    LOAD_OTHER_FPCR
END kin__switch_then

/* In: x19 entry, x0 value.  Reached by CONTINUE_AT, which needs no landing
 * pad; why one instruction in: see switch_x86_64.S. */
FUNC kin__switch_start
    .cfi_undefined x30
    nop
.Lstart:
    blr     x19
    brk     #1                      /* entry must not return */
END kin__switch_start

/* void *kin__switch_make(void *top, void (*entry)(void *value))
 *                        x0         x1 */
FUNC kin__switch_make
    LANDING
    and     x0, x0, #~15
    sub     x0, x0, #FRAME + 16
    adr     x2, .Lstart
    mrs     x3, fpcr
    str     x1, [x0, #X19]
    stp     xzr, x2, [x0, #X29]
    str     x3, [x0, #FPCR]
    stp     xzr, xzr, [x0, #FRAME]  /* no frame record above the root */
    ret
END kin__switch_make

#endif /* __aarch64__ */

/* Outside the #if: see switch_x86_64.S. */
END_OF_FILE
