/* job/dump.h -- the dump from inside: a text that grows, and a job's line. */
#ifndef KIN_JOB_DUMP_H
#define KIN_JOB_DUMP_H

#include "job/job.h"

/* How many fibers a dump traces, and how deep. */
#define KIN__DUMP_TRACES 1000
#define KIN__DUMP_FRAMES 24

/* The caller's own. */
struct kin__dump {
    char *text;
    size_t length, room;
    size_t jobs, traced;
    bool is_short;                      /* there was no memory for the rest  */
};

/* Adds to the text. */
void kin__dump_add(struct kin__dump *dump, const char *format, ...)
    KIN__PRINTF(2, 3);

/* Adds the line of job, which is held by a reference, and its backtrace. */
void kin__dump_job(struct kin__dump *dump, struct kin_job *job, size_t level);

#endif /* KIN_JOB_DUMP_H */
