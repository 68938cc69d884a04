/* foreign.h -- W14's foreign thread, which resumes what waits elsewhere.
 *
 * foreign_busy has it call resume(0) to resume(999) as fast as it can;
 * foreign_idle, after 200 us of silence, resume(0).  foreign.begin is when it
 * began; whoever was resumed may read it. */
#ifndef KIN_BENCH_PEERS_FOREIGN_H
#define KIN_BENCH_PEERS_FOREIGN_H

#include "bench/peers/peer.h"

#include <pthread.h>
#include <semaphore.h>

enum { FOREIGN_BUSY = 1000, FOREIGN_IDLE = 50 };

static struct {
    sem_t asked;
    void (*resume)(long number);
    long count;
    int64_t begin;
} foreign;

static inline void *foreign__thread(void *arg)
{
    for (;;) {
        struct timespec silence = { 0, 200000 };

        while (sem_wait(&foreign.asked) != 0)
            ;
        if (foreign.count == 1)
            nanosleep(&silence, NULL);
        foreign.begin = peer_now();
        for (long i = 0, count = foreign.count; i < count; i++)
            foreign.resume(i);
    }
    return arg;
}

static inline void foreign_start(void (*resume)(long number))
{
    pthread_t thread;

    foreign.resume = resume;
    if (sem_init(&foreign.asked, 0, 0) != 0 ||
        pthread_create(&thread, NULL, foreign__thread, NULL) != 0)
        abort();
}

static inline void foreign_busy(void)
{
    foreign.count = FOREIGN_BUSY;
    sem_post(&foreign.asked);
}

static inline void foreign_idle(void)
{
    foreign.count = 1;
    sem_post(&foreign.asked);
}

#endif /* KIN_BENCH_PEERS_FOREIGN_H */
