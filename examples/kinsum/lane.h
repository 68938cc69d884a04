/* lane.h -- what a file needs to be summed: two buffers and a hash.
 *
 * There are as many lanes as files may be in flight, so memory and open files
 * are bounded, however large the trees. */
#ifndef LANE_H
#define LANE_H

#include "gate.h"

#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { BLOCK_SIZE = 256 * 1024 };

struct block {
    unsigned char *bytes;       /* NULL until it is needed */
    size_t length;
};

struct lane {
    atomic_bool is_taken;
    struct lanes *lanes;
    int fd;
    struct block now, next;     /* the one to hash, the one to read */
    EVP_MD_CTX *hash;
};

struct lanes {
    struct gate gate;
    struct lane *lane;
    int count;
    EVP_MD *sha256;
};

int lanes_init(struct lanes *lanes, int count);
void lanes_destroy(struct lanes *lanes);

/* Parks while all are taken; for one fiber. */
int lanes_take(struct lanes *lanes, struct lane **lane) KIN_SUSPENDS;
void lane_give_back(struct lane *lane);

/* Makes the lane ready for a new file. */
int lane_begin(struct lane *lane);

/* Reads the next bytes of the file into block.  Blocks: for IO. */
int lane_read(struct lane *lane, struct block *block);

/* Adds block now to the hash; the other one becomes now. */
int lane_hash(struct lane *lane);
void lane_swap(struct lane *lane);

/* Writes the 32 bytes of the hash. */
int lane_end(struct lane *lane, unsigned char *digest);

#endif
