#include "sum.h"
#include "file.h"
#include "line.h"

#include <kin/kin.h>

static int read_next(kin_scope *scope, void *arg)       /* on IO */
{
    struct lane *lane = arg;

    (void)scope;
    return lane_read(lane, &lane->next);
}

static int hash_now(struct line *line)
{
    KIN_TRY(lane_hash(line->lane));
    line->bytes += line->lane->now.length;
    tally_add(line->tally, line->lane->now.length);
    return 0;
}

/* Whatever fails here, the block ends when both have ended: nobody writes to a
 * buffer that the next file uses. */
KIN_SUSPENDS
static int hash_and_read(struct line *line)
{
    int err = 0;

    KIN_COROUTINE_SCOPE(err, both) {
        KIN_TRY_IN(both, kin_launch(both, read_next, line->lane,
                                    .dispatcher = kin_io()));
        KIN_TRY_IN(both, hash_now(line));
    }
    lane_swap(line->lane);
    return err;
}

/* A block that is not full is the last one. */
KIN_SUSPENDS
static int sum_blocks(struct line *line)
{
    struct lane *lane = line->lane;
    int err = 0;

    KIN_TRY(lane_begin(lane));
    KIN_TRY(lane_read(lane, &lane->now));
    KIN_WITH_CONTEXT(err, .dispatcher = kin_default()) {
        while (lane->now.length == BLOCK_SIZE)
            KIN_TRY(hash_and_read(line));
        KIN_TRY(hash_now(line));
        KIN_TRY(lane_end(lane, line->digest));
    }
    return err;
}

int sum_file(kin_scope *scope, void *arg)               /* begins on IO */
{
    struct line *line = arg;
    struct lane *lane = line->lane;
    int err;

    (void)scope;
    lane->fd = file_open(line->path);
    err = lane->fd < 0 ? lane->fd : sum_blocks(line);
    file_close(lane->fd);
    lane_give_back(lane);
    return err;
}
