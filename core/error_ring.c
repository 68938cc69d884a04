/* error_ring.c -- suppressed errors, and the rings they may close.
 *
 * A cause is set once, to an error that is older: causes alone never lead back.
 * But a suppressed list grows later, and then this is common:
 *
 *     child:  fails with B  ----------------------> the job's first failure
 *     body:   awaits it, fails with A because of B  ----> the second
 *
 *             B --suppressed--> A --cause--> B
 *
 * Counting alone would never free the two.  So when a link closes a ring, all
 * errors that lie on it are marked, and a marked error is released under one
 * lock, by trial: of the marked errors that can be reached from it, those are
 * alive that are held by more than the references counted among them, or that
 * a live one leads to; the others are garbage.
 *
 * Retaining needs no lock.  Whoever retains M does so through something that
 * it holds, X, from which a path leads to M, and it cannot give X up while the
 * trial lasts: if X is marked, for want of the lock; if not, because what the
 * path enters first among the marked ones has a reference from outside, which
 * goes only under the lock too.  So X, and with it M, is found alive.
 *
 * Rejected: a copy of A without its cause in B's list.  Errors are compared by
 * identity, and the copy would be another error. */
#include "core/error_internal.h"
#include "core/memory.h"

#include <pthread.h>

static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;

/* Lists, beginning with `first`, the errors that can be reached from it (all,
 * or only by way of marked ones), and counts the references among them.
 * Under the lock, like all that follows but the two at the end. */
static void list_reachable(kin_error *first, bool all)
{
    kin_error *last = first, *error, *target;
    const struct kin__error_link *link;

    first->next = NULL;
    first->inner = 0;
    first->is_listed = true;
    for (error = first; error; error = error->next)
        for (link = &error->links; link; link = kin__error_link_next(link)) {
            target = link->error;
            if (!target || kin__error_refs(target) == 0)
                continue;
            if (!all && !(kin__error_refs(target) & KIN__ERROR_RING))
                continue;
            if (!target->is_listed) {
                target->next = NULL;
                target->inner = 0;
                target->is_listed = true;
                last = last->next = target;
            }
            target->inner++;
        }
}

static void unlist(kin_error *error)
{
    for (; error; error = error->next)
        error->is_listed = false;
}

/* Marks what will lie on a ring once winner leads to other, and maybe more. */
static void mark_ring(const kin_error *winner, kin_error *other)
{
    kin_error *error;

    list_reachable(other, true);
    if (winner->is_listed)
        for (error = other; error; error = error->next)
            /* acquire: what those did who released it without the lock, to it
             * and to what it leads to; pairs with release in drop(), error.c */
            atomic_fetch_or_explicit(&error->refs, KIN__ERROR_RING,
                                     memory_order_acquire);
    unlist(other);
}

/* Decides for each that is listed whether it is alive. */
static void find_alive(kin_error *first)
{
    const struct kin__error_link *link;
    kin_error *error;
    bool again;

    for (error = first; error; error = error->next)
        error->is_alive =
            (kin__error_refs(error) & ~KIN__ERROR_RING) > error->inner;
    do {
        again = false;
        for (error = first; error; error = error->next)
            for (link = &error->links; error->is_alive && link;
                 link = kin__error_link_next(link))
                if (link->error && link->error->is_listed &&
                    !link->error->is_alive)
                    link->error->is_alive = again = true;
    } while (again);
}

/* Undoes the references that garbage has to marked errors. */
static void sever(kin_error *garbage)
{
    struct kin__error_link *link;

    for (link = &garbage->links; link; link = kin__error_link_next(link)) {
        if (!link->error || !link->error->is_listed)
            continue;
        /* relaxed: under the lock */
        if (link->error->is_alive)
            atomic_fetch_sub_explicit(&link->error->refs, 1,
                                      memory_order_relaxed);
        link->error = NULL;
    }
}

static kin_error *collect(kin_error *first, kin_error *dead)
{
    kin_error *error, *next;

    list_reachable(first, false);
    find_alive(first);
    for (error = first; error; error = error->next)
        if (!error->is_alive)
            sever(error);
    unlist(first);
    for (error = first; error; error = next) {
        next = error->next;
        if (!error->is_alive) {
            error->next = dead;
            dead = error;
        }
    }
    return dead;
}

kin_error *kin__error_ring_drop(kin_error *error, unsigned count,
                                kin_error *dead)
{
    pthread_mutex_lock(&ring_lock);
    /* relaxed: what other holders did came before, by the lock; or before the
     * mark, and then mark_ring() acquired it */
    atomic_fetch_sub_explicit(&error->refs, count, memory_order_relaxed);
    dead = collect(error, dead);
    pthread_mutex_unlock(&ring_lock);
    return dead;
}

/* The link after which other is to be appended, NULL if it is in the list. */
static struct kin__error_link *place_for(kin_error *winner,
                                         const kin_error *other)
{
    struct kin__error_link *link = &winner->links, *next;

    while ((next = kin__error_link_next(link))) {
        if (next->error == other)
            return NULL;
        link = next;
    }
    return link;
}

void kin__error_suppress(kin_error *winner, kin_error *other)
{
    struct kin__error_link *last, *link;

    if (!winner || !other || winner == other ||
        kin_error_is_cancellation(other) || kin__error_refs(winner) == 0)
        return;
    link = place_for(winner, other) ? kin__malloc(sizeof *link) : NULL;
    if (!link)
        return;
    *link = (struct kin__error_link){ .error = kin_error_retain(other) };
    pthread_mutex_lock(&ring_lock);
    last = place_for(winner, other);
    if (last) {
        if (kin__error_refs(other))
            mark_ring(winner, other);
        /* release: publishes the link; pairs with acquire in
         * kin__error_link_next() */
        atomic_store_explicit(&last->next, link, memory_order_release);
    }
    pthread_mutex_unlock(&ring_lock);
    if (!last) {
        kin_error_release(other);
        kin__free(link);
    }
}

/* --- Many at once --------------------------------------------------------- */

/* Immortal ones are constant: they cannot be listed. */
static void set_listed(kin_error *error, bool listed)
{
    if (error && kin__error_refs(error))
        error->is_listed = listed;
}

/* Lists winner and what it suppresses, or takes that back; returns the last
 * link. */
static struct kin__error_link *list_suppressed(kin_error *winner, bool listed)
{
    struct kin__error_link *link = &winner->links, *next;

    set_listed(winner, listed);
    while ((next = kin__error_link_next(link))) {
        set_listed(next->error, listed);
        link = next;
    }
    return link;
}

/* Appends other behind last, unless it is there; returns the last link. */
static struct kin__error_link *append_new(struct kin__error_link *last,
                                          kin_error *other)
{
    struct kin__error_link *link;

    if (other->is_listed || kin_error_is_cancellation(other))
        return last;
    link = kin__malloc(sizeof *link);
    if (!link)
        return last;
    *link = (struct kin__error_link){ .error = kin_error_retain(other) };
    other->is_listed = true;
    /* release: publishes the link; pairs with acquire in
     * kin__error_link_next() */
    atomic_store_explicit(&last->next, link, memory_order_release);
    return link;
}

void kin__error_suppress_all(kin_error *winner, kin_error *const *others,
                             size_t count)
{
    struct kin__error_link *old, *last;

    if (!winner || kin__error_refs(winner) == 0)
        return;
    pthread_mutex_lock(&ring_lock);
    old = last = list_suppressed(winner, true);
    for (size_t i = 0; i < count; i++)
        if (kin__error_refs(others[i]))
            last = append_new(last, others[i]);
    list_suppressed(winner, false);
    while ((old = kin__error_link_next(old)))
        mark_ring(winner, old->error);
    pthread_mutex_unlock(&ring_lock);
    for (size_t i = 0; i < count; i++)
        if (!kin__error_refs(others[i]))
            kin__error_suppress(winner, others[i]);
}
