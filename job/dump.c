/* dump.c -- the live family tree as text; see kin/dump.h. */
#include "kin/dump.h"

#include "core/check.h"
#include "core/memory.h"
#include "core/trace.h"
#include "job/dump.h"
#include "job/walk.h"

#include <errno.h>
#include <unistd.h>

static int dump_one(const struct kin__walk_level *at, void *arg)
{
    struct kin__dump *dump = arg;

    kin__dump_job(dump, at->job, at->depth);
    return dump->is_short ? KIN_ENOMEM : 0;
}

static void dump_all(struct kin__dump *dump)
{
    kin__dump_add(dump, "kin: live jobs\n");
    if (kin__walk_jobs(dump_one, dump) != 0)
        dump->is_short = true;
    kin__dump_add(dump, "kin: %zu jobs\n", dump->jobs);
}

static int write_all(int fd, const char *text, size_t length)
{
    while (length) {
        ssize_t written = write(fd, text, length);

        if (written < 0 && errno != EINTR)
            return -errno;
        if (written > 0) {
            text += written;
            length -= (size_t)written;
        }
    }
    return 0;
}

int kin_dump(int fd)
{
    static const char cut[] = "\nkin: no memory for the rest\n";
    struct kin__dump dump = { .text = NULL };
    int err;

    if (fd < 0)
        return kin__misuse(KIN_EINVAL, "kin_dump", "fd is %d", fd);
    kin__trace_prepare();
    dump_all(&dump);
    err = write_all(fd, dump.text, dump.length);
    if (!err && dump.is_short) {
        err = write_all(fd, cut, sizeof cut - 1);
        err = err ? err : KIN_ENOMEM;
    }
    kin__free(dump.text);
    return err;
}
