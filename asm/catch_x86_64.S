/* catch_x86_64.S -- see catch.h; System V ABI, ELF.
 *
 *   sp -> 0x00  rbx                 the caller's, kept for `exception`
 *         0x08  return address
 *
 * The personality (catch.c) sends an exception to kin__catch_landing, with the
 * stack pointer and rbx as they were at the call. */
#include "asm/asm.h"
#if defined(__x86_64__)

/* int kin__call_catching(fn, void *a, void *b, uintptr_t c, void **exception)
 *                        rdi rsi      rdx      rcx          r8 */
FUNC kin__call_catching
    .cfi_personality 0x1b, kin__catch_personality   /* pc-relative, 4 bytes */
    LANDING
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    movq    %r8, %rbx
    movq    %rdi, %rax
    movq    %rsi, %rdi
    movq    %rdx, %rsi
    movq    %rcx, %rdx
    call    *%rax
.Lout:
    popq    %rbx
    .cfi_remember_state
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    ret
    .globl  kin__catch_landing
    .hidden kin__catch_landing
kin__catch_landing:                 /* rax: the exception */
    .cfi_restore_state
    LANDING
    movq    %rax, (%rbx)
    xorl    %eax, %eax
    jmp     .Lout
END kin__call_catching

#endif /* __x86_64__ */

/* Outside the #if: see switch_x86_64.S. */
END_OF_FILE
