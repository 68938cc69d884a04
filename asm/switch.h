/* asm/switch.h -- leave one stack, go on with another.
 *
 * A suspended context is one pointer: its stack pointer.  Below it nothing is
 * live; what lies above it is the business of the CPU's own file.
 *
 * None of these is a checkpoint, touches thread-local storage, allocates, or
 * knows what a fiber is.  The signal mask, the TLS base and (on ARM64) x18 are
 * the thread's and are never changed.  Callee-saved registers and the
 * floating-point control state travel with the context. */
#ifndef KIN_ASM_SWITCH_H
#define KIN_ASM_SWITCH_H

/* Suspends the running context into *from and continues `to`, whose own call
 * of kin__switch (or whose entry) receives `value`.
 *
 * *from is written before the stack is left, but must stay private to this
 * thread until the other side runs: until then this stack is still in use.
 * Returns the value passed by whoever continues this context. */
void *kin__switch(void **from, void *to, void *value);

/* As kin__switch, but first calls then(arg) on the stack of `to`, when this
 * stack is no longer in use.  `to` receives arg as its value.  This is where a
 * suspended context is published: from inside `then` on, another thread may
 * continue it.  `then` may itself switch away and never return: `to` stays
 * suspended as it was. */
void *kin__switch_then(void **from, void *to, void (*then)(void *arg),
                       void *arg);

/* Makes a context on an empty stack whose highest address is `top` (exclusive,
 * any alignment): when continued with a value it calls entry(value), which
 * must never return.  Unwinding ends there.  Writes at most
 * KIN__SWITCH_FRAME_MAX bytes below top and returns the context. */
void *kin__switch_make(void *top, void (*entry)(void *value));

#define KIN__SWITCH_FRAME_MAX 512

/* The same, inlined: the compiler saves only what is live across it, and no
 * call is left half-way for the return predictor to be wrong about.  For every
 * context, however it was suspended.  The caller's object must be compiled
 * with -mno-red-zone, because these write below the stack pointer. */
#if defined(__x86_64__) && !defined(KIN_CONTEXT_BOOST)

/* All but rbp, which travels in the frame, and what carries arguments. */
#define KIN__SWITCH_CLOBBERS                                               \
    "rbx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",           \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",        \
    "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",  \
    KIN__SWITCH_CLOBBERS_512 "cc", "memory"

/* What a compiler may use beyond them where it is told so (-march=native). */
#if defined(__AVX512F__)
#define KIN__SWITCH_CLOBBERS_512                                           \
    "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22",         \
    "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29",         \
    "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7",
#else
#define KIN__SWITCH_CLOBBERS_512
#endif

static inline __attribute__((always_inline)) void *
kin__switch_here(void **from, void *to, void *value)
{
    __asm__ volatile("leaq    1f(%%rip), %%rcx\n\t"
                     "movq    %%rcx, -8(%%rsp)\n\t"
                     "jmp     kin__switch_leave\n"
                     "1:"
                     : "+a"(value), "+D"(from), "+S"(to)
                     :
                     : "rcx", "rdx", KIN__SWITCH_CLOBBERS);
    return value;
}

static inline __attribute__((always_inline)) void *
kin__switch_then_here(void **from, void *to, void (*then)(void *arg),
                      void *arg)
{
    void *value;

    __asm__ volatile("leaq    1f(%%rip), %%rax\n\t"
                     "movq    %%rax, -8(%%rsp)\n\t"
                     "jmp     kin__switch_leave_then\n"
                     "1:"
                     : "=&a"(value), "+D"(from), "+S"(to), "+d"(then),
                       "+c"(arg)
                     :
                     : KIN__SWITCH_CLOBBERS);
    return value;
}
#else
#define kin__switch_here kin__switch
#define kin__switch_then_here kin__switch_then
#endif

#endif /* KIN_ASM_SWITCH_H */
