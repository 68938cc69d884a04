/* process.h -- what the system says of this process. */
#ifndef KIN_TESTS_PROCESS_H
#define KIN_TESTS_PROCESS_H

#include "tests/check.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

/* Bytes of address space, and of memory in use. */
struct process_size {
    long long mapped, resident;
};

static inline struct process_size process_size(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    struct process_size size = { 0, 0 };

    CHECK(file);
    CHECK_EQ(fscanf(file, "%lld %lld", &size.mapped, &size.resident), 2);
    fclose(file);
    size.mapped *= sysconf(_SC_PAGESIZE);
    size.resident *= sysconf(_SC_PAGESIZE);
    return size;
}

static inline long long process_resident(void)
{
    return process_size().resident;
}

static inline long process_mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "r");
    long lines = 0;

    CHECK(file);
    for (int c; (c = fgetc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

static inline long process_entries(const char *path)
{
    DIR *folder = opendir(path);
    long count = 0;

    CHECK(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static inline long process_threads(void)
{
    return process_entries("/proc/self/task");
}

/* The one that looks is among them. */
static inline long process_files(void)
{
    return process_entries("/proc/self/fd");
}

#endif
