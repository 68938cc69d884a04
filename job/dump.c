/* dump.c -- the live family tree as text; see kin/dump.h.
 *
 * The walk goes down by cursors in the lists of children, one per level, in
 * memory of its own: no recursion, and no LOCK is held but to move a cursor.
 * A second cursor marks where the list ended when the walk came to it, so that
 * a job which launches all the time does not keep it for ever.
 *
 * Whoever is visited is kept by a reference.  That may make the walk the one
 * that releases the last reference, which may call something of the user's (a
 * value is handed back, an element of the context is released), and by then the
 * parent's body must not have gone on.  So such a job's parent is held
 * (`pending`), or the job itself if it is a root. */
#include "kin/dump.h"

#include "core/check.h"
#include "core/memory.h"
#include "core/trace.h"
#include "job/context.h"
#include "job/coroutine.h"
#include "job/dump.h"
#include "job/roots.h"

#include <errno.h>
#include <unistd.h>

/* On the way from a root to where the walk is. */
struct level {
    struct kin__node cursor, end;       /* guarded by job's LOCK             */
    struct level *outer;
    struct kin_job *job;                /* retained                          */
    struct kin_job *held;               /* NULL, job, or its parent          */
    size_t depth;
};

static bool tells_when_freed(const struct kin_job *job)
{
    const struct kin__coroutine *co = kin__coroutine_of_job(job);

    if (job->kind <= KIN__BLOCKING)
        return co->on_undelivered
            || (co->scope.owns_context && co->scope.context->foreign);
    if (job->kind == KIN__DEFERRED)
        return kin__deferred_tells_when_freed(job);
    return kin__job_has_body(job) && kin__block_tells_when_freed(job);
}

static void let_go(struct kin_job *job, struct kin_job *held)
{
    kin_job_release(job);
    if (held)
        kin__job_let_go(held);
}

static void place(struct level *level)
{
    struct kin_job *job = level->job;
    uint32_t word = kin__job_lock(job);

    level->cursor.kind = level->end.kind = KIN__NODE_CURSOR;
    kin__node_append(job->list.next, &level->cursor);   /* at the front */
    kin__node_append(&job->list, &level->end);
    kin__job_unlock(job, word);
}

/* The next child, retained, and its parent in *held if it is to be held. */
static struct kin_job *next_child(struct level *level, struct kin_job **held)
{
    struct kin_job *job = level->job, *child = NULL;
    uint32_t word = kin__job_lock(job);
    struct kin__node *node = level->cursor.next;

    while (node != &level->end && node->kind != KIN__NODE_CHILD)
        node = node->next;
    kin__node_unlink(&level->cursor);
    *held = NULL;
    if (node == &level->end) {
        kin__node_unlink(&level->end);
    } else {
        kin__node_append(node->next, &level->cursor);
        child = kin__job_of_child(node);
        kin__job_retain(child);
        if (tells_when_freed(child)) {
            job->pending++;
            *held = job;
        }
    }
    kin__job_unlock(job, word);
    return child;
}

/* Goes down to job, whose reference and hold are taken; back is `outer` without
 * memory. */
static struct level *enter(struct kin__dump *dump, struct level *outer,
                           struct kin_job *job, struct kin_job *held)
{
    struct level *level = dump->is_short ? NULL : kin__malloc(sizeof *level);

    if (!level) {
        dump->is_short = true;
        let_go(job, held);
        return outer;
    }
    *level = (struct level){ .outer = outer, .job = job, .held = held,
                             .depth = outer ? outer->depth + 1 : 0 };
    kin__dump_job(dump, job, level->depth);
    place(level);
    return level;
}

static void dump_family(struct kin__dump *dump, struct kin_job *root,
                        struct kin_job *held)
{
    struct level *level = enter(dump, NULL, root, held);

    while (level) {
        struct kin_job *child = next_child(level, &held);

        if (child) {
            level = enter(dump, level, child, held);
        } else {
            struct level *outer = level->outer;

            let_go(level->job, level->held);
            kin__free(level);
            level = outer;
        }
    }
}

static void dump_all(struct kin__dump *dump)
{
    kin__dump_add(dump, "kin: live jobs\n");
    for (size_t i = 0; i < KIN__ROOT_SHARDS; i++) {
        struct kin__roots_cursor at;
        struct kin_job *root;
        bool held;

        kin__roots_begin(&kin__roots[i], &at);
        while ((root = kin__roots_next(&at, tells_when_freed, &held)))
            dump_family(dump, root, held ? root : NULL);
    }
    kin__dump_add(dump, "kin: %zu jobs\n", dump->jobs);
}

static int write_all(int fd, const char *text, size_t length)
{
    while (length) {
        ssize_t written = write(fd, text, length);

        if (written < 0 && errno != EINTR)
            return -errno;
        if (written > 0) {
            text += written;
            length -= (size_t)written;
        }
    }
    return 0;
}

int kin_dump(int fd)
{
    static const char cut[] = "\nkin: no memory for the rest\n";
    struct kin__dump dump = { .text = NULL };
    int err;

    if (fd < 0)
        return kin__misuse(KIN_EINVAL, "kin_dump", "fd is %d", fd);
    kin__trace_prepare();
    dump_all(&dump);
    err = write_all(fd, dump.text, dump.length);
    if (!err && dump.is_short) {
        err = write_all(fd, cut, sizeof cut - 1);
        err = err ? err : KIN_ENOMEM;
    }
    kin__free(dump.text);
    return err;
}
