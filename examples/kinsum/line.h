/* line.h -- the lines of the output, in order, finished or not.
 *
 * The walk puts a line here when it finds a file; the screen takes it when its
 * sum is there.  Between the two lie at most WINDOW lines. */
#ifndef LINE_H
#define LINE_H

#include "gate.h"
#include "lane.h"
#include "tally.h"

#include <kin/deferred.h>

#include <stdatomic.h>
#include <stdint.h>

enum { WINDOW = 8192, DIGEST_SIZE = 32 };

struct line {
    const char *problem;        /* why it has no sum, found by the walk */
    kin_deferred *sum;          /* else: final when digest is filled in */
    struct lane *lane;          /* while it is being summed */
    struct tally *tally;
    uint64_t bytes;
    unsigned char digest[DIGEST_SIZE];
    char path[];
};

int line_new(const char *path, const char *problem, struct line **line);
void line_free(struct line *line);

/* A ring for one writer and one reader. */
struct window {
    struct gate gate;           /* counts the free places */
    _Atomic size_t end;         /* the writer's */
    size_t begin;               /* the reader's */
    struct line *ring[WINDOW];
};

void window_init(struct window *window);
void window_destroy(struct window *window);     /* and the lines in it */

/* The writer: room first, which parks while there is none; then the line. */
int window_reserve(struct window *window) KIN_SUSPENDS;
void window_push(struct window *window, struct line *line);

/* The reader: the oldest line, or NULL; and it is gone, and freed. */
struct line *window_first(struct window *window);
void window_shift(struct window *window);

#endif
