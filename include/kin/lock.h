/* kin/lock.h -- locks that belong to a thread, taken on a fiber.
 *
 * A pthread mutex belongs to the thread that locked it.  A fiber that suspends
 * while it holds one may go on on another thread, which must not unlock it; and
 * whoever waits for the mutex on the first thread blocks every fiber there.
 * So such a lock is let go of before anything that suspends.  Taken by these
 * macros, a debug build (make DEBUG=1) sees to it:
 *
 *     static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
 *
 *     KIN_WITH_MUTEX(&lock)
 *         count++;                     // return, break: unlocked all the same
 *
 *     KIN_MUTEX_LOCK(&lock);
 *     kin_delay(KIN_MS(5));            // debug build: aborts, naming the call,
 *     KIN_MUTEX_UNLOCK(&lock);         //   where it was locked, and the fiber
 *
 * Also reported is a fiber that ends with a lock held.  Off a fiber nothing is
 * watched: a plain thread may hold what it likes.  In a release build the
 * macros lock and unlock, and nothing else.
 *
 * A lock of another kind (a spinlock, another library's) is announced by
 * kin_lock_taken and kin_lock_released.
 *
 * Unless its comment says otherwise, a function here
 *   - may be called on any thread, on or off a fiber, and never suspends.
 *
 * Layer: core. */
#ifndef KIN_LOCK_H
#define KIN_LOCK_H

#include <kin/error.h>

#include <pthread.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* As pthread_mutex_lock, _trylock and _unlock; they return what those do. */
#define KIN_MUTEX_LOCK(mutex)    kin__mutex_lock((mutex), KIN__HERE)
#define KIN_MUTEX_TRYLOCK(mutex) kin__mutex_trylock((mutex), KIN__HERE)
#define KIN_MUTEX_UNLOCK(mutex)  kin__mutex_unlock((mutex))

/* The statement that follows runs with the mutex locked; unlocked on the way
 * out of it, whatever way.  If it cannot be locked (EDEADLK, say) the statement
 * does not run. */
#define KIN_WITH_MUTEX(mutex) KIN__WITH_MUTEX((mutex), KIN__HELD(__LINE__))

/* Says that the calling fiber has taken a lock: from now on, until it is
 * released, the fiber must not suspend.  lock: its address, to be compared and
 * told.  where: "file:line" or NULL, kept by its address.  As often as it is
 * taken it is to be released. */
void kin_lock_taken(const void *lock, const char *where);
void kin_lock_released(const void *lock);

/* --- Beneath the macros --------------------------------------------------- */

static inline int kin__mutex_lock(pthread_mutex_t *mutex, const char *where)
{
    int err = pthread_mutex_lock(mutex);

    if (!err)
        kin_lock_taken(mutex, where);
    return err;
}

static inline int kin__mutex_trylock(pthread_mutex_t *mutex, const char *where)
{
    int err = pthread_mutex_trylock(mutex);

    if (!err)
        kin_lock_taken(mutex, where);
    return err;
}

static inline int kin__mutex_unlock(pthread_mutex_t *mutex)
{
    int err = pthread_mutex_unlock(mutex);

    if (!err)
        kin_lock_released(mutex);
    return err;
}

typedef struct kin__mutex_block {
    pthread_mutex_t *mutex;         /* NULL: not locked                      */
    int turns;
} kin__mutex_block;

static inline kin__mutex_block kin__mutex_enter(pthread_mutex_t *mutex,
                                                const char *where)
{
    kin__mutex_block block = { mutex, 0 };

    if (kin__mutex_lock(mutex, where) != 0)
        block.mutex = (pthread_mutex_t *)0;
    return block;
}

static inline void kin__mutex_leave(kin__mutex_block *block)
{
    if (block->mutex)
        (void)kin__mutex_unlock(block->mutex);
}

#define KIN__HELD(line)  KIN__HELD_(line)
#define KIN__HELD_(line) kin__held_##line
#define KIN__WITH_MUTEX(lock, block)                                    \
    for (__attribute__((cleanup(kin__mutex_leave))) kin__mutex_block    \
             block = kin__mutex_enter((lock), KIN__HERE);               \
         block.mutex && !block.turns; block.turns = 1)

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_LOCK_H */
