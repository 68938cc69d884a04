/* st.c -- State Threads: cooperative threads on one thread.  A lock is not
 * needed while nothing suspends, so conditions are used without one, as its
 * documentation says. */
#include <st.h>

#include <errno.h>

enum { MOST = 2000000 };
#define MOST_WHY "so many stacks of 64 KiB"
#define CANCELLED ((void *)&interrupted)

typedef st_thread_t thread;
typedef char lock;
typedef st_cond_t condition;

static char interrupted;

static thread spawn(void *(*body)(void *), void *arg)
{
    return st_thread_create(body, arg, 1, 0);
}

static void *join(thread child)
{
    void *value = NULL;

    st_thread_join(child, &value);
    return value;
}

static void give_way(void)
{
    st_usleep(0);
}

static void sleep_ms(long ms)
{
    st_usleep((st_utime_t)ms * 1000);
}

static int sleep_for_ever(void)
{
    return st_usleep(ST_UTIME_NO_TIMEOUT);
}

static void cancel(thread child)
{
    st_thread_interrupt(child);
}

static void lock_init(lock *lock)
{
    *lock = 0;
}

static void lock_take(lock *lock)
{
    (void)lock;
}

static void lock_give(lock *lock)
{
    (void)lock;
}

static void condition_init(condition *condition)
{
    *condition = st_cond_new();
}

static void condition_wait(condition *condition, lock *lock)
{
    (void)lock;
    st_cond_wait(*condition);
}

static void condition_signal(condition *condition)
{
    st_cond_signal(*condition);
}

static void condition_broadcast(condition *condition)
{
    st_cond_broadcast(*condition);
}

#include "bench/peers/blocking.h"

int main(int argc, char **argv)
{
    st_set_eventsys(ST_EVENTSYS_ALT);           /* epoll */
    if (st_init() != 0)
        peer_cannot("st_init: %s", strerror(errno));
    blocking_init();
    return peer_main(argc, argv, (struct peer){
        .version = "State Threads " ST_VERSION, .threads = 1,
        .table = blocking_table, .count = PEER_COUNT(blocking_table),
        .why_not = "it has no scopes, dispatchers or timeouts of a block" });
}
