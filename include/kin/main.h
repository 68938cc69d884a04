/* kin/main.h -- Main: the host's thread.
 *
 * A program that owns its loop lends kin its thread:
 *
 *     kin_main_attach();
 *     while (running) {
 *         poll_input();
 *         kin_main_pump(KIN_MS(2));
 *         render();
 *     }
 *     kin_main_detach();
 *
 * One whose loop waits on descriptors watches kin_main_fd() and waits no longer
 * than kin_main_deadline(); one that has no loop calls kin_main_run().
 *
 * Unless its comment says otherwise, a function here
 *   - must be called on the attached thread: else KIN_EPERM; with none
 *     attached: KIN_ENOMAIN;
 *   - never suspends; off a fiber only: KIN_EBUSY inside the pump;
 *   - returns 0 or a negative KIN_E* code, and a failed call has no effect.
 *
 * Layer: dispatch. */
#ifndef KIN_MAIN_H
#define KIN_MAIN_H

#include <kin/dispatcher.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Makes the calling thread Main.
 * Errors: KIN_EALREADY if some thread is; KIN_EAGAIN without a descriptor. */
int kin_main_attach(void);

/* Runs what is due on Main, at most for about `budget` nanoseconds: no slice is
 * begun when it is over.  0 runs one pass over what is due now; KIN_NEVER until
 * nothing is due.  It never waits.  Returns the number of slices run. */
int kin_main_pump(int64_t budget);

/* Becomes readable when there is work for the pump; owned by kin, until
 * detach.  Any thread. */
int kin_main_fd(void);

/* When the pump must be called next even if the descriptor stays silent:
 * now or earlier if work is due, KIN_NEVER if there is none. */
int64_t kin_main_deadline(void);

/* Runs Main's tasks, waiting when there is nothing to do, until kin_main_quit.
 * May be called again. */
int kin_main_run(void);

/* Ends kin_main_run after the slice that is running; remembered if it is not
 * running yet.  Any thread, any fiber; async-signal-safe. */
int kin_main_quit(void);

/* Gives the thread back.  What is queued for Main, now or later, has its job
 * cancelled and runs on IO, so that its cleanup executes; timers move to the
 * shared ones. */
int kin_main_detach(void);

bool kin_main_is_attached(void);    /* any thread                            */
bool kin_main_is_current(void);     /* any thread: is it this one?           */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_MAIN_H */
