/* asm/asm.h -- what every .S file here shares, so that they contain only
 * instructions and their meaning (ELF).
 *
 *   FUNC name ... END name   a global function, hidden from other objects
 *   LANDING                  indirect-branch landing pad (CET IBT / ARM BTI)
 *   CONTINUE_AT register     the branch to a suspended context's return
 *                            address, where no landing pad can be expected
 *   END_OF_FILE              non-executable stack + the features we honour
 */
#ifndef KIN_ASM_ASM_H
#define KIN_ASM_ASM_H

.macro FUNC name
    .text
    .globl \name
    .hidden \name
    .type \name, %function
    .p2align 6
\name:
    .cfi_startproc
.endm
.macro END name
    .cfi_endproc
    .size \name, . - \name
.endm

/* The return predictor knows only this stack's callers, so a return to the
 * other stack is mispredicted every time and a plain indirect jump is not.
 * ARM64 has no jump without a landing pad, so under BTI it must return. */
#if defined(__x86_64__) && defined(__CET__) && (__CET__ & 1)
#  define LANDING          endbr64
#  define CONTINUE_AT(reg) notrack jmp *reg
#  define PROPERTY_TYPE    0xc0000002  /* GNU_PROPERTY_X86_FEATURE_1_AND */
#elif defined(__x86_64__)
#  define LANDING
#  define CONTINUE_AT(reg) jmp *reg
#elif defined(__aarch64__) && defined(__ARM_FEATURE_BTI_DEFAULT)
#  define LANDING          hint #34    /* bti c, also a nop on older cores */
#  define CONTINUE_AT(reg) ret reg
#  define PROPERTY_TYPE    0xc0000000  /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
#elif defined(__aarch64__)
#  define LANDING
#  define CONTINUE_AT(reg) br reg
#endif

/* Bit 0 is IBT on x86 and BTI on ARM: the only feature these files honour.
 * Do not include <cet.h>: it would also claim shadow stacks (bit 1), which a
 * stack switch breaks unless it switches the shadow stack too.  Return
 * addresses are not signed either, so ARM's PAC bit (1) stays clear. */
.macro END_OF_FILE
#ifdef PROPERTY_TYPE
    .pushsection .note.gnu.property, "a"
    .p2align 3
    .long 4, 16, 5                     /* namesz, descsz, PROPERTY_TYPE_0 */
    .asciz "GNU"
    .long PROPERTY_TYPE, 4, 1, 0
    .popsection
#endif
    .section .note.GNU-stack, "", %progbits
.endm

#endif /* KIN_ASM_ASM_H */
