/* kin/dump.h -- the live family tree: which jobs there are, and what each of
 * them waits for.
 *
 *     kin_dump_on_signal(SIGQUIT);     then, in a shell: kill -QUIT <pid>
 *
 * writes to stderr something like
 *
 *     kin: live jobs
 *     active blocking on "EventLoop" at a.c:30, fiber 0x7f00, 1 child: running
 *       active scope, in fiber 0x7f00, 2 children
 *         active async "a" on "IO" at a.c:8, fiber 0x7f14: join "b", for 3.2 s
 *             kin_join+0x6d (libkin.so.0+0x1e49d)
 *             load_user+0x1c (page+0x2c9c)
 *         new launch "b" on "IO" at a.c:9, fiber 0x7f28: not started
 *     kin: 4 jobs
 *
 * A job's line, two blanks further in than its parent's:
 *
 *     STATE KIND "NAME" on "DISPATCHER" at SITE, fiber ID, N children: DOES
 *
 *   STATE  new, active, completing, cancelling (cancelled, completed: just now)
 *   KIND   launch, async, blocking; scope, supervisor_scope, timeout; job,
 *          supervisor, deferred
 *   NAME   if it was given one.  SITE: where it was launched
 *   ID     of the fiber that runs its body, as tools/gdb/kin.py takes it; for a
 *          block ("in fiber ID"): of the fiber it is on
 *   N      how many children have not ended; nothing if none
 *   DOES   for a fiber's own job, what that waits for:
 *          join "NAME", await "NAME", await_all; children of KIND; delay;
 *          await_cancellation; suspend, suspend_cancellable;
 *          with how long it has waited, "for 20 ms" or "for 3.2 s" (to 10 ms),
 *          and if it ends by itself, "N ms left";
 *          or: not started; queued; running (or ready to go on); woken;
 *          hop (to another dispatcher); body ended
 *
 * Below the line of a fiber that waits stands its backtrace, innermost first:
 * what a fiber does that runs can be learned from a debugger only.  Names that
 * the dynamic linker does not know are left out; addr2line knows them by
 * MODULE+OFFSET.  A thousand fibers are traced, the others only listed; so are
 * those with less than 12 KiB left on their stacks, and with sanitizers all.
 *
 * From the fortieth level on, the level stands in the line instead of blanks.
 * Jobs without a parent come in no order, children in that of attachment.
 *
 * The program goes on meanwhile: each line was true at some moment during the
 * call.  A fiber that is looked at while it would go on is late by some
 * microseconds.  The statistics of kin/stack.h see the stack that a backtrace
 * has needed as used.
 *
 * Layer: job. */
#ifndef KIN_DUMP_H
#define KIN_DUMP_H

#include <kin/error.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Writes every job that has not ended, as text, to the file descriptor fd, when
 * all of it has been gathered.
 *
 * Thread:   any, on or off a fiber; not in a signal handler.  Jobs may end on
 *           it, and their callbacks run, that other threads would have ended;
 *           and values that nobody received be handed back, if the last handle
 *           is released just then.
 * Suspends: never; it may block the thread where write(2) does.
 * Errors:   KIN_EINVAL: fd is negative; KIN_ENOMEM: what there was memory for
 *           has been written; what write(2) fails with, say -EBADF, -EAGAIN.
 * Complexity: O(jobs), in memory too; no recursion. */
int kin_dump(int fd);

/* From now on the signal makes a thread of kin's, which is started here, write
 * the dump to stderr.  The handler before is replaced.  Any number of signals;
 * several that come at once make one dump.  Not in a child after fork().
 *
 * Thread: any; never suspends.
 * Errors: KIN_EINVAL for no signal, or one that cannot be caught; KIN_EAGAIN:
 *         no thread or descriptor. */
int kin_dump_on_signal(int signal);

/* A debug build tells, when the outermost kin_run_blocking of a thread ends,
 * what its fibers made and left: jobs that have ended, deferreds, scopes and
 * contexts that were never released, and jobs made by hand that have not ended,
 * with how many are below them and parked.  Not told is what was made outside;
 * what was launched into kin_global_scope(), or into a scope made by hand, as
 * long as it has not ended, for it may outlive; and a handle of which this call
 * has said that it is kept on purpose.  In a release build nothing is told.
 *
 * Thread: any. */
void kin_keep(const void *handle);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_DUMP_H */
