/* ucontext.c -- POSIX ucontext: two contexts swap.  Most of the time goes into
 * the system call that saves and restores the signal mask. */
#include "bench/float_flags.h"
#include "bench/peers/peer.h"

#include <gnu/libc-version.h>
#include <ucontext.h>

enum { TRIPS = 50000 };

static ucontext_t here, there;
static int64_t echoes;

static void echo(void)
{
    for (;; echoes++)
        swapcontext(&there, &here);
}

static void w1(struct peer_ask ask)
{
    static char stack[65536];

    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof stack;
    makecontext(&there, echo, 0);
    swapcontext(&here, &there);

    for (;;) {
        int64_t begin;

        peer_next();
        float_flags_differ(ask.param);
        echoes = 0;
        begin = peer_now();
        for (int i = 0; i < TRIPS; i++)
            swapcontext(&here, &there);
        peer_add("switch", "ns", peer_now() - begin, 2 * TRIPS, echoes);
    }
}

int main(int argc, char **argv)
{
    static const struct peer_workload table[] = {{"W1", WARM, w1}};
    char version[64];

    snprintf(version, sizeof version, "ucontext, glibc %s",
             gnu_get_libc_version());
    return peer_main(argc, argv, (struct peer){
        .version = version, .threads = 1, .table = table,
        .count = PEER_COUNT(table),
        .why_not = "it is a switch only: no scheduler, no waiting" });
}
