/* dispatch/os_thread.c -- see os_thread.h. */
#include "dispatch/os_thread.h"

#include "core/fork.h"
#include "core/memory.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

static const int kept_signals[] = {
    SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF
};

int kin__os_thread_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
    sigset_t block, before;
    int err;

    kin__fork_watch();
    sigfillset(&block);
    for (size_t i = 0; i < sizeof kept_signals / sizeof *kept_signals; i++)
        sigdelset(&block, kept_signals[i]);
    pthread_sigmask(SIG_SETMASK, &block, &before);
    err = kin__thread_create(thread, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

void kin__os_slack_less(unsigned long *saved)
{
    int slack;

    if (*saved)
        return;
    slack = prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL);
    *saved = slack > 0 ? (unsigned long)slack : 1;
    if (*saved > 1)
        prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

void kin__os_slack_restore(unsigned long *saved)
{
    if (*saved > 1)
        prctl(PR_SET_TIMERSLACK, *saved, 0UL, 0UL, 0UL);
    *saved = 0;
}

void kin__os_thread_enter(const char *name, int number)
{
    char text[16];

    if (number == 0)
        snprintf(text, sizeof text, "%.15s", name);
    else
        snprintf(text, sizeof text, "%.10s-%u", name,
                 (unsigned)number % 10000u);
    pthread_setname_np(pthread_self(), text);
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}
