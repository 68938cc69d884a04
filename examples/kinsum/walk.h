/* walk.h -- the files of one tree, in the order of `LC_ALL=C sort`.
 *
 *     walk_open(&walk, "src", false);
 *     while (walk_next(&walk) > 0)
 *         puts(walk.path);                 // src/a-b  src/a/x  src/a.c
 *     walk_close(&walk);
 *
 * No list of the tree is made and nothing is sorted at the end: a directory's
 * names are sorted as if those of directories ended in '/', which is the order
 * of the bytes of the whole paths.  Of the tree only the directories from the
 * root to here are in memory, and none is open between two calls.
 *
 * The functions block (for IO) and do not suspend; see file.h about errno. */
#ifndef WALK_H
#define WALK_H

#include <stdbool.h>
#include <stddef.h>

struct walk {
    char *path;                 /* what walk_next has found */
    const char *problem;        /* why there is no sum of it, or NULL */

    /* Private. */
    size_t room;                /* allocated for path */
    struct level *level;        /* the innermost directory */
    bool follow;
    bool is_single;             /* not a directory, and not handed out yet */
};

/* A tree, or a single file, or "-".  A root that is a symbolic link is
 * followed; the others only if follow is set.  What is wrong with root is found
 * by walk_next.  Errors: KIN_ENOMEM. */
int walk_open(struct walk *walk, const char *root, bool follow);

/* Steps to the next file, or to what ought to be one and has a problem: an
 * unreadable directory, a FIFO, a loop of links.
 * Returns 1, or 0 at the end.  Errors: KIN_ENOMEM. */
int walk_next(struct walk *walk);

void walk_close(struct walk *walk);

#endif
