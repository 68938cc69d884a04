/* sum.h -- the sum of one file.
 *
 * Its fiber begins on IO, where it opens the file and reads the first block,
 * and moves to Default to hash: the same fiber, the same variables.  While it
 * hashes a block, a child of it reads the next one on IO. */
#ifndef SUM_H
#define SUM_H

#include <kin/scope.h>

/* A body for kin_async: fills in digest and bytes of the struct line that is
 * its argument, and gives its lane back. */
int sum_file(kin_scope *scope, void *line) KIN_SUSPENDS;

#endif
