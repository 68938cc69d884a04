/* main_android.c -- Main tied to the looper of its thread.
 *
 *   kin_main_fd()   readable: there is work     .  both call on_ready(), which
 *   a timer fd      Main's deadline has come    '  pumps and sets the timer
 *
 * The looper polls by level.  A pump that ends with its budget leaves the
 * descriptor readable, so the looper comes back; in between it looks at its
 * other descriptors and at its messages, which is what the budget is for.
 *
 * The timer is set after each pump, which also follows whatever makes Main's
 * deadline earlier: that makes the descriptor readable.
 *
 * Everything here is the looper's thread's.  A test that includes this file
 * defines KIN__LOOPER_DOUBLE and has a looper of its own. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#if defined(__ANDROID__) || defined(KIN__LOOPER_DOUBLE)
#include "kin/main_android.h"

#include "core/check.h"
#include "core/memory.h"
#include "dispatch/main_internal.h"

#ifdef __ANDROID__
#include <android/looper.h>
#endif
#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* There is one Main at a time. */
static struct {
    ALooper *looper;
    int fd, timer;
    int64_t budget;
    int64_t set_to;                     /* KIN_NEVER: the timer is off       */
} tie;

static void set_timer(int64_t deadline)
{
    struct itimerspec when = { .it_value = { 0, 0 } };

    if (deadline <= 0)                  /* there is work: fd says so already */
        deadline = KIN_NEVER;
    if (deadline == tie.set_to)
        return;
    tie.set_to = deadline;
    if (deadline != KIN_NEVER) {
        when.it_value.tv_sec = (time_t)(deadline / KIN_S(1));
        when.it_value.tv_nsec = (long)(deadline % KIN_S(1));
    }
    timerfd_settime(tie.timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void silence_timer(void)
{
    uint64_t count;

    while (read(tie.timer, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    tie.set_to = KIN_NEVER;             /* it has fired: it is off */
}

static int on_ready(int fd, int events, void *data)
{
    (void)events, (void)data;
    if (!tie.looper)
        return 0;                       /* untied since the looper polled */
    if (fd == tie.timer)
        silence_timer();
    if (kin_main_pump(tie.budget) >= 0)
        set_timer(kin_main_deadline());
    return 1;                           /* goes on watching */
}

static void untie(void)
{
    ALooper_removeFd(tie.looper, tie.fd);
    ALooper_removeFd(tie.looper, tie.timer);
    ALooper_release(tie.looper);
    tie.looper = NULL;
    close(tie.timer);
}

/* Watches fd; false: the looper refuses. */
static bool watch(int fd)
{
    return ALooper_addFd(tie.looper, fd, ALOOPER_POLL_CALLBACK,
                         ALOOPER_EVENT_INPUT, on_ready, NULL) == 1;
}

static int tie_to(ALooper *looper)
{
    int err = kin__timer_fd(&tie.timer);

    if (err)
        return err;
    tie.looper = looper;
    tie.fd = kin_main_fd();
    tie.set_to = KIN_NEVER;
    ALooper_acquire(looper);
    if (!watch(tie.fd) || !watch(tie.timer)) {
        untie();
        return KIN_EAGAIN;
    }
    kin__main_on_detach(untie);
    return 0;
}

int kin_main_attach_looper(int64_t budget)
{
    ALooper *looper = ALooper_forThread();
    int err;

    if (budget < 0)
        return kin__misuse(KIN_EINVAL, "kin_main_attach_looper",
                           "budget is negative");
    if (!looper)
        return kin__misuse(KIN_EINVAL, "kin_main_attach_looper",
                           "this thread has no looper: call ALooper_prepare "
                           "first, or Looper.prepare in Java");
    err = kin_main_attach();
    if (err)
        return err;
    tie.budget = budget;
    err = tie_to(looper);
    if (err)
        kin_main_detach();
    return err;
}

#else
typedef int kin__not_an_empty_file;
#endif
