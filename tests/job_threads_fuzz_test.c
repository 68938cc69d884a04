/* The programs on many threads that the fuzzer has found worth keeping, in
 * every row. */
#include "tests/fuzz_replay.h"
#include "tests/job_threads_fuzz.c"

TEST_TIMEOUT(120);

TEST(programs_on_many_threads_come_to_what_the_tree_allows)
{
    fuzz_replay("tests/corpus/job_threads");
}

TEST_MAIN
