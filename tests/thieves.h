/* thieves.h -- a queue whose owner puts and takes while others steal from it:
 * each task is had exactly once, by somebody who sees what is in it.  For the
 * queues of a permit. */
#ifndef KIN_TESTS_THIEVES_H
#define KIN_TESTS_THIEVES_H

#include "core/spin.h"
#include "core/task.h"
#include "tests/check.h"

#include <pthread.h>
#include <stdlib.h>

enum { TASKS = 200000, THIEVES = 3 };

/* n is the thief's number. */
struct theft {
    struct kin_task *(*steal)(int n);       /* the others into the thief's own */
    struct kin_task *(*take_own)(int n);    /* from there; NULL: no more       */
    void (*own)(void);                      /* puts tasks 0 to TASKS - 1       */
};

static const struct theft *theft;
static struct kin_task *many;
static _Atomic unsigned char *had;
static _Atomic int counted;

/* Task i, to be put. */
__attribute__((unused))
static struct kin_task *fresh_task(int i)
{
    many[i].tag = (uintptr_t)i;
    return &many[i];
}

static void count_one(struct kin_task *t)
{
    CHECK_EQ(atomic_fetch_add_explicit(&had[t - many], 1,
                                       memory_order_relaxed), 0);
    CHECK_EQ(t->tag, (uintptr_t)(t - many));
    atomic_fetch_add_explicit(&counted, 1, memory_order_relaxed);
}

__attribute__((unused))
static void count_spilled(struct kin__task_queue *spilled)
{
    struct kin_task *t;

    while ((t = kin__task_queue_pop(spilled)) != NULL)
        count_one(t);
}

static void *play_thief(void *number)
{
    int n = (int)(intptr_t)number;
    unsigned round = 0;

    while (atomic_load_explicit(&counted, memory_order_relaxed) < TASKS) {
        struct kin_task *t = theft->steal(n);

        if (!t)
            kin__spin_pause(&round);
        for (; t; t = theft->take_own(n))
            count_one(t);
    }
    return NULL;
}

__attribute__((unused))
static void play_under_thieves(const struct theft *game)
{
    pthread_t threads[THIEVES];

    theft = game;
    many = calloc(TASKS, sizeof *many);
    had = calloc(TASKS, sizeof *had);
    CHECK(many && had);
    for (int i = 0; i < THIEVES; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, play_thief,
                                (void *)(intptr_t)i), 0);
    theft->own();
    for (int i = 0; i < THIEVES; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(counted, TASKS);
    free(many);
    free((void *)had);
}

#endif
