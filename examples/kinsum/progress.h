/* progress.h -- the line on the terminal that says how far it is. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include "tally.h"

enum { SIZE_TEXT = 16 };

/* Draws the line, over the one that stands there. */
void progress_draw(const struct tally *tally);
void progress_erase(void);

/* Writes "1.5 GB" and the like; bytes as "812 B". */
void progress_size(char text[SIZE_TEXT], uint64_t bytes);

#endif
