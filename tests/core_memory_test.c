/* Memory: every call can be refused, once or for ever; what is left over is
 * seen; pages can be made bigger than they are. */
#include "core/memory.h"
#include "kin/error.h"
#include "tests/check.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static long live_blocks(void)
{
    struct kin__memory_stats stats;

    kin__memory_get_stats(&stats);
    return stats.blocks;
}

static size_t mapped(void)
{
    struct kin__memory_stats stats;

    kin__memory_get_stats(&stats);
    return stats.bytes_mapped;
}

TEST(unwatched_calls_are_not_counted)
{
    void *block = kin__malloc(10);

    CHECK(block != NULL);
    CHECK_EQ(live_blocks(), 0);
    CHECK_EQ(kin__fail_calls(), 0);
    CHECK(!kin__fault());
    kin__free(block);
}

TEST(the_nth_call_fails_and_no_other)
{
    void *blocks[5];

    kin__fail_at(3, false);
    for (int i = 0; i < 5; i++)
        blocks[i] = i % 2 ? kin__malloc(8) : kin__calloc(2, 4);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(blocks[i] == NULL, i == 2);
    CHECK_EQ(kin__fail_calls(), 5);
    CHECK_EQ(kin__fail_hits(), 1);
    CHECK_EQ(live_blocks(), 4);
    for (int i = 0; i < 5; i++)
        kin__free(blocks[i]);
    CHECK_EQ(live_blocks(), 0);
}

TEST(from_the_nth_call_on_all_fail)
{
    void *block;
    void *map;

    kin__fail_at(2, true);
    block = kin__malloc(8);
    CHECK(block != NULL);
    CHECK(kin__malloc(8) == NULL);
    CHECK(kin__realloc(block, 16) == NULL);
    CHECK_EQ(kin__map(kin__page_size(), &map), KIN_ENOMEM);
    CHECK(kin__fault());
    CHECK_EQ(kin__fail_hits(), 4);
    kin__fail_at(0, false);
    CHECK(!kin__fault());
    kin__free(block);
    CHECK_EQ(live_blocks(), 0);
}

TEST(realloc_of_nothing_is_a_block)
{
    void *block;

    kin__memory_watch(true);
    block = kin__realloc(NULL, 8);
    block = kin__realloc(block, 800);
    CHECK_EQ(live_blocks(), 1);
    kin__free(block);
    kin__free(NULL);
    CHECK_EQ(live_blocks(), 0);
}

TEST(mappings_are_counted_and_zero)
{
    size_t before = mapped();
    size_t page = kin__page_size();
    void *map;

    CHECK_EQ(kin__map(4 * page, &map), 0);
    CHECK_EQ(mapped() - before, 4 * page);
    CHECK_EQ(((char *)map)[4 * page - 1], 0);
    memset(map, 1, 4 * page);
    CHECK_EQ(kin__advise(map, page, MADV_DONTNEED), 0);
    CHECK_EQ(((char *)map)[0], 0);
    CHECK_EQ(((char *)map)[page], 1);
    CHECK_EQ(kin__protect(map, page, PROT_NONE), 0);
    CHECK_EQ(kin__unmap(map, 4 * page), 0);
    CHECK_EQ(mapped(), before);
}

TEST(a_refused_unmapping_leaves_the_mapping)
{
    void *map;

    CHECK_EQ(kin__map(kin__page_size(), &map), 0);
    kin__fail_at(1, false);
    CHECK_EQ(kin__unmap(map, kin__page_size()), KIN_ENOMEM);
    *(char *)map = 1;
    CHECK_EQ(kin__unmap(map, kin__page_size()), 0);
}

TEST(a_mapping_too_big_is_refused)
{
    void *map;

    CHECK_EQ(kin__map((size_t)1 << 60, &map), KIN_ENOMEM);
}

TEST(advice_that_makes_no_sense_says_so)
{
    void *map;

    CHECK_EQ(kin__map(kin__page_size(), &map), 0);
    CHECK_EQ(kin__advise((char *)map + 1, 1, MADV_DONTNEED), KIN_EINVAL);
    CHECK_EQ(kin__unmap(map, kin__page_size()), 0);
}

TEST(pages_can_be_made_bigger)
{
    kin__page_size_set(0);
    CHECK_EQ(kin__page_size(), sysconf(_SC_PAGESIZE));
    kin__page_size_set(65536);
    CHECK_EQ(kin__page_size(), 65536);
    CHECK_EQ(kin__page_round(1), 65536);
    CHECK_EQ(kin__page_round(65536), 65536);
    kin__page_size_set(0);
    CHECK_EQ(kin__page_size(), sysconf(_SC_PAGESIZE));
    CHECK_EQ(kin__page_round(0), 0);
}

TEST_MAIN
