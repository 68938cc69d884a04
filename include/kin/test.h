/* kin/test.h -- time that a test turns by hand.
 *
 *     static int retries_after_an_hour(kin_scope *scope, void *arg)
 *     {
 *         kin_test_scheduler *clock = kin_test_scheduler_of(scope);
 *
 *         KIN_TRY(kin_launch(scope, synchronise, arg));
 *         KIN_TRY(kin_test_advance_by(clock, KIN_S(3600)));
 *         KIN_TRY(kin_test_run_current(clock));
 *         CHECK(attempts == 2);
 *         return 0;
 *     }
 *
 *     CHECK(kin_run_test(retries_after_an_hour, NULL) == 0);
 *
 * A scheduler is a clock and a queue of events: slices that were dispatched, at
 * the time of their dispatch, and timers (delays, timeouts) at theirs.  Events
 * come in the order of time, those of one time in the order in which they were
 * queued.  The clock begins at 0 and moves only to the next event, or by
 * kin_test_advance_by: an hour costs nothing.  Work on other dispatchers
 * (Default, IO, Main) takes the time it takes, and does not move the clock.
 *
 * One thread at a time runs the events of a scheduler; it may do so from inside
 * one of them.
 *
 * Unless its comment says otherwise, a function here
 *   - may be called on any thread, and never suspends;
 *   - borrows its pointers, for the duration of the call only;
 *   - returns 0 or a negative KIN_E* code, and a failed call has no effect;
 *   - takes NULL as misuse: reported, KIN_EINVAL (or NULL).
 *
 * Not part of kin/kin.h.
 *
 * Layer: job. */
#ifndef KIN_TEST_H
#define KIN_TEST_H

#include <kin/scope.h>
#include <kin/time.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* --- The scheduler -------------------------------------------------------- */

typedef struct kin_test_scheduler kin_test_scheduler;

/* Owns:   *scheduler is the caller's to release; its dispatchers retain it.
 * Errors: KIN_ENOMEM. */
int kin_test_scheduler_new(kin_test_scheduler **scheduler) KIN__MUST_CHECK;

kin_test_scheduler *kin_test_scheduler_retain(kin_test_scheduler *scheduler);
void kin_test_scheduler_release(kin_test_scheduler *scheduler);
KIN__AUTO_RELEASE(kin_test_scheduler)   /* NULL is fine for both             */

/* A dispatcher on it that queues everything.  A delay that ends goes on in the
 * place of its timer; what a timeout cancels queues up behind.  Of what
 * belongs to a kin_run_test with another scheduler it takes nothing: misuse,
 * KIN_EINVAL.  So does kin_test_unconfined.
 *
 * Owns:   *dispatcher is the caller's to release; it retains the scheduler.
 * Errors: KIN_ENOMEM; without memory, so do delays and timeouts on it. */
int kin_test_dispatcher(kin_test_scheduler *scheduler,
                        kin_dispatcher **dispatcher) KIN__MUST_CHECK;

/* A dispatcher on it that queues nothing, as kin_unconfined(): what is launched
 * or resumed runs at once, in place.  Only its timers are the scheduler's. */
int kin_test_unconfined(kin_test_scheduler *scheduler,
                        kin_dispatcher **dispatcher) KIN__MUST_CHECK;

/* Nanoseconds of the virtual clock. */
int64_t kin_test_now(const kin_test_scheduler *scheduler);

/* The next three run events, on the calling thread.  On a fiber (the body of a
 * test) that fiber is blocked meanwhile, not parked: an event that waits for it
 * stays parked.  They wait for nothing: not for other threads either.
 *
 * Errors: KIN_EBUSY while another thread runs events of the scheduler,
 *         KIN_EPERM inside a callback that must not suspend (both misuse);
 *         KIN_ENOMEM: nothing has run. */

/* Runs what is due now, and what that adds for the same instant.  If an event
 * moves the clock, what is due then is left for the next call. */
int kin_test_run_current(kin_test_scheduler *scheduler);

/* Runs the events of less than `duration` from now, moving the clock to each,
 * then moves it by `duration` in all.  What is due at that very instant has not
 * run.  The clock stops at KIN_NEVER.
 * Errors: KIN_EINVAL if duration is negative (misuse). */
int kin_test_advance_by(kin_test_scheduler *scheduler, int64_t duration);

/* Runs events, moving the clock to each, until there are none but those of
 * background work. */
int kin_test_advance_until_idle(kin_test_scheduler *scheduler);

/* --- Tests ---------------------------------------------------------------- */

typedef struct kin_test_options {
    void *arg;                      /* set by the macro                      */
    const char *site;               /* set by the macro: "file:line"         */
    int64_t timeout;                /* real time; 0: 60 s; KIN_NEVER: none   */
    kin_context *context;           /* a handler in it takes the failures; a
                                       test dispatcher in it is used, with its
                                       scheduler                             */
    const char *name;               /* copied                                */
    bool unconfined;                /* on kin_test_unconfined                */
    uint64_t seed;                  /* 0: equal times in order of queueing   */
} kin_test_options;

/* Runs body(scope, arg) on a test dispatcher of a fresh scheduler, with the
 * calling thread blocked meanwhile.  It runs events as they come.  When nothing
 * is due but a timer is pending the clock jumps there, also while work on other
 * dispatchers goes on (so a kin_with_timeout around such work expires at once);
 * only without a timer does it wait for them.
 *
 * When the body has ended it goes on until its children have, and nothing but
 * background work is left; then it cancels the background scope and waits for
 * that.  The outcome is the body's, or a failed child's; or the first failure
 * that nobody else saw: of a background child, of a child of a supervisor.
 * Other such failures are suppressed in it.  (A root launched in
 * kin_global_scope() has no part in this: it is reported as everywhere.)
 *
 * When the timeout is over, all of it is cancelled, stderr says who was still
 * there, and the outcome is a failure with KIN_ETIMEDOUT.  That is looked at
 * between events; what ignores its cancellation is waited for.
 *
 * With a seed, which of the events of equal time comes next is drawn, except
 * that what yields goes on only after all that was due before it; and so
 * is, at marked places inside kin, whether one of them comes first: while a
 * call suspends but has not parked, between the end of a body and that of its
 * job, at the exit of a block.  So what on threads would be a race (a resume
 * against a cancel, a timer, a completion) comes out both ways.  A call that
 * does not suspend is not interrupted.  The order varies from seed to seed, and
 * is the same for the same one, as long as no other thread takes part.  The
 * environment's KIN_SEED replaces a seed that is not 0.  A failure tells it:
 * "kin: seed 1234" on stderr.
 *
 * Nothing launched with its context or dispatcher may outlive it.
 *
 * Suspends: never; blocks.  Allowed on a fiber, but not in a kin_run_test.
 * Errors:   as above; KIN_ENOMEM: body has not run.  Misuse: KIN_EBUSY inside
 *           another kin_run_test, or if one uses the scheduler; KIN_EINVAL for
 *           a negative timeout, a dispatcher in .context that is no test
 *           dispatcher, or one and .unconfined; KIN_EPERM inside a callback
 *           that must not suspend. */
#define kin_run_test(body, ...)                                         \
    kin_run_test_with((body),                                           \
                      &(kin_test_options){.site = KIN__HERE,            \
                                          .arg = __VA_ARGS__})
int kin_run_test_with(kin_body *body, const kin_test_options *options);

/* The scheduler of the kin_run_test that scope belongs to, borrowed; NULL if it
 * belongs to none. */
kin_test_scheduler *kin_test_scheduler_of(kin_scope *scope);

/* The scope for the background work of the kin_run_test that scope belongs to:
 * what is launched in it fails alone (and with that the test), does not keep
 * kin_test_advance_until_idle busy, nor the test waiting; it is cancelled at
 * the end.  While the body waits, it runs like everything else.
 *
 * Owns: borrowed, until kin_run_test returns.  NULL if scope belongs to none
 *       (misuse). */
kin_scope *kin_test_background(kin_scope *scope);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_TEST_H */
