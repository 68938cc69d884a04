/* deadlock.c -- finds that all fibers of a family wait for each other.
 *
 * All jobs are looked at, one after the other, and what each waits for is
 * noted.  A family is *open* if something in it may happen: a fiber that is not
 * parked; a wait for anything else than the end of a job (a time, a resume,
 * which foreign threads may do, a cancellation); a timeout; a job without a
 * body, which is completed by hand; one not yet started that somebody has a
 * handle to; or a wait for a job of another family that is open.
 *
 * If the family in question is not, all is looked at again.  Each fiber of it
 * that is in the same wait as before was in it throughout; so between the two
 * looks all of them were parked at once, each waiting for another, and that
 * nothing inside can change.  What may from outside is a cancellation or a
 * launch through a handle that somebody keeps for it; who relies on that waits
 * in kin_await_cancellation().
 *
 * Not seen through: kin_await_all (open), and a kin_run_blocking nested in a
 * fiber (which is not parked). */
#include "job/deadlock.h"

#include "core/check.h"
#include "core/memory.h"
#include "core/wait.h"
#include "job/coroutine.h"
#include "job/dump.h"
#include "job/job_word.h"
#include "job/walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX  100000        /* of more jobs nothing is said              */
#define NAME_SIZE 48
#define STEPS     16            /* of a chain that is told                   */

int64_t kin__deadlock_after = KIN_S(1);

/* A job as it was seen; its address and its parent's are only compared. */
struct row {
    const struct kin_job *job, *parent, *root;
    const void *target;         /* the job that its parked fiber waits for   */
    const struct kin__runnable *runner;     /* of a block, until that ends   */
    uint64_t generation;
    const char *what, *site;
    uint32_t word;
    uint8_t kind;
    bool open;                  /* its family is, if this is a root          */
    char name[NAME_SIZE];
};

struct view {
    const struct kin_job *root;
    struct row *rows;           /* as visited; then by the job's address     */
    size_t count, room;
    size_t family;              /* of the row that was noted last: its root  */
};

/* --- Looking -------------------------------------------------------------- */

static const struct kin_job *root_of(const struct kin__walk_level *at)
{
    while (at->outer)
        at = at->outer;
    return at->job;
}

static bool has_children(struct kin_job *job)
{
    uint32_t word = kin__job_lock(job);
    bool found = kin__job_has(job, KIN__NODE_CHILD);

    kin__job_unlock(job, word);
    return found;
}

/* Notes what the fiber waits for; true if it can go on. */
static bool look_at_fiber(struct row *row, struct kin__coroutine *co)
{
    enum kin__wait_state state;
    const struct kin__wait *wait = kin__wait_hold(&co->runnable, &state);

    if (!wait)
        return true;
    row->target = wait->target;
    row->what = wait->what;
    row->generation = wait->generation;
    kin__wait_let_go(&co->runnable);
    return row->target == NULL;
}

/* A body that has not begun, and the references to its job: the machine's, and
 * that of this walk. */
static bool may_be_started(const struct kin_job *job)
{
    /* relaxed: one that comes later comes from outside */
    return atomic_load_explicit(&((struct kin_job *)job)->refs,
                                memory_order_relaxed) > 2;
}

/* May something happen to this job, for all that is seen of itself? */
static bool is_open(struct row *row, struct kin_job *job)
{
    if (is_over(row->word) || row->kind == KIN__TIMEOUT)
        return true;
    if (row->word & KIN__JOB_BODY_DONE)
        return !has_children(job);
    if (!kin__job_has_body(job))
        return true;
    if (row->kind > KIN__BLOCKING) {
        row->runner = kin__block_runner(job);
        return false;
    }
    if (state_of(row->word) == KIN_JOB_NEW)
        return may_be_started(job);
    return look_at_fiber(row, kin__coroutine_of_job(job));
}

static struct row *add_row(struct view *view)
{
    size_t room = view->room ? 2 * view->room : 64;
    struct row *rows;

    if (view->count < view->room)
        return &view->rows[view->count++];
    rows = room <= 2 * ROWS_MAX
           ? kin__realloc(view->rows, room * sizeof *rows) : NULL;
    if (!rows)
        return NULL;
    view->rows = rows;
    view->room = room;
    return &view->rows[view->count++];
}

static int compare(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct row *)a)->job;
    uintptr_t y = (uintptr_t)((const struct row *)b)->job;

    return (x > y) - (x < y);
}

/* Of all that was noted; sorted. */
static struct row *row_of(struct view *view, const void *job)
{
    const struct row key = { .job = job };

    return view->count ? bsearch(&key, view->rows, view->count, sizeof key,
                                 compare) : NULL;
}

/* Ends the walk when it is clear that the family is open. */
static int note(const struct kin__walk_level *at, void *arg)
{
    struct view *view = arg;
    struct row *row = add_row(view);

    if (!row)
        return KIN_ENOMEM;
    if (!at->outer)
        view->family = view->count - 1;
    *row = (struct row){
        .job = at->job, .root = root_of(at), .kind = at->job->kind,
        .parent = at->outer ? at->outer->job : NULL,
        .word = kin__job_word(at->job), .site = kin__job_site(at->job),
    };
    if (!row->site || !kin__job_has_body(at->job))
        row->site = "";
    strncpy(row->name, kin__job_name(at->job), NAME_SIZE - 1);
    if (!is_open(row, at->job))
        return 0;
    if (row->root == view->root)
        return 1;
    view->rows[view->family].open = true;
    return 0;
}

/* Opens the families that wait for an open one. */
static void spread(struct view *view)
{
    bool changed;

    do {
        changed = false;
        for (size_t i = 0; i < view->count; i++) {
            struct row *row = &view->rows[i], *root, *target;

            if (!row->target)
                continue;
            root = row_of(view, row->root);
            target = row_of(view, row->target);
            if (root->open || (target && !row_of(view, target->root)->open))
                continue;
            root->open = changed = true;
        }
    } while (changed);
}

/* True if the family is not open; the view is what was seen. */
static bool is_stuck(struct view *view)
{
    view->count = 0;
    if (kin__walk_jobs(note, view) != 0)
        return false;
    if (view->count)
        qsort(view->rows, view->count, sizeof *view->rows, compare);
    if (!row_of(view, view->root))
        return false;               /* it has just ended */
    spread(view);
    return !row_of(view, view->root)->open;
}

static bool is_same_wait(const struct row *a, const struct row *b)
{
    return b && a->generation == b->generation && a->target == b->target
        && a->word == b->word && a->parent == b->parent;
}

/* Each fiber of a family that is not open is where it was before. */
static bool is_still_stuck(struct view *now, struct view *before)
{
    if (!is_stuck(now))
        return false;
    for (size_t i = 0; i < now->count; i++) {
        const struct row *row = &now->rows[i];

        if (!row_of(now, row->root)->open
            && !is_same_wait(row, row_of(before, row->job)))
            return false;
    }
    return true;
}

/* --- Telling -------------------------------------------------------------- */

static struct row *child_of(struct view *view, const struct row *parent)
{
    for (size_t i = 0; i < view->count; i++)
        if (view->rows[i].parent == parent->job)
            return &view->rows[i];
    return NULL;
}

static struct row *runner_of(struct view *view, const struct row *block)
{
    for (size_t i = 0; i < view->count; i++) {
        const struct row *row = &view->rows[i];

        if (row->kind <= KIN__BLOCKING
            && (const void *)block->runner
                   == (const void *)kin__coroutine_of_job(row->job))
            return &view->rows[i];
    }
    return NULL;
}

/* Appends whom it waits for; *next is that one, or NULL. */
static void add_step(struct view *view, const struct row *row,
                     struct kin__dump *to, struct row **next)
{
    kin__dump_add(to, "  \"%s\"%s%s", row->name,
                  row->site[0] ? ", launched at " : "", row->site);
    if (row->target) {
        *next = row_of(view, row->target);
        kin__dump_add(to, ", is in %s", row->what ? row->what : "a wait");
        if (*next && (*next)->kind > KIN__BLOCKING
            && ((*next)->word & KIN__JOB_BODY_DONE)) {
            *next = child_of(view, *next);
            kin__dump_add(to, " a scope");
        }
        kin__dump_add(to, ", and so waits for\n");
    } else if (row->runner) {
        *next = runner_of(view, row);
        kin__dump_add(to, ", a scope, waits for its body on\n");
    } else if (row->word & KIN__JOB_BODY_DONE) {
        *next = child_of(view, row);
        kin__dump_add(to, " has ended but for its child\n");
    } else {
        *next = NULL;
        kin__dump_add(to, " was never started, and nobody has a handle to do "
                      "so\n");
    }
}

/* From the root on, until the chain bites its tail. */
static void add_chain(struct view *view, struct kin__dump *to)
{
    struct row *row = row_of(view, view->root), *seen[STEPS];

    for (int i = 0; row && i < STEPS; i++) {
        struct row *next;

        for (int j = 0; j < i; j++)
            if (seen[j] == row) {
                kin__dump_add(to, "  \"%s\", as said above\n", row->name);
                return;
            }
        seen[i] = row;
        add_step(view, row, to, &next);
        row = next;
    }
    if (row)
        kin__dump_add(to, "  \"%s\", and so on\n", row->name);
}

static void tell(struct view *view)
{
    struct kin__dump text = { .text = NULL };

    kin__dump_add(&text, "kin: deadlock: all fibers of kin_run_blocking (%s) "
                  "are parked, and nothing is pending\n",
                  row_of(view, view->root)->site);
    add_chain(view, &text);
    if (text.text)
        fputs(text.text, stderr);       /* in one write */
    kin__free(text.text);
}

void kin__deadlock_look(struct kin_job *root)
{
    struct view before = { .root = root }, now = { .root = root };
    kin_error *why;

    if (is_stuck(&before) && is_still_stuck(&now, &before)) {
        tell(&now);
        if (KIN_DEBUG)
            abort();
        why = kin_error_new(kin__job_site(root), KIN_EDEADLK, NULL, "deadlock: "
                            "all fibers wait for each other");
        kin__job_cancel(root, why);
        kin_error_release(why);
    }
    kin__free(before.rows);
    kin__free(now.rows);
}
