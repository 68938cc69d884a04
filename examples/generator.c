/* generator.c -- do two trees have the same leaves?
 *
 * To walk a tree is a recursive function, and to compare two of them step by
 * step would need the recursion turned inside out, twice.  A fiber keeps its
 * recursion where it is: it suspends with a leaf, and goes on with the next one
 * when it is resumed.  Only as much of the trees is walked as is needed. */
#include <kin/fiber.h>

#include <stdio.h>
#include <string.h>

struct tree {
    const char *leaf;                   /* or, if NULL: */
    const struct tree *left, *right;
};

KIN_SUSPENDS
static void yield_leaves(const struct tree *tree)
{
    if (tree->leaf) {
        kin_fiber_suspend((void *)tree->leaf);
        return;
    }
    yield_leaves(tree->left);
    yield_leaves(tree->right);
}

/* The body of a generator: its value is the tree; at the end it gives NULL. */
KIN_SUSPENDS
static void *leaves_of(void *tree)
{
    yield_leaves(tree);
    return NULL;
}

/* The next leaf, or NULL.  The tree matters the first time only. */
static const char *next_leaf(kin_fiber *leaves, const struct tree *tree)
{
    void *leaf = NULL;

    if (kin_fiber_is_done(leaves) ||
        kin_fiber_resume(leaves, (void *)tree, &leaf) < 0)
        return NULL;
    return leaf;
}

/* Prints what it compares; 1 if all the leaves are the same, in order. */
static int compare(const struct tree *a, const struct tree *b)
{
    kin_fiber *left = NULL, *right = NULL;
    const char *from_left = NULL, *from_right = NULL;
    int is_same = 0;

    if (kin_fiber_new(leaves_of, &left, .name = "left") == 0 &&
        kin_fiber_new(leaves_of, &right, .name = "right") == 0) {
        do {
            from_left = next_leaf(left, a);
            from_right = next_leaf(right, b);
            printf(" %s/%s", from_left ? from_left : "-",
                   from_right ? from_right : "-");
            is_same = from_left && from_right
                          ? strcmp(from_left, from_right) == 0
                          : from_left == from_right;
        } while (is_same && from_left);
    }
    kin_fiber_destroy(left);            /* suspended half-way: dropped */
    kin_fiber_destroy(right);
    return is_same;
}

int main(void)
{
    const struct tree a = { .leaf = "a" }, b = { .leaf = "b" };
    const struct tree c = { .leaf = "c" }, d = { .leaf = "d" };
    const struct tree ab = { NULL, &a, &b }, bc = { NULL, &b, &c };
    const struct tree cb = { NULL, &c, &b }, cd = { NULL, &c, &d };
    const struct tree ab_cd = { NULL, &ab, &cd };
    const struct tree a_bc = { NULL, &a, &bc }, a_cb = { NULL, &a, &cb };
    const struct tree a_bc_d = { NULL, &a_bc, &d };
    const struct tree a_cb_d = { NULL, &a_cb, &d };

    printf(": %s\n", compare(&ab_cd, &a_bc_d) ? "same" : "different");
    printf(": %s\n", compare(&ab_cd, &a_cb_d) ? "same" : "different");
    printf(": %s\n", compare(&ab, &a_bc) ? "same" : "different");
    return 0;
}
