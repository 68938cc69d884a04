/* ledger.c -- see ledger.h.
 *
 * A table in static memory, a few places for each value of a hash: what it
 * remembers must not be counted among what a test allocates.
 *
 * Runs.  A fiber makes what it makes for the outermost kin_run_blocking that it
 * belongs to: its job's `makes`, which a child has from its parent.  A job
 * without a parent, or with one made by hand, outlives on purpose: what it
 * makes is not for any run. */
#include "job/ledger.h"

#if KIN_DEBUG

#include "core/spin.h"
#include "job/coroutine.h"
#include "job/ledger_internal.h"
#include "kin/dump.h"

#include <string.h>

#define BUCKETS 4096

static struct kin__spin lock;
static struct kin__entry table[BUCKETS][KIN__ENTRY_WAYS];   /* under lock */
static uint32_t runs;                                       /* likewise */

static struct kin__entry *bucket_of(const void *object)
{
    uint64_t hash = (uint64_t)(uintptr_t)object * 0x9e3779b97f4a7c15u;

    return table[hash >> 52];
}

struct kin__entry *kin__ledger_find(enum kin__ledger_kind kind,
                                    const void *object)
{
    struct kin__entry *bucket = bucket_of(object);

    for (int i = 0; i < KIN__ENTRY_WAYS && object; i++)
        if (bucket[i].object == object && bucket[i].kind == kind)
            return &bucket[i];
    return NULL;
}

/* Its place, or a free one, or that of one that is gone; NULL: none. */
static struct kin__entry *place_for(enum kin__ledger_kind kind,
                                    const void *object)
{
    struct kin__entry *entry = kin__ledger_find(kind, object);
    struct kin__entry *bucket = bucket_of(object);

    for (int i = 0; i < KIN__ENTRY_WAYS && !entry; i++)
        if (!bucket[i].is_live)
            entry = &bucket[i];
    if (entry)
        *entry = (struct kin__entry){ .object = object,
                                      .kind = (uint8_t)kind };
    return entry;
}

/* For which run the running fiber makes what it makes; under the lock. */
static uint32_t run_here(void)
{
    struct kin__coroutine *co = kin__coroutine_current();
    struct kin__entry *entry = co ? kin__ledger_find(KIN__LEDGER_JOB, &co->job)
                                  : NULL;

    return entry ? entry->makes : 0;
}

void kin__ledger_add(enum kin__ledger_kind kind, const void *object)
{
    struct kin__entry *entry;

    kin__spin_lock(&lock);
    entry = place_for(kind, object);
    if (entry) {
        entry->is_live = true;
        entry->run = run_here();
    }
    kin__spin_unlock(&lock);
}

void kin__ledger_job(struct kin_job *job)
{
    struct kin__entry *entry;

    kin__spin_lock(&lock);
    entry = place_for(KIN__LEDGER_JOB, job);
    if (entry) {
        entry->is_live = true;
        entry->run = entry->makes = run_here();
        if (job->kind == KIN__BLOCKING && !kin__coroutine_current())
            entry->makes = ++runs;
    }
    kin__spin_unlock(&lock);
    if (kin__job_has_body(job))
        kin__ledger_add(KIN__LEDGER_SCOPE, kin__job_scope(job));
}

void kin__ledger_where(const void *object, const void *where)
{
    kin__spin_lock(&lock);
    for (int kind = KIN__LEDGER_JOB; kind <= KIN__LEDGER_SCOPE; kind++) {
        struct kin__entry *entry =
            kin__ledger_find((enum kin__ledger_kind)kind, object);

        if (entry)
            entry->where = where;
    }
    kin__spin_unlock(&lock);
}

void kin__ledger_attach(struct kin_job *parent, struct kin_job *job)
{
    bool outlives = !parent || !kin__job_has_body(parent);
    struct kin__entry *entry;

    if (!outlives || job->kind == KIN__BLOCKING || job->kind > KIN__ASYNC)
        return;
    kin__spin_lock(&lock);
    entry = kin__ledger_find(KIN__LEDGER_JOB, job);
    if (entry)
        entry->makes = 0;
    kin__spin_unlock(&lock);
}

void kin__ledger_settled(const struct kin_job *job)
{
    struct kin__entry *entry;

    kin__spin_lock(&lock);
    entry = kin__ledger_find(KIN__LEDGER_JOB, job);
    if (entry)
        entry->is_settled = true;
    kin__spin_unlock(&lock);
}

void kin__ledger_gone(enum kin__ledger_kind kind, const void *object,
                      const char *name, const char *site)
{
    struct kin__entry *entry;

    kin__spin_lock(&lock);
    entry = kin__ledger_find(kind, object);
    if (entry) {
        entry->is_live = false;
        entry->site = site;
        if (name)
            strncpy(entry->name, name, sizeof entry->name - 1);
    }
    kin__spin_unlock(&lock);
}

void kin__ledger_job_gone(struct kin_job *job)
{
    const char *name = kin__job_name(job), *site = kin__job_site(job);

    kin__ledger_gone(KIN__LEDGER_JOB, job, name, site);
    if (kin__job_has_body(job))
        kin__ledger_gone(KIN__LEDGER_SCOPE, kin__job_scope(job), name, site);
}

void kin_keep(const void *handle)
{
    kin__spin_lock(&lock);
    for (int kind = KIN__LEDGER_JOB; kind <= KIN__LEDGER_SCOPE; kind++) {
        struct kin__entry *entry =
            kin__ledger_find((enum kin__ledger_kind)kind, handle);

        if (entry)
            entry->is_kept = true;
    }
    kin__spin_unlock(&lock);
}

/* --- Checking ------------------------------------------------------------- */

static const char *const kind_names[] = {
    [KIN__LEDGER_JOB] = "job", [KIN__LEDGER_CONTEXT] = "context",
    [KIN__LEDGER_SCOPE] = "scope",
};

void kin__ledger_check(enum kin__ledger_kind kind, const void *object,
                       const char *function)
{
    struct kin__entry copy, *entry;

    kin__spin_lock(&lock);
    entry = kin__ledger_find(kind, object);
    copy = entry ? *entry : (struct kin__entry){ .is_live = true };
    kin__spin_unlock(&lock);
    if (!copy.is_live)
        kin__misuse(KIN_ESTALE, function, "the handle %p has been released: "
                    "%s \"%s\", launched at %s", object, kind_names[kind],
                    copy.name[0] ? copy.name : "?",
                    copy.site ? copy.site : "?");
}

void kin__ledger_check_last(struct kin_job *job)
{
    if (kin__job_has_body(job)
        && kin__job_state(job) < KIN_JOB_CANCELLED)
        kin__misuse(KIN_ESTALE, "kin_job_release", "job \"%s\", launched at "
                    "%s, is released more often than it was handed out: it has "
                    "not ended", kin__job_name(job),
                    kin__job_site(job) ? kin__job_site(job) : "?");
}

/* --- For the report ------------------------------------------------------- */

void kin__ledger_each(void (*visit)(struct kin__entry *entry, void *arg),
                      void *arg)
{
    kin__spin_lock(&lock);
    for (size_t i = 0; i < BUCKETS; i++)
        for (int j = 0; j < KIN__ENTRY_WAYS; j++)
            if (table[i][j].is_live)
                visit(&table[i][j], arg);
    kin__spin_unlock(&lock);
}

uint32_t kin__ledger_run(const struct kin_job *root)
{
    struct kin__entry *entry;
    uint32_t run;

    kin__spin_lock(&lock);
    entry = kin__ledger_find(KIN__LEDGER_JOB, root);
    run = entry && entry->run == 0 ? entry->makes : 0;
    kin__spin_unlock(&lock);
    return run;
}

#else

#include "kin/dump.h"

void kin_keep(const void *handle)
{
    (void)handle;                       /* nothing is told */
}

#endif
