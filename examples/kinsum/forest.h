/* forest.h -- the trees of the command line, as one: their files together, in
 * the order of the paths.
 *
 * A tree has a supervisor, whose children are the sums of its files: one that
 * fails harms no other.  A tree is opened when it is its turn and closed when
 * it has been walked; its supervisor then waits for the sums. */
#ifndef FOREST_H
#define FOREST_H

#include "walk.h"

#include <kin/scope.h>

struct tree {
    const char *root;
    struct walk walk;
    kin_job *supervisor;
    kin_scope *scope;           /* to launch children of the supervisor */
    struct tree *next;          /* of the open ones */
};

struct forest {
    struct tree *trees;         /* sorted by root */
    size_t count, opened;
    struct tree *open;          /* sorted by the path each has found */
    struct tree *current;       /* handed out, not in the list */
    bool follow;
};

int forest_init(struct forest *forest, const char *const *roots, size_t count,
                bool follow);
void forest_destroy(struct forest *forest);

/* The tree with the next file, tree->walk.path; the supervisors become children
 * of scope's job.  Returns 1, or 0 at the end.  Blocks: for IO. */
int forest_next(struct forest *forest, kin_scope *scope, struct tree **tree);

#endif
