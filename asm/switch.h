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

/* As kin__switch, for a `to` that was suspended by the same call: leaves by a
 * return, which is then predicted, and so are those of the functions around
 * it.  Where the calls differ, each of them is mispredicted instead. */
void *kin__switch_alike(void **from, void *to, void *value);

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

#endif /* KIN_ASM_SWITCH_H */
