/* dump_signal.c -- the dump on a signal: the handler only counts an eventfd up,
 * on which a thread waits. */
#include "kin/dump.h"

#include "core/check.h"
#include "core/memory.h"
#include "dispatch/os_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

/* Set once, before the first handler is installed. */
static _Atomic int wanted = -1;

/* Guards the making of it. */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static void dump_now(void)
{
    static const char none[] = "kin: no dump: there is no memory for it\n";

    if (kin_dump(STDERR_FILENO) == KIN_ENOMEM) {
        ssize_t written = write(STDERR_FILENO, none, sizeof none - 1);

        (void)written;
    }
}

static void *dump_when_wanted(void *unused)
{
    /* relaxed: set before this thread was made */
    int fd = atomic_load_explicit(&wanted, memory_order_relaxed);
    uint64_t count;
    ssize_t got;

    kin__os_thread_enter("kin-dump", 0);
    while ((got = read(fd, &count, sizeof count)) > 0 || errno == EINTR)
        if (got == sizeof count)
            dump_now();
    return unused;                      /* somebody has closed it */
}

static void want(int signal)
{
    uint64_t one = 1;
    int saved = errno;
    /* relaxed: set before the handler was installed */
    ssize_t written = write(atomic_load_explicit(&wanted, memory_order_relaxed),
                            &one, sizeof one);

    (void)signal, (void)written;
    errno = saved;
}

/* Once.  The thread is never joined: it waits until the process ends. */
static int start_locked(void)
{
    pthread_t thread;
    int fd, err;

    if (atomic_load_explicit(&wanted, memory_order_relaxed) >= 0)
        return 0;
    err = kin__event_fd(0, &fd);
    if (err)
        return err;
    atomic_store_explicit(&wanted, fd, memory_order_relaxed);
    err = kin__os_thread_start(&thread, dump_when_wanted, NULL);
    if (err) {
        atomic_store_explicit(&wanted, -1, memory_order_relaxed);
        close(fd);
        return err;
    }
    pthread_detach(thread);
    return 0;
}

int kin_dump_on_signal(int signal)
{
    struct sigaction action = { .sa_handler = want,
                                .sa_flags = SA_RESTART | SA_ONSTACK };
    int err;

    pthread_mutex_lock(&making);
    err = start_locked();
    pthread_mutex_unlock(&making);
    if (err)
        return err;
    sigemptyset(&action.sa_mask);
    if (sigaction(signal, &action, NULL) != 0)
        return kin__misuse(KIN_EINVAL, "kin_dump_on_signal", "signal %d cannot "
                           "be caught", signal);
    return 0;
}
