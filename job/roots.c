/* roots.c -- the jobs that have no parent, for those who look on.
 *
 * A list in each of a few shards, through the `child` that links others to
 * their parents.  A job without a body may be freed while it is on the list:
 * whoever finds it there takes a reference only if there is one left.
 *
 * Lock order: a shard, and then the LOCK of a job. */
#include "job/roots.h"

#include "core/check.h"
#include "core/sanitize.h"
#include "job/job_word.h"

/* By name for tools/gdb/kin.py. */
struct kin__roots kin__roots[KIN__ROOT_SHARDS];

/* LeakSanitizer must not find a job by this list: a reference that nobody
 * releases is a leak.  Its own inverse. */
static struct kin__node *veil(struct kin__node *node)
{
    return KIN__ASAN ? (struct kin__node *)~(uintptr_t)node : node;
}

static struct kin__roots *shard_of(const struct kin_job *job)
{
    uint64_t hash = (uint64_t)(uintptr_t)job * 0x9e3779b97f4a7c15u;

    return &kin__roots[(hash >> 56) % KIN__ROOT_SHARDS];
}

/* Puts node in front of `next`; of a locked shard, as what follows. */
static void insert(struct kin__node *next, struct kin__node *node)
{
    struct kin__node *prev = veil(next->prev);

    node->prev = veil(prev);
    node->next = veil(next);
    prev->next = veil(node);
    next->prev = veil(node);
}

static void take_out(struct kin__node *node)
{
    veil(node->prev)->next = node->next;
    veil(node->next)->prev = node->prev;
    node->next = node->prev = node;
}

static struct kin__node *lock(struct kin__roots *shard)
    KIN_LOCKS(shard->lock)
{
    struct kin__node *head = &shard->head;

    kin__spin_lock(&shard->lock);
    if (!head->next)
        head->next = head->prev = veil(head);
    return head;
}

void kin__root_link(struct kin_job *job)
{
    struct kin__roots *shard = shard_of(job);

    insert(lock(shard), &job->child);
    kin__spin_unlock(&shard->lock);
}

void kin__root_unlink(struct kin_job *job)
{
    struct kin__roots *shard = shard_of(job);

    lock(shard);
    take_out(&job->child);
    kin__spin_unlock(&shard->lock);
}

/* --- Looking on ----------------------------------------------------------- */

void kin__roots_begin(struct kin__roots *shard, struct kin__roots_cursor *at)
{
    struct kin__node *head = lock(shard);

    at->shard = shard;
    at->here.kind = at->end.kind = KIN__NODE_CURSOR;
    insert(head, &at->end);
    insert(veil(head->next), &at->here);
    kin__spin_unlock(&shard->lock);
}

/* A reference, and a hold if wanted; false if it is too late for them. */
static bool take(struct kin_job *job, bool hold)
{
    /* relaxed: the exchange below decides */
    uint32_t refs = atomic_load_explicit(&job->refs, memory_order_relaxed);
    uint32_t word;
    bool over = false;

    do {
        if (refs == 0)
            return false;
        /* relaxed: the shard's lock orders it */
    } while (!atomic_compare_exchange_weak_explicit(
                 &job->refs, &refs, refs + 1, memory_order_relaxed,
                 memory_order_relaxed));
    if (!hold)
        return true;
    word = kin__job_lock(job);
    over = is_over(word);
    if (over)
        /* relaxed: a job with a body has another reference while listed */
        atomic_fetch_sub_explicit(&job->refs, 1, memory_order_relaxed);
    else
        job->pending++;
    kin__job_unlock(job, word);
    return !over;
}

struct kin_job *kin__roots_next(struct kin__roots_cursor *at,
                                bool (*must_hold)(const struct kin_job *job),
                                bool *held)
{
    struct kin_job *found = NULL;
    struct kin__node *node;

    lock(at->shard);
    for (node = veil(at->here.next); node != &at->end && !found;
         node = veil(node->next)) {
        if (node->kind != KIN__NODE_CHILD)
            continue;
        found = kin__job_of_child(node);
        *held = must_hold(found);
        if (!take(found, *held))
            found = NULL;
    }
    take_out(&at->here);
    if (found)
        insert(node, &at->here);
    else
        take_out(&at->end);
    kin__spin_unlock(&at->shard->lock);
    return found;
}
