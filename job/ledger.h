/* job/ledger.h -- debug builds: which handles there are, and were.
 *
 * Of each job, context and scope object: who made it, in which outermost
 * kin_run_blocking, and if it is gone.  What is gone is remembered until its
 * place in the table is needed, so that a handle that is used too late is told
 * by name.  A million of them do not fit: those that do not are not watched.
 *
 * In a release build nothing of it is there. */
#ifndef KIN_JOB_LEDGER_H
#define KIN_JOB_LEDGER_H

#include "core/check.h"
#include "job/job.h"

enum kin__ledger_kind {
    KIN__LEDGER_JOB, KIN__LEDGER_CONTEXT, KIN__LEDGER_SCOPE
};

#if KIN_DEBUG
/* A new job, context, or scope; where: who called, or NULL. */
void kin__ledger_job(struct kin_job *job);
void kin__ledger_add(enum kin__ledger_kind kind, const void *object);
void kin__ledger_where(const void *object, const void *where);

/* The job is a child of parent, or of nobody (NULL). */
void kin__ledger_attach(struct kin_job *parent, struct kin_job *job);

/* The machine gives up its reference to a final job. */
void kin__ledger_settled(const struct kin_job *job);

/* It is about to be freed. */
void kin__ledger_job_gone(struct kin_job *job);
void kin__ledger_gone(enum kin__ledger_kind kind, const void *object,
                      const char *name, const char *site);

/* Misuse of function if the object is gone. */
void kin__ledger_check(enum kin__ledger_kind kind, const void *object,
                       const char *function);

/* A release of a job's last reference: misuse if it was not the caller's. */
void kin__ledger_check_last(struct kin_job *job);

/* The outermost kin_run_blocking of that job is over: tells what is left of
 * what was made in it. */
void kin__ledger_report(struct kin_job *root);
#else
#define kin__ledger_job(job)                         ((void)(job))
#define kin__ledger_add(kind, object)                ((void)(object))
#define kin__ledger_where(object, where)             ((void)(object))
#define kin__ledger_attach(parent, job)              ((void)(job))
#define kin__ledger_settled(job)                     ((void)(job))
#define kin__ledger_job_gone(job)                    ((void)(job))
#define kin__ledger_gone(kind, object, name, site)   ((void)(object))
#define kin__ledger_check(kind, object, function)    ((void)(object))
#define kin__ledger_check_last(job)                  ((void)(job))
#define kin__ledger_report(root)                     ((void)(root))
#endif

#endif /* KIN_JOB_LEDGER_H */
