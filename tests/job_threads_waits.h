/* job_threads_waits.h -- continuations that are resumed by a foreign thread, by
 * other bodies, at once, twice, too late.
 *
 * Part of job_threads_fuzz.c. */
#ifndef KIN_TESTS_JOB_THREADS_WAITS_H
#define KIN_TESTS_JOB_THREADS_WAITS_H

#include "tests/job_threads_bodies.h"

#include <pthread.h>

enum { NUMBER = 7 };

/* How one suspends, and how the foreign thread resumes it. */
enum { DEAF = 1, AT_ONCE = 2, NOT_STARTED = 4, WATCHED = 8, POSTED = 16,
       HOW_RESUMED = 32 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct waiting *letter[WAITS];
    int count;
    bool busy;
} mailbox = { .lock = PTHREAD_MUTEX_INITIALIZER,
              .filled = PTHREAD_COND_INITIALIZER };

static void value_of_wait_lost(void *value, kin_error *cause)
{
    HOLDS(cause != NULL);
    atomic_fetch_add(&((struct waiting *)value)->undelivered, 1);
}

static int resume_with_value(struct waiting *wait)
{
    int err;

    atomic_fetch_add(&wait->sent, 1);
    err = kin_resume_or(wait->continuation, value_of_wait_lost, wait);
    if (err == KIN_EALREADY)
        atomic_fetch_sub(&wait->sent, 1);
    return err;
}

static int resume_with_error(struct waiting *wait)
{
    kin_error *error =
        kin_error_new("", failure_of(wait->node), NULL, "resumed");
    int err = kin_resume_with_error(wait->continuation, error);

    kin_error_release(error);
    return err;
}

static void resume(struct waiting *wait, unsigned how)
{
    int err;

    switch (how % 8) {
    case 0:
        err = resume_with_error(wait);
        break;
    case 1:
        err = kin_resume(wait->continuation, NUMBER);
        break;
    case 2:                             /* twice */
        resume_with_value(wait);
        err = resume_with_value(wait);
        HOLDS(err != 0);
        break;
    default:
        err = resume_with_value(wait);
    }
    HOLDS(err == 0 || err == KIN_ESTALE || err == KIN_EALREADY);
}

static void *resume_letters(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&mailbox.lock);
    for (;;) {
        struct waiting *wait;

        mailbox.busy = false;
        while (!mailbox.count)
            pthread_cond_wait(&mailbox.filled, &mailbox.lock);
        mailbox.busy = true;
        wait = mailbox.letter[--mailbox.count];
        pthread_mutex_unlock(&mailbox.lock);
        resume(wait, wait->how / HOW_RESUMED);
        pthread_mutex_lock(&mailbox.lock);
    }
    return NULL;
}

static void post(struct waiting *wait)
{
    pthread_mutex_lock(&mailbox.lock);
    mailbox.letter[mailbox.count++] = wait;     /* each wait once, at most */
    pthread_cond_signal(&mailbox.filled);
    pthread_mutex_unlock(&mailbox.lock);
}

static bool mailbox_is_empty(void)
{
    bool empty;

    pthread_mutex_lock(&mailbox.lock);
    empty = !mailbox.count && !mailbox.busy;
    pthread_mutex_unlock(&mailbox.lock);
    return empty;
}

static void wait_is_cancelled(kin_error *cause, void *arg)
{
    HOLDS(cause && kin_error_is_cancellation(cause));
    HOLDS(atomic_fetch_add(&((struct waiting *)arg)->watched, 1) == 0);
}

static int begin_wait(kin_continuation continuation, void *arg)
{
    struct waiting *wait = arg;
    int err;

    wait->continuation = continuation;
    atomic_store(&wait->ready, true);
    if (wait->how & WATCHED) {
        err = kin_continuation_on_cancel(continuation, wait_is_cancelled, wait);
        HOLDS(err == 0 || (wait->how & DEAF && err == KIN_ENOTSUP));
    }
    if (wait->how & AT_ONCE)
        resume(wait, wait->how / HOW_RESUMED);
    if (wait->how & POSTED)
        post(wait);
    return wait->how & NOT_STARTED ? failure_of(wait->node) : 0;
}

static void check_wait(struct body *body, struct waiting *wait, int code)
{
    if (wait->how & NOT_STARTED) {
        HOLDS(code == failure_of(wait->node));
        return;
    }
    if (code == KIN_ECANCELED) {
        HOLDS(!(wait->how & DEAF) && (wait->cancelled || is_cancelled(body)));
        HOLDS(wait->watched == (wait->how & WATCHED ? 1 : 0));
        return;
    }
    HOLDS(code == 0 || code == NUMBER || code == failure_of(wait->node));
    HOLDS(!wait->watched || code < 0);
    atomic_fetch_add(&wait->received, code == 0);
}

KIN_SUSPENDS
static int suspend(struct body *body)
{
    int number = atomic_fetch_add(&books.waits, 1), code;
    struct waiting *wait = &books.wait[number < WAITS ? number : 0];

    if (number >= WAITS)
        return 0;
    wait->node = body->node;
    wait->how = next_byte(body);
    code = wait->how & DEAF ? kin_suspend(begin_wait, wait)
                            : kin_suspend_cancellable(begin_wait, wait);
    check_wait(body, wait, code);
    atomic_store(&wait->over, true);
    return code;
}

static void resume_any(struct body *body)
{
    unsigned how = next_byte(body), count = (unsigned)books.waits;
    struct waiting *wait =
        &books.wait[next_byte(body) % (count < 1 ? 1 : count) % WAITS];

    if (!atomic_load(&wait->ready))
        return;
    if (how & 8) {
        atomic_store(&wait->cancelled, true);
        kin_continuation_cancel(wait->continuation, NULL);
    } else {
        resume(wait, how);
    }
}

#endif
