/* start_aarch64.S -- the start of a test program that runs with BTI enforced.
 *
 * The C library's start files need not have landing pads (Debian 12's have
 * none), and a program's own pages are guarded as a whole.  So the tests are
 * linked with -nostartfiles and this: _start, what atexit() asks for, and what
 * libgcc's atomics ask for, which brings a constructor without a landing pad
 * if it comes from there.
 *
 *   x0  what the dynamic linker wants called at exit
 *   sp  argc, argv[0], ...
 */
#if defined(__aarch64__)
    .text
    .globl  _start
    .type   _start, %function
_start:
    .cfi_startproc
    .cfi_undefined x30                  /* outermost frame */
    bti     jc
    mov     x29, #0
    mov     x30, #0
    mov     x5, x0                      /* rtld_fini */
    adrp    x0, main
    add     x0, x0, :lo12:main
    ldr     x1, [sp]                    /* argc */
    add     x2, sp, #8                  /* argv */
    mov     x3, #0                      /* no init, no fini: */
    mov     x4, #0                      /* only constructors */
    mov     x6, sp
    bl      __libc_start_main
    bl      abort
    .cfi_endproc
    .size   _start, . - _start

    .data
    .p2align 3
    .globl  __dso_handle
    .hidden __dso_handle
    .type   __dso_handle, %object
__dso_handle:
    .xword  0
    .size   __dso_handle, 8

    .globl  __aarch64_have_lse_atomics
    .hidden __aarch64_have_lse_atomics
    .type   __aarch64_have_lse_atomics, %object
__aarch64_have_lse_atomics:
    .byte   0                           /* no: right on every CPU */
    .size   __aarch64_have_lse_atomics, 1

    .section ".note.gnu.property", "a"
    .p2align 3
    .word   4, 16, 5                    /* name, content, property note */
    .asciz  "GNU"
    .word   0xc0000000, 4, 1, 0         /* AArch64 features: BTI */
#endif
    .section .note.GNU-stack, "", %progbits
