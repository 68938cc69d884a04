/* fuzz_replay.h -- a corpus as a test: every file of a folder, once.
 *
 *     TEST(the_corpus_of_jobs_holds)
 *     {
 *         fuzz_replay("tests/corpus/job_family");
 *     }
 */
#ifndef KIN_TESTS_FUZZ_REPLAY_H
#define KIN_TESTS_FUZZ_REPLAY_H

#include "tests/check.h"
#include "tests/fuzz.h"

#include <dirent.h>
#include <stdio.h>

static void fuzz_replay_file(const char *path)
{
    static uint8_t data[1 << 16];
    FILE *file = fopen(path, "rb");
    size_t size;
    uint8_t *exact;

    CHECK(file != NULL);
    size = fread(data, 1, sizeof data, file);
    fclose(file);
    fprintf(stderr, "%s\n", path);      /* the last one named is the culprit */
    exact = malloc(size + 1);
    CHECK(exact != NULL);
    for (size_t i = 0; i < size; i++)
        exact[i] = data[i];
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void fuzz_replay(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *each;
    char path[512];
    int files = 0;

    if (!dir)
        FAIL("%s: no such folder; tests run in the project's", folder);
    while ((each = readdir(dir)) != NULL) {
        if (each->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, each->d_name);
        fuzz_replay_file(path);
        files++;
    }
    closedir(dir);
    CHECK(files > 0);
}

#endif
