/* job/deadlock.h -- a kin_run_blocking that nothing can end any more. */
#ifndef KIN_JOB_DEADLOCK_H
#define KIN_JOB_DEADLOCK_H

#include "job/job.h"

/* How long the loop of a kin_run_blocking idles before it looks, once. */
extern int64_t kin__deadlock_after;

/* Looks whether the family of that root can go on: if not, says so on stderr,
 * and aborts in debug builds; in others the root fails with KIN_EDEADLK.  On
 * the thread that is blocked, off any fiber. */
void kin__deadlock_look(struct kin_job *root);

#endif /* KIN_JOB_DEADLOCK_H */
