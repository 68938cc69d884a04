/* screen.h -- all that the user sees: lines, messages, the progress.
 *
 * Everything here runs on Main. */
#ifndef SCREEN_H
#define SCREEN_H

#include "line.h"
#include "tally.h"

#include <kin/job.h>
#include <kin/time.h>

#define FRAME (KIN_S(1) / 30)

struct screen {
    struct window *window;
    struct tally *tally;
    bool has_progress;          /* a progress line is wanted */
    bool is_drawn;              /* and stands on the terminal */
    bool has_failed;            /* a file was reported */
    char *text;                 /* whole lines, not written yet, */
    size_t length, room;
    uint64_t files, bytes;      /* of so many files and bytes */
};

void screen_init(struct screen *screen, struct window *window,
                 struct tally *tally, bool is_quiet);
void screen_destroy(struct screen *screen);

/* Shows thirty times a second what is ready, in order, until summing is over
 * and everything is shown.  Returns 0, or what stopped it. */
int screen_show(struct screen *screen, kin_job *summing) KIN_SUSPENDS;

/* "kinsum: name: what", above the progress line. */
void screen_complain(struct screen *screen, const char *name, const char *what);

/* What error says, or what its code means. */
const char *screen_reason(const kin_error *error);

/* The last word, of a run that was stopped: what has been done. */
void screen_summary(struct screen *screen, const char *why);

#endif
