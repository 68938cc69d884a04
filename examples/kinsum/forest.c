#include "forest.h"

#include <kin/job.h>

#include <stdlib.h>
#include <string.h>

static int by_root(const void *a, const void *b)
{
    const struct tree *left = a, *right = b;

    return strcmp(left->root, right->root);
}

int forest_init(struct forest *forest, const char *const *roots, size_t count,
                bool follow)
{
    *forest = (struct forest){ .count = count, .follow = follow };
    forest->trees = calloc(count, sizeof *forest->trees);
    if (!forest->trees)
        return KIN_ENOMEM;
    for (size_t i = 0; i < count; i++)
        forest->trees[i].root = roots[i];
    qsort(forest->trees, count, sizeof *forest->trees, by_root);
    return 0;
}

static int tree_open(struct tree *tree, kin_scope *scope, bool follow)
{
    KIN_AUTO(kin_context) context = NULL;

    KIN_TRY(kin_supervisor_new(kin_scope_job(scope), &tree->supervisor));
    context = kin_context_of_job(tree->supervisor);
    if (!context)
        return KIN_ENOMEM;
    KIN_TRY(kin_scope_plus(scope, context, &tree->scope));
    return walk_open(&tree->walk, tree->root, follow);
}

/* The sums that are in flight keep the supervisor going. */
static void tree_close(struct tree *tree)
{
    walk_close(&tree->walk);
    if (tree->scope)
        kin_scope_release(tree->scope);
    if (tree->supervisor)
        kin_job_complete(tree->supervisor);
    kin_job_release(tree->supervisor);
    tree->scope = NULL;
    tree->supervisor = NULL;
}

void forest_destroy(struct forest *forest)
{
    for (size_t i = 0; forest->trees && i < forest->opened; i++)
        tree_close(&forest->trees[i]);
    free(forest->trees);
}

/* Lets tree step on, and puts it where its next path belongs. */
static int advance(struct forest *forest, struct tree *tree)
{
    struct tree **place = &forest->open;
    int found = walk_next(&tree->walk);

    if (found == 0)
        tree_close(tree);
    if (found <= 0)
        return found;
    while (*place && strcmp((*place)->walk.path, tree->walk.path) <= 0)
        place = &(*place)->next;
    tree->next = *place;
    *place = tree;
    return 0;
}

/* No path in a tree comes before its root: that is when it is opened. */
static bool is_due(const struct forest *forest)
{
    const struct tree *unopened = &forest->trees[forest->opened];

    return forest->opened < forest->count &&
           (!forest->open ||
            strcmp(unopened->root, forest->open->walk.path) <= 0);
}

int forest_next(struct forest *forest, kin_scope *scope, struct tree **tree)
{
    if (forest->current)
        KIN_TRY(advance(forest, forest->current));
    while (is_due(forest)) {
        struct tree *opened = &forest->trees[forest->opened++];

        KIN_TRY(tree_open(opened, scope, forest->follow));
        KIN_TRY(advance(forest, opened));
    }
    *tree = forest->current = forest->open;
    if (!*tree)
        return 0;
    forest->open = (*tree)->next;
    return 1;
}
