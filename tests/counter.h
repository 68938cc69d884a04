/* counter.h -- a number that threads wait for. */
#ifndef KIN_TESTS_COUNTER_H
#define KIN_TESTS_COUNTER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* A number to wait for.  Zeroed is not enough: COUNTER_INIT. */
struct counter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int value;                      /* guarded by lock                       */
    int most;                       /* guarded by lock                       */
};
#define COUNTER_INIT { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0 }

static inline int counter_add(struct counter *c, int n)
{
    pthread_mutex_lock(&c->lock);
    int value = c->value += n;
    if (value > c->most)
        c->most = value;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    return value;
}

static inline int counter_get(struct counter *c)
{
    return counter_add(c, 0);
}

static inline int counter_most(struct counter *c)
{
    pthread_mutex_lock(&c->lock);
    int most = c->most;
    pthread_mutex_unlock(&c->lock);
    return most;
}

/* Waits until it is n or more. */
static inline void counter_await(struct counter *c, int n)
{
    pthread_mutex_lock(&c->lock);
    while (c->value < n)
        pthread_cond_wait(&c->changed, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

/* Until it is n or more, at most so long; false: it is not. */
static inline bool counter_await_for(struct counter *c, int n, int64_t ns)
{
    struct timespec until;
    int err = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    ns += until.tv_nsec;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_mutex_lock(&c->lock);
    while (c->value < n && !err)
        err = pthread_cond_timedwait(&c->changed, &c->lock, &until);
    bool reached_it = c->value >= n;
    pthread_mutex_unlock(&c->lock);
    return reached_it;
}

#endif
