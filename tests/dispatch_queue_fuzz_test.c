/* What the fuzzer has found worth keeping, in every row. */
#include "tests/fuzz_replay.h"
#include "tests/dispatch_queue_fuzz.c"

TEST_TIMEOUT(120);

TEST(timers_and_queues_do_what_the_simplest_ones_do)
{
    fuzz_replay("tests/corpus/dispatch_queue");
}

TEST_MAIN
