/* run.h -- one run of kinsum: what is summed and shown, and by which fibers.
 *
 *     run (Main)                      shows what is ready, 30 times a second
 *      +- timeout scope
 *          +- walk (IO)               finds the files, in order
 *          |   +- supervisor of a tree
 *          |   |   +- sum of a file   (IO, Default) at most -j of them at once
 *          |   |   |   +- read ahead  (IO)
 *          |   |   +- sum ...
 *          |   +- supervisor ...
 *          +- survey (IO)             how much there is, for the progress
 *
 * The walk puts a line for each file into the window, launches the sum of it,
 * and waits when all lanes or the window are full; Main takes the lines out. */
#ifndef RUN_H
#define RUN_H

#include "forest.h"
#include "lane.h"
#include "line.h"
#include "options.h"
#include "screen.h"
#include "tally.h"

#include <kin/scope.h>

struct run {
    const struct options *options;
    struct forest forest;
    struct lanes lanes;
    struct window window;
    struct tally tally;
    struct screen screen;
};

int run_init(struct run *run, const struct options *options);
void run_destroy(struct run *run);

/* A body for Main, with the run as its argument.  Returns 0 when all is shown,
 * KIN_ETIMEDOUT when the time was over first. */
int run_body(kin_scope *scope, void *run) KIN_SUSPENDS;

#endif
