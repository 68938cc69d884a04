/* job/roots.h -- the list of jobs without a parent, for those who look on; who
 * links and unlinks: see job.h. */
#ifndef KIN_JOB_ROOTS_H
#define KIN_JOB_ROOTS_H

#include "core/spin.h"
#include "job/job.h"

#define KIN__ROOT_SHARDS 16

struct kin__roots {
    struct kin__spin lock;
    struct kin__node head;          /* guarded by lock; zeroes: empty        */
} __attribute__((aligned(64)));

extern struct kin__roots kin__roots[KIN__ROOT_SHARDS];

/* A place in a shard: nodes in its list, guarded by its lock. */
struct kin__roots_cursor {
    struct kin__roots *shard;
    struct kin__node here, end;     /* what comes later is not looked at     */
};

/* Begins before the first of them.  Goes on until kin__roots_next is NULL. */
void kin__roots_begin(struct kin__roots *shard, struct kin__roots_cursor *at);

/* The next, a new reference, or NULL: that was all.  If must_hold(job), it is
 * also held: it does not end before kin__job_let_go. */
struct kin_job *kin__roots_next(struct kin__roots_cursor *at,
                                bool (*must_hold)(const struct kin_job *job),
                                bool *held);

#endif /* KIN_JOB_ROOTS_H */
