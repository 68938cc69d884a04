/* walk.c -- a walk over all families of jobs; see walk.h.
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
 * (`pending`), or the job itself if it is a root with a body.  One without has
 * only its handles, one of which may be released, the last, at any time. */
#include "job/walk.h"

#include "core/memory.h"
#include "job/context.h"
#include "job/coroutine.h"
#include "job/roots.h"

struct walk {
    kin__walk_visit *visit;
    void *arg;
    int result;                         /* not 0: it ends                    */
};

static bool tells_when_freed(const struct kin_job *job)
{
    const struct kin__coroutine *co = kin__coroutine_of_job(job);

    if (job->kind <= KIN__BLOCKING)
        return (job->kind != KIN__BLOCKING && co->on_undelivered)
            || (kin__scope_owns(&co->scope) && co->scope.context->foreign);
    if (job->kind == KIN__DEFERRED)
        return kin__deferred_tells_when_freed(job);
    return kin__job_has_body(job) && kin__block_tells_when_freed(job);
}

static bool holds_itself(const struct kin_job *root)
{
    return kin__job_has_body(root) && tells_when_freed(root);
}

static void let_go(struct kin_job *job, struct kin_job *held)
{
    kin_job_release(job);
    if (held)
        kin__job_let_go(held);
}

static void place(struct kin__walk_level *level)
{
    struct kin_job *job = level->job;
    uint32_t word = kin__job_lock(job);

    level->cursor.kind = level->end.kind = KIN__NODE_CURSOR;
    kin__node_append(job->list.next, &level->cursor);   /* at the front */
    kin__node_append(&job->list, &level->end);
    kin__job_unlock(job, word);
}

/* The next child, retained, and its parent in *held if it is to be held. */
static struct kin_job *next_child(struct kin__walk_level *level,
                                  struct kin_job **held)
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

/* Goes down to job, whose reference and hold are taken; back is `outer` if it
 * is to go no further. */
static struct kin__walk_level *enter(struct walk *walk,
                                     struct kin__walk_level *outer,
                                     struct kin_job *job, struct kin_job *held)
{
    struct kin__walk_level *level = NULL;

    if (!walk->result) {
        level = kin__malloc(sizeof *level);
        walk->result = level ? 0 : KIN_ENOMEM;
    }
    if (!level) {
        let_go(job, held);
        return outer;
    }
    *level = (struct kin__walk_level){
        .outer = outer, .job = job, .held = held,
        .depth = outer ? outer->depth + 1 : 0,
    };
    place(level);
    walk->result = walk->visit(level, walk->arg);
    return level;
}

static struct kin__walk_level *leave(struct kin__walk_level *level)
{
    struct kin__walk_level *outer = level->outer;

    let_go(level->job, level->held);
    kin__free(level);
    return outer;
}

static void walk_family(struct walk *walk, struct kin_job *root,
                        struct kin_job *held)
{
    struct kin__walk_level *level = enter(walk, NULL, root, held);

    while (level) {
        struct kin_job *child = next_child(level, &held);

        level = child ? enter(walk, level, child, held) : leave(level);
    }
}

int kin__walk_jobs(kin__walk_visit *visit, void *arg)
{
    struct walk walk = { .visit = visit, .arg = arg };

    for (size_t i = 0; i < KIN__ROOT_SHARDS && !walk.result; i++) {
        struct kin__roots_cursor at;
        struct kin_job *root;
        bool held;

        kin__roots_begin(&kin__roots[i], &at);
        while ((root = kin__roots_next(&at, holds_itself, &held)))
            walk_family(&walk, root, held ? root : NULL);
    }
    return walk.result;
}
