/* options.h -- what the command line asks for. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
    int jobs;                   /* files in flight */
    int64_t timeout;            /* KIN_NEVER: none */
    bool follow;
    bool is_quiet;
    const char *const *paths;
    size_t path_count;
};

enum { USAGE_STATUS = 2, GO_ON = -1 };

/* Returns GO_ON, or the status to exit with: the user asked for help and got
 * it, or was told what is wrong. */
int options_parse(struct options *options, int argc, char **argv);

#endif
