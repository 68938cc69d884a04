/* blocked.c -- who it is that blocks a worker: what the watchdog tells.
 *
 * The watchdog knows an address, of what may be gone.  So it is looked for in
 * the tree of jobs, which hands out what is there. */
#include "core/check.h"
#include "dispatch/scheduler.h"
#include "job/coroutine.h"
#include "job/walk.h"

#include <inttypes.h>
#include <stdio.h>

struct search {
    const struct kin_task *task;
    int64_t blocked;
};

/* "main/loader/parse": from the levels of the walk, each of which is kept. */
static void append_path(const struct kin__walk_level *at, char *path,
                        size_t size)
{
    const struct kin__walk_level *from = at;
    size_t length = 0;

    /* From the root down, without recursion: the depth is known. */
    for (size_t depth = 0; depth <= at->depth; depth++) {
        for (from = at; from->depth > depth; from = from->outer)
            ;
        if (depth)
            length = kin__append(path, size, length, "/");
        length = kin__append(path, size, length, kin__job_name(from->job));
        if (length + 1 >= size)
            return;                     /* so a deep one is not quadratic */
    }
}

static int tell_if_found(const struct kin__walk_level *at, void *arg)
{
    const struct search *search = arg;
    const char *site = kin__job_site(at->job);
    char path[200];

    if (at->job->kind > KIN__BLOCKING
        || &kin__coroutine_of_job(at->job)->runnable.task != search->task)
        return 0;
    append_path(at, path, sizeof path);
    fprintf(stderr, "kin: blocked: fiber \"%s\", launched at %s, has blocked a "
            "worker of Default for %" PRId64 " ms; another takes its place\n"
            "  family: %s\n"
            "  what blocks belongs on kin_io()\n", kin__job_name(at->job),
            site ? site : "?", search->blocked / KIN_MS(1), path);
    return 1;
}

void kin__blocked_report(const struct kin_task *task, int64_t blocked)
{
    struct search search = { .task = task, .blocked = blocked };

    if (kin__walk_jobs(tell_if_found, &search) <= 0)
        fprintf(stderr, "kin: blocked: a worker of Default, for %" PRId64
                " ms; another takes its place\n", blocked / KIN_MS(1));
}
