/* asm/switch_x86_64.S -- the switch for the System V AMD64 ABI.
 *
 * A suspended context is one pointer: its stack pointer, which points at this
 * frame.  Nothing below it is live.
 *
 *   sp -> 0x00  mxcsr                4    new context: its maker's
 *         0x04  x87 control word     2+2  new context: its maker's
 *         0x08  r12                  8    new context: entry
 *         0x10  r13 r14 r15 rbx     32
 *         0x30  rbp                  8    new context: 0, ends frame chains
 *         0x38  return address       8    pushed by the caller's call
 *         0x40  caller's frame            16-byte aligned
 *
 * Saved because the ABI says callee-saved: rbx rbp r12-r15 and the control
 * bits of mxcsr and x87 (mxcsr's sticky flags travel along).  Not saved: what
 * a caller considers lost anyway, the signal mask, fs (thread-local storage
 * belongs to the thread), and the shadow stack (see END_OF_FILE).
 *
 * The call frame information is true at every instruction.  The move of rsp
 * needs none: both stacks have the same frame at that moment.
 *
 * Nearly all the time goes into stmxcsr, so it starts first, into the red
 * zone where the frame will be.  Its result is never looked at: waiting for
 * it to skip an ldmxcsr costs more than the ldmxcsr.  Comparing the x87
 * control word to skip fldcw does pay.
 */
#include "asm/asm.h"
#if defined(__x86_64__) && !defined(KIN_CONTEXT_BOOST)

#define MXCSR  0x00
#define X87CW  0x04
#define R12    0x08
#define RBP    0x30
#define RETURN 0x38
#define FRAME  0x40

.macro PUSH reg
    pushq   %\reg
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \reg, 0
.endm
.macro POP reg
    popq    %\reg
    .cfi_adjust_cfa_offset -8
    .cfi_restore \reg
.endm

/* Completes the frame that the caller's call began; r9w = control word. */
.macro SAVE
    stmxcsr MXCSR - RETURN(%rsp)
    PUSH    rbp
    PUSH    rbx
    PUSH    r15
    PUSH    r14
    PUSH    r13
    PUSH    r12
    subq    $8, %rsp
    .cfi_adjust_cfa_offset 8
    fnstcw  X87CW(%rsp)
    movzwl  X87CW(%rsp), %r9d
.endm

/* Loads the frame's floating-point control state; r9w = control word now. */
.macro LOAD_FP_CONTROL
    ldmxcsr MXCSR(%rsp)
    cmpw    %r9w, X87CW(%rsp)
    jne     9f
8:
.endm

/* Stands behind the last jump of a function that uses LOAD_FP_CONTROL. */
.macro LOAD_OTHER_X87CW
9:  fldcw   X87CW(%rsp)
    jmp     8b
.endm

/* Takes the frame off, but for the return address. */
.macro RESTORE
    addq    $8, %rsp
    .cfi_adjust_cfa_offset -8
    POP     r12
    POP     r13
    POP     r14
    POP     r15
    POP     rbx
    POP     rbp
.endm

/* Takes all of the frame off and goes on where its call returns to. */
.macro RESTORE_AND_CONTINUE
    .cfi_remember_state
    RESTORE
    popq    %rcx                    /* stays readable, in the red zone */
    .cfi_adjust_cfa_offset -8
    CONTINUE_AT(%rcx)
    .cfi_restore_state
.endm

/* void *kin__switch(void **from, void *to, void *value)
 *                   rdi          rsi       rdx */
FUNC kin__switch
    LANDING
    SAVE
    movq    %rsp, (%rdi)            /* saved; not yet published */
    movq    %rsi, %rsp              /* from here on: the other stack */
    movq    %rdx, %rax
    LOAD_FP_CONTROL
    RESTORE_AND_CONTINUE
    LOAD_OTHER_X87CW
END kin__switch

FUNC kin__switch_alike
    LANDING
    SAVE
    movq    %rsp, (%rdi)
    movq    %rsi, %rsp
    movq    %rdx, %rax
    LOAD_FP_CONTROL
    .cfi_remember_state
    RESTORE
    ret
    .cfi_restore_state
    LOAD_OTHER_X87CW
END kin__switch_alike

/* void *kin__switch_then(void **from, void *to, void (*then)(void *),
 *                        rdi          rsi       rdx
 *                        void *arg)
 *                        rcx
 * `then` runs below the target's frame, which is only read, and may be left
 * for ever at any point of it.  rbx carries arg across: its owner's value is
 * in the frame. */
FUNC kin__switch_then
    LANDING
    SAVE
    movq    %rsp, (%rdi)
    movq    %rsi, %rsp
    LOAD_FP_CONTROL
    movq    %rcx, %rbx
    movq    %rcx, %rdi
    call    *%rdx                   /* the frame is 16-byte aligned */
    movq    %rbx, %rax
    RESTORE_AND_CONTINUE
    LOAD_OTHER_X87CW
END kin__switch_then

/* Where a new context begins, one instruction in: unwinders look for the
 * caller at the byte before a return address.  In: r12 entry, rax value.  The
 * unwind ends here, for readers of these rules, of frame pointers (rbp is 0)
 * and of stacks (the word where a return address would be is 0). */
FUNC kin__switch_start
    .cfi_undefined rip
    nop
.Lstart:
    movq    %rax, %rdi
    call    *%r12
    ud2                             /* entry must not return */
END kin__switch_start

/* void *kin__switch_make(void *top, void (*entry)(void *value))
 *                        rdi        rsi */
FUNC kin__switch_make
    LANDING
    andq    $-16, %rdi
    xorl    %ecx, %ecx
    leaq    .Lstart(%rip), %rdx
    leaq    -(FRAME + 16)(%rdi), %rax
    stmxcsr MXCSR(%rax)
    fnstcw  X87CW(%rax)
    movq    %rsi, R12(%rax)
    movq    %rcx, RBP(%rax)
    movq    %rdx, RETURN(%rax)
    movq    %rcx, FRAME(%rax)       /* no return address above the root */
    ret
END kin__switch_make

#endif /* __x86_64__ */

/* Outside the #if: an object without these notes, even an empty one, makes
 * the linker give the whole program an executable stack. */
END_OF_FILE
