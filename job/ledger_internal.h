/* job/ledger_internal.h -- a line of the ledger. */
#ifndef KIN_JOB_LEDGER_INTERNAL_H
#define KIN_JOB_LEDGER_INTERNAL_H

#include "job/ledger.h"

#define KIN__ENTRY_WAYS 8

/* Guarded by the ledger's lock. */
struct kin__entry {
    const void *object;             /* NULL: never used                      */
    const void *where;              /* who called for it, or NULL            */
    const char *site;               /* of one that is gone                   */
    uint32_t run;                   /* the run that it was made in; 0: none  */
    uint32_t makes;                 /* a job: for which run its body makes   */
    uint32_t held;                  /* the report's: references accounted for */
    uint8_t kind;                   /* enum kin__ledger_kind                 */
    bool is_live, is_kept;
    bool is_settled;                /* a job: the machine has let go         */
    char name[24];                  /* of one that is gone                   */
};

/* One that is live or gone; NULL: unknown.  Under the lock. */
struct kin__entry *kin__ledger_find(enum kin__ledger_kind kind,
                                    const void *object);

/* Calls visit under the lock for each that is live. */
void kin__ledger_each(void (*visit)(struct kin__entry *entry, void *arg),
                      void *arg);

/* The run of an outermost root; 0: it is not the outermost. */
uint32_t kin__ledger_run(const struct kin_job *root);

#endif /* KIN_JOB_LEDGER_INTERNAL_H */
