/* main_host.h -- a test that is the host of Main: its own thread is attached,
 * launches roots, and pumps when it wants. */
#ifndef KIN_TESTS_MAIN_HOST_H
#define KIN_TESTS_MAIN_HOST_H

#include "tests/words.h"

#include <poll.h>
#include <unistd.h>

static UNUSED pid_t main_tid;
static UNUSED kin_continuation kept;

static inline void attach(void)
{
    main_tid = gettid();
    MUST(kin_main_attach());
}

static inline int on_main(kin_body *body, void *arg)
{
    return kin_launch(kin_global_scope(), body, arg,
                      .dispatcher = kin_main(), .handler = log_failure);
}

static inline int on_immediate(kin_body *body, void *arg)
{
    return kin_launch(kin_global_scope(), body, arg,
                      .dispatcher = kin_main_immediate(),
                      .handler = log_failure);
}

/* Waits as a host's loop does: for the descriptor, until the deadline. */
static inline bool is_readable(int timeout_ms)
{
    struct pollfd fd = { .fd = kin_main_fd(), .events = POLLIN };
    return poll(&fd, 1, timeout_ms) == 1;
}

static inline void wait_and_pump(void)
{
    int64_t deadline = kin_main_deadline(), now = kin_now();
    int timeout = -1;

    if (deadline <= now)
        timeout = 0;
    else if (deadline != KIN_NEVER)
        timeout = (int)((deadline - now) / KIN_MS(1)) + 1;
    /* What is waited for may end on another thread, with nothing for Main. */
    if (timeout < 0 || timeout > 20)
        timeout = 20;
    is_readable(timeout);
    CHECK(kin_main_pump(KIN_NEVER) >= 0);
}

static inline void pump_until(kin_job *job)
{
    while (!kin_job_is_completed(job))
        wait_and_pump();
}

/* For kin_suspend: keeps the continuation. */
static inline int keep(kin_continuation continuation, UNUSED void *arg)
{
    kept = continuation;
    return 0;
}

#endif
