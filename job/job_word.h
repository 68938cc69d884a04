/* job/job_word.h -- the state in a job's word: how it may move, and what it
 * says.  For those who hold the LOCK; see job/job.h. */
#ifndef KIN_JOB_JOB_WORD_H
#define KIN_JOB_JOB_WORD_H

#include "core/check.h"
#include "job/job.h"

/* The picture, as data. */
#define TO(state) (1u << (state))
static const uint8_t job_next[] = {
    [KIN_JOB_NEW]        = TO(KIN_JOB_ACTIVE) | TO(KIN_JOB_CANCELLING),
    [KIN_JOB_ACTIVE]     = TO(KIN_JOB_COMPLETING) | TO(KIN_JOB_COMPLETED)
                         | TO(KIN_JOB_CANCELLING),
    [KIN_JOB_COMPLETING] = TO(KIN_JOB_COMPLETED) | TO(KIN_JOB_CANCELLING),
    [KIN_JOB_CANCELLING] = TO(KIN_JOB_CANCELLED),
    [KIN_JOB_CANCELLED]  = 0,
    [KIN_JOB_COMPLETED]  = 0,
};

/* The only way a word changes its state. */
static inline uint32_t move(uint32_t word, kin_job_state to)
{
    KIN_CHECK(job_next[word & KIN__JOB_STATE] & TO(to));
    return (word & ~(uint32_t)KIN__JOB_STATE) | (uint32_t)to;
}

static inline kin_job_state state_of(uint32_t word)
{
    return (kin_job_state)(word & KIN__JOB_STATE);
}

static inline bool is_over(uint32_t word)
{
    return state_of(word) == KIN_JOB_COMPLETED
        || state_of(word) == KIN_JOB_CANCELLED || (word & KIN__JOB_SEALED);
}

/* One off what a locked job waits for; true if that was all, and it is sealed:
 * by that, or before, by hand (kin__job_claim()). */
static inline bool drop_locked(struct kin_job *job, uint32_t *word)
    KIN_REQUIRES(*job)
{
    bool ready;

    job->pending--;
    ready = !job->pending && (*word & KIN__JOB_BODY_DONE);
    if (ready)
        *word |= KIN__JOB_SEALED;
    return ready;
}

static inline bool drop_pending(struct kin_job *job)
{
    uint32_t word = kin__job_lock(job);
    bool ready = drop_locked(job, &word);

    kin__job_unlock(job, word);
    return ready;
}

#endif /* KIN_JOB_JOB_WORD_H */
