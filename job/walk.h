/* job/walk.h -- a walk over all live jobs, for those who look on. */
#ifndef KIN_JOB_WALK_H
#define KIN_JOB_WALK_H

#include "job/job.h"

/* Where a walk is: a job, and in `outer` the one above it.  All of them are
 * retained meanwhile. */
struct kin__walk_level {
    struct kin__node cursor, end;       /* guarded by job's LOCK             */
    struct kin__walk_level *outer;      /* NULL: job is a root               */
    struct kin_job *job;                /* retained                          */
    struct kin_job *held;               /* NULL, job, or its parent          */
    size_t depth;                       /* 0: a root                         */
};

/* Called once for each job, with no LOCK held; another value than 0 ends the
 * walk. */
typedef int kin__walk_visit(const struct kin__walk_level *at, void *arg);

/* Visits each job that has not ended, parents before their children, roots in
 * no order.  The program goes on meanwhile.  Returns what visit returned last;
 * KIN_ENOMEM: without memory.  Any thread, off all locks; jobs may end by it.
 * Complexity: O(jobs); memory for the depth. */
int kin__walk_jobs(kin__walk_visit *visit, void *arg);

#endif /* KIN_JOB_WALK_H */
