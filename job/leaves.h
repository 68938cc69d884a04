/* job/leaves.h -- cancelling many children at once.
 *
 * Most children of a cancelled job are leaves: coroutines without children and
 * callbacks of their own, parked in a wait that nothing but their resumption
 * follows.  The walk takes those in batches, under one hold of the parent's
 * LOCK, and has them go on when it is given back. */
#ifndef KIN_JOB_LEAVES_H
#define KIN_JOB_LEAVES_H

#include "core/task.h"
#include "job/job.h"

struct kin__leaves {
    kin_error *cause;               /* borrowed: a cancellation; NULL: the
                                       parent's own                          */
    unsigned room;                  /* how many more there may be            */
    unsigned spare;                 /* references to cause, not given yet    */
    struct kin__task_queue woken;   /* to go on, in order                    */
};

/* Readies *leaves for a batch. */
void kin__leaves_begin(struct kin__leaves *leaves, kin_error *cause);

/* Cancels those in the list of a locked job from node on, up to the first that
 * is not a leaf, or has no room, and returns that, or the head. */
struct kin__node *kin__leaves_cancel(struct kin__leaves *leaves,
                                     struct kin_job *parent,
                                     struct kin__node *node)
    KIN_REQUIRES(*parent);

/* Without a lock: has them go on.  True if there was no room for all. */
bool kin__leaves_end(struct kin__leaves *leaves);

#endif /* KIN_JOB_LEAVES_H */
