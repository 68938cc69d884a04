/* asm/switch_x86_64.S -- the switch for the System V AMD64 ABI.
 *
 * A suspended context is one pointer, which points at this frame.  Nothing
 * below it is live.
 *
 *   sp -> 0x00  mxcsr                4
 *         0x04  x87 control word     2+2
 *         0x08  rbp                  8    new context: 0, ends frame chains
 *         0x10  where it goes on     8    with rax = the value
 *         0x18  its stack, as it left it; new context: entry, 0
 *
 * Every way to suspend leaves this frame, and so every way to continue can
 * continue every context.  What else it needs of its registers a context has
 * put on its stack before: kin__switch all that a call must preserve, and the
 * inlined form (kin__switch_here in switch.h) what the compiler finds live.
 *
 * Preserved because the ABI says so: rbx rbp r12-r15 and the control bits of
 * mxcsr and x87.  Not preserved: what a caller considers lost anyway (mxcsr's
 * status flags among it), the signal mask, fs (thread-local storage belongs to
 * the thread), and the shadow stack (see END_OF_FILE).
 *
 * Loading mxcsr or the control word is dear, tens of nanoseconds on some CPUs
 * where it changes even a status flag; reading them is nearly free.  So what
 * the two contexts left with is compared, and nothing loaded if the control
 * bits agree.  Each is compared as wide as it was stored, or the load would
 * wait for both stores.
 *
 * The call frame information is true at every instruction: the frame is that
 * of a function, called from where the context goes on, which has saved rbp.
 * The move of rsp needs none, since both stacks have it at that moment.
 */
#include "asm/asm.h"
#if defined(__x86_64__) && !defined(KIN_CONTEXT_BOOST)

#define MXCSR  0x00
#define X87CW  0x04
#define RBP    0x08
#define GO_ON  0x10
#define FRAME  0x18

#define MXCSR_CONTROL -64               /* all but the six status flags */

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

/* In a function that is jumped to: the word below rsp is where the context
 * goes on.  Completes the frame there, which signals do not touch, and loads
 * the floating-point control of `to` (rsi) if it differs.  Uses r8, r9. */
.macro SUSPEND
    movq    %rbp, RBP - FRAME(%rsp)
    .cfi_offset rbp, RBP - FRAME
    stmxcsr MXCSR - FRAME(%rsp)
    fnstcw  X87CW - FRAME(%rsp)
    leaq    -FRAME(%rsp), %r8
    movq    %r8, (%rdi)             /* saved; not yet published */
    movl    MXCSR - FRAME(%rsp), %r8d
    movzwl  X87CW - FRAME(%rsp), %r9d
    xorl    MXCSR(%rsi), %r8d
    xorw    X87CW(%rsi), %r9w
    andl    $MXCSR_CONTROL, %r8d
    orl     %r9d, %r8d
    jne     9f
8:
.endm

/* Stands behind the last jump of a function that uses SUSPEND. */
.macro LOAD_OTHER_CONTROL
9:  ldmxcsr MXCSR(%rsi)
    fldcw   X87CW(%rsi)
    jmp     8b
.endm

/* Goes on with the context at \sp. */
.macro CONTINUE sp
    movq    RBP(%\sp), %rbp
    movq    GO_ON(%\sp), %rcx
    leaq    FRAME(%\sp), %rsp       /* from here on: the other stack */
    .cfi_def_cfa rsp, 0
    CONTINUE_AT(%rcx)
.endm

/* Jumped to by kin__switch_here and kin__switch.
 * rdi from, rsi to, rax value */
FUNC kin__switch_leave
    .cfi_def_cfa rsp, 0
    .cfi_offset rip, GO_ON - FRAME
    SUSPEND
    CONTINUE rsi
    LOAD_OTHER_CONTROL
END kin__switch_leave

/* Jumped to by kin__switch_then_here and kin__switch_then.
 * rdi from, rsi to, rdx then, rcx arg
 * `then` runs below the target's frame, which is only read, and may be left
 * for ever at any point of it.  rbx and r12, which the context that leaves has
 * saved, carry `to` and arg across. */
FUNC kin__switch_leave_then
    .cfi_def_cfa rsp, 0
    .cfi_offset rip, GO_ON - FRAME
    SUSPEND
    movq    %rsi, %rbx
    movq    %rcx, %r12
    movq    %rcx, %rdi
    movq    %rsi, %rsp
    .cfi_def_cfa rbx, FRAME
    andq    $-16, %rsp
    call    *%rdx
    movq    %r12, %rax
    CONTINUE rbx
    LOAD_OTHER_CONTROL
END kin__switch_leave_then

/* Saves what a call must preserve, and where to go on. */
.macro SAVE go_on
    PUSH    rbx
    PUSH    r15
    PUSH    r14
    PUSH    r13
    PUSH    r12
    leaq    \go_on(%rip), %rax
    movq    %rax, GO_ON - FRAME(%rsp)
.endm

/* The return predictor expects the other context's caller: a jump is better */
.macro RESTORE_AND_RETURN
    POP     r12
    POP     r13
    POP     r14
    POP     r15
    POP     rbx
    popq    %rcx                    /* stays readable, in the red zone */
    .cfi_adjust_cfa_offset -8
    CONTINUE_AT(%rcx)
.endm

/* void *kin__switch(void **from, void *to, void *value)
 *                   rdi          rsi       rdx */
FUNC kin__switch
    LANDING
    SAVE    .Lback
    movq    %rdx, %rax
    jmp     kin__switch_leave
.Lback:
    RESTORE_AND_RETURN
END kin__switch

/* void *kin__switch_then(void **from, void *to, void (*then)(void *),
 *                        rdi          rsi       rdx
 *                        void *arg)
 *                        rcx */
FUNC kin__switch_then
    LANDING
    SAVE    .Lback_then
    jmp     kin__switch_leave_then
.Lback_then:
    RESTORE_AND_RETURN
END kin__switch_then

/* Where a new context begins, one instruction in: unwinders look for the
 * caller at the byte before a return address.  In: rax value, entry on top of
 * the stack.  The unwind ends here, for readers of these rules, of frame
 * pointers (rbp is 0) and of stacks (the word where a return address would be
 * is 0). */
FUNC kin__switch_start
    .cfi_undefined rip
    nop
.Lstart:
    movq    %rax, %rdi
    call    *(%rsp)
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
    movq    %rcx, RBP(%rax)
    movq    %rdx, GO_ON(%rax)
    movq    %rsi, FRAME(%rax)
    movq    %rcx, FRAME + 8(%rax)   /* no return address above the root */
    ret
END kin__switch_make

#endif /* __x86_64__ */

/* Outside the #if: an object without these notes, even an empty one, makes
 * the linker give the whole program an executable stack. */
END_OF_FILE
