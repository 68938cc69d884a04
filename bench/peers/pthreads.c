/* pthreads.c -- what a fiber is measured against when it is a thread of the
 * operating system: default attributes, a mutex and a condition to wait. */
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 30000 };
#define MOST_WHY "each thread and its guard are two of the 65530 mappings"
#define CANCELLED PTHREAD_CANCELED

typedef pthread_t thread;
typedef pthread_mutex_t lock;
typedef pthread_cond_t condition;

static thread spawn(void *(*body)(void *), void *arg);

static void *join(thread child)
{
    void *value = NULL;

    pthread_join(child, &value);
    return value;
}

static void give_way(void)
{
    sched_yield();
}

static void sleep_ms(long ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static int sleep_for_ever(void)
{
    return pause();
}

static void cancel(thread child)
{
    pthread_cancel(child);
}

static void lock_init(lock *lock)
{
    pthread_mutex_init(lock, NULL);
}

static void lock_take(lock *lock)
{
    pthread_mutex_lock(lock);
}

static void lock_give(lock *lock)
{
    pthread_mutex_unlock(lock);
}

static void condition_init(condition *condition)
{
    pthread_cond_init(condition, NULL);
}

static void condition_wait(condition *condition, lock *lock)
{
    pthread_cond_wait(condition, lock);
}

static void condition_signal(condition *condition)
{
    pthread_cond_signal(condition);
}

static void condition_broadcast(condition *condition)
{
    pthread_cond_broadcast(condition);
}

#include "bench/peers/blocking.h"

#include <gnu/libc-version.h>

static thread spawn(void *(*body)(void *), void *arg)
{
    thread child = 0;

    errno = pthread_create(&child, NULL, body, arg);
    return child;
}

int main(int argc, char **argv)
{
    char version[64];

    snprintf(version, sizeof version, "pthreads, glibc %s",
             gnu_get_libc_version());
    blocking_init();
    return peer_main(argc, argv, (struct peer){
        .version = version, .threads = 2, .table = blocking_table,
        .count = PEER_COUNT(blocking_table),
        .why_not = "threads have no scopes, pools, loops or timeouts" });
}
