/* pth.c -- GNU Pth: cooperative threads in the shape of pthreads, all on one
 * thread.  Its scheduler looks at all that wait whenever none is ready. */
#include <pth.h>

enum { MOST = 1000 };
#define MOST_WHY "its queues are walked from end to end: this takes minutes"
#define CANCELLED PTH_CANCELED

typedef pth_t thread;
typedef pth_mutex_t lock;
typedef pth_cond_t condition;

static thread spawn(void *(*body)(void *), void *arg)
{
    return pth_spawn(PTH_ATTR_DEFAULT, body, arg);
}

static void *join(thread child)
{
    void *value = NULL;

    pth_join(child, &value);
    return value;
}

static void give_way(void)
{
    pth_yield(NULL);
}

static void sleep_ms(long ms)
{
    pth_nap(pth_time(ms / 1000, ms % 1000 * 1000));
}

static int sleep_for_ever(void)
{
    return pth_nap(pth_time(1000000, 0));
}

static void cancel(thread child)
{
    pth_cancel(child);
}

static void lock_init(lock *lock)
{
    pth_mutex_init(lock);
}

static void lock_take(lock *lock)
{
    pth_mutex_acquire(lock, FALSE, NULL);
}

static void lock_give(lock *lock)
{
    pth_mutex_release(lock);
}

static void condition_init(condition *condition)
{
    pth_cond_init(condition);
}

static void condition_wait(condition *condition, lock *lock)
{
    pth_cond_await(condition, lock, NULL);
}

static void condition_signal(condition *condition)
{
    pth_cond_notify(condition, FALSE);
}

static void condition_broadcast(condition *condition)
{
    pth_cond_notify(condition, TRUE);
}

#include "bench/peers/blocking.h"

int main(int argc, char **argv)
{
    pth_init();
    blocking_init();
    return peer_main(argc, argv, (struct peer){
        .version = "GNU Pth " PTH_VERSION_STR, .threads = 1,
        .table = blocking_table, .count = PEER_COUNT(blocking_table),
        .why_not = "it has no scopes, dispatchers or timeouts of a block" });
}
