/* looper.h -- a looper for tests, and Main tied to it: a loop over poll() that
 * calls back by level, as Android's does, and collects what is ready before it
 * calls the first. */
#ifndef KIN_TESTS_LOOPER_H
#define KIN_TESTS_LOOPER_H

#include "tests/android/android/looper.h"
#include "tests/main_host.h"

#define KIN__LOOPER_DOUBLE
#include "dispatch/main_android.c"

enum { WATCHED_MAX = 8 };

struct ALooper {
    struct watched {
        int fd;
        ALooper_callbackFunc callback;
        void *data;
    } watched[WATCHED_MAX];
    int count, references, room;
};

static _Thread_local ALooper *own;
static ALooper looper = { .references = 1, .room = WATCHED_MAX };

ALooper *ALooper_forThread(void)
{
    return own;
}

void ALooper_acquire(ALooper *self)
{
    self->references++;
}

void ALooper_release(ALooper *self)
{
    self->references--;
}

int ALooper_removeFd(ALooper *self, int fd)
{
    for (int i = 0; i < self->count; i++)
        if (self->watched[i].fd == fd) {
            self->watched[i] = self->watched[--self->count];
            return 1;
        }
    return 0;
}

int ALooper_addFd(ALooper *self, int fd, int ident, int events,
                  ALooper_callbackFunc callback, void *data)
{
    CHECK(callback && ident == ALOOPER_POLL_CALLBACK);
    CHECK_EQ(events, ALOOPER_EVENT_INPUT);
    ALooper_removeFd(self, fd);
    if (self->count >= self->room)
        return -1;
    self->watched[self->count++] = (struct watched){ fd, callback, data };
    return 1;
}

/* One poll.  The number of callbacks; 0: nothing was ready in that time. */
static int poll_once(int timeout_ms)
{
    struct watched watched[WATCHED_MAX];
    struct pollfd fds[WATCHED_MAX];
    int count = looper.count, called = 0;

    for (int i = 0; i < count; i++) {
        watched[i] = looper.watched[i];
        fds[i] = (struct pollfd){ .fd = watched[i].fd, .events = POLLIN };
    }
    poll(fds, (nfds_t)count, timeout_ms);
    for (int i = 0; i < count; i++)
        if (fds[i].revents) {
            called++;
            if (!watched[i].callback(watched[i].fd, ALOOPER_EVENT_INPUT,
                                     watched[i].data))
                ALooper_removeFd(&looper, watched[i].fd);
        }
    return called;
}

/* A job that another thread cancels may complete there: its end alone need not
 * wake the looper. */
static UNUSED void loop_until(kin_job *job)
{
    while (!kin_job_is_completed(job))
        poll_once(1);
}

#endif
