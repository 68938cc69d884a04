/* core/spin.h -- a tiny lock for sections of a few instructions.
 *
 * Never held over a callback, an allocation, a system call or a switch of
 * stacks.  All zeroes is a valid, open lock.  Any thread. */
#ifndef KIN_CORE_SPIN_H
#define KIN_CORE_SPIN_H

#include "core/check.h"
#include "core/sanitize.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__) || defined(__i386__)
#define KIN__CPU_RELAX() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define KIN__CPU_RELAX() __asm__ volatile("isb" ::: "memory")
#else
#define KIN__CPU_RELAX() __asm__ volatile("" ::: "memory")
#endif

/* Between a locked operation before and a load after it: nothing of the one
 * side is seen later than something of the other.  On x86 every locked
 * operation is that already.  ThreadSanitizer knows no fences, and needs none
 * here: it sees what the atomic operations order. */
static inline void kin__full_barrier_after_rmw(void)
{
#if defined(__x86_64__) || defined(__i386__) || KIN__TSAN
    __asm__ volatile("" ::: "memory");
#else
    /* seq_cst: pairs with whatever its caller names */
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

struct KIN__ANALYZED(capability("spinlock")) kin__spin {
    _Atomic uint32_t held;
};

KIN_UNCHECKED
static inline bool kin__spin_try_lock(struct kin__spin *lock)
    KIN_TRY_LOCKS(*lock)
{
    /* acquire: pairs with release in kin__spin_unlock() */
    return atomic_exchange_explicit(&lock->held, 1, memory_order_acquire) == 0;
}

/* Locks after all, giving the processor away now and then. */
void kin__spin_wait(struct kin__spin *lock) KIN_LOCKS(*lock);

static inline void kin__spin_lock(struct kin__spin *lock)
    KIN_LOCKS(*lock)
{
    if (KIN__UNLIKELY(!kin__spin_try_lock(lock)))
        kin__spin_wait(lock);
}

KIN_UNCHECKED
static inline void kin__spin_unlock(struct kin__spin *lock)
    KIN_UNLOCKS(*lock)
{
    /* release: pairs with acquire in kin__spin_try_lock() */
    atomic_store_explicit(&lock->held, 0, memory_order_release);
}

/* One turn of a bounded wait for another thread: *round counts them. */
void kin__spin_pause(unsigned *round);

#endif /* KIN_CORE_SPIN_H */
