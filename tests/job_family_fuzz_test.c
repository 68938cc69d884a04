/* The programs that the fuzzer has found worth keeping, in every row. */
#include "tests/fuzz_replay.h"
#include "tests/job_family_fuzz.c"

TEST_TIMEOUT(120);

TEST(programs_that_were_drawn_do_what_the_model_says)
{
    fuzz_replay("tests/corpus/job_family");
}

TEST_MAIN
