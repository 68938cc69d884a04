#include "lane.h"
#include "file.h"

#include <kin/error.h>

#include <stdlib.h>

int lanes_init(struct lanes *lanes, int count)
{
    *lanes = (struct lanes){ .count = count };
    gate_init(&lanes->gate, count);
    lanes->lane = calloc((size_t)count, sizeof *lanes->lane);
    lanes->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!lanes->lane || !lanes->sha256)
        return KIN_ENOMEM;
    for (int i = 0; i < count; i++)
        lanes->lane[i].lanes = lanes;
    return 0;
}

void lanes_destroy(struct lanes *lanes)
{
    for (int i = 0; lanes->lane && i < lanes->count; i++) {
        free(lanes->lane[i].now.bytes);
        free(lanes->lane[i].next.bytes);
        EVP_MD_CTX_free(lanes->lane[i].hash);
    }
    free(lanes->lane);
    EVP_MD_free(lanes->sha256);
    gate_destroy(&lanes->gate);
}

/* Behind the gate there is a free one.  Only one fiber takes them, so none is
 * taken away before its eyes; the exchange is for what gave it back. */
int lanes_take(struct lanes *lanes, struct lane **lane)
{
    KIN_TRY(gate_enter(&lanes->gate));
    *lane = lanes->lane;
    while (atomic_exchange(&(*lane)->is_taken, true))
        ++*lane;
    return 0;
}

void lane_give_back(struct lane *lane)
{
    atomic_store(&lane->is_taken, false);
    gate_leave(&lane->lanes->gate);
}

int lane_begin(struct lane *lane)
{
    if (!lane->hash)
        lane->hash = EVP_MD_CTX_new();
    if (!lane->hash ||
        !EVP_DigestInit_ex2(lane->hash, lane->lanes->sha256, NULL))
        return kin_fail(KIN_ENOMEM, "Cannot set up SHA-256");
    return 0;
}

int lane_read(struct lane *lane, struct block *block)
{
    if (!block->bytes)
        block->bytes = malloc(BLOCK_SIZE);
    if (!block->bytes)
        return kin_fail(KIN_ENOMEM, "Cannot allocate memory");
    return file_read(lane->fd, block->bytes, BLOCK_SIZE, &block->length);
}

int lane_hash(struct lane *lane)
{
    if (!EVP_DigestUpdate(lane->hash, lane->now.bytes, lane->now.length))
        return kin_fail(KIN_EINVAL, "SHA-256 failed");
    return 0;
}

void lane_swap(struct lane *lane)
{
    struct block now = lane->now;

    lane->now = lane->next;
    lane->next = now;
}

int lane_end(struct lane *lane, unsigned char *digest)
{
    if (!EVP_DigestFinal_ex(lane->hash, digest, NULL))
        return kin_fail(KIN_EINVAL, "SHA-256 failed");
    return 0;
}
