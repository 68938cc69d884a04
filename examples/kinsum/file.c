#include "file.h"

#include <kin/kin.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

enum { LOOK_UP_MS = 50 };       /* how late a cancelled wait for stdin ends */

NOINLINE int file_fail(void)
{
    int code = errno;

    return kin_fail(-code, "%s", strerror(code));
}

/* A FIFO that took the place of a file must not block the open, so the kind is
 * looked at behind it. */
NOINLINE int file_open(const char *path)
{
    struct stat status;
    int fd;

    if (strcmp(path, "-") == 0)
        return STDIN_FILENO;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return file_fail();
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        return fd;
    close(fd);
    return kin_fail(KIN_EINVAL, "Not a regular file");
}

/* A pipe or a terminal may stay silent for ever: whoever waits for it has to
 * notice that he is cancelled. */
static int wait_for_input(int fd)
{
    struct pollfd input = { .fd = fd, .events = POLLIN };

    while (poll(&input, 1, LOOK_UP_MS) == 0)
        KIN_TRY(kin_ensure_active());
    return 0;
}

NOINLINE int file_read(int fd, unsigned char *bytes, size_t size,
                       size_t *length)
{
    ssize_t count;

    for (*length = 0; *length < size; *length += (size_t)count) {
        if (fd == STDIN_FILENO)
            KIN_TRY(wait_for_input(fd));
        do
            count = read(fd, bytes + *length, size - *length);
        while (count < 0 && errno == EINTR);
        if (count < 0)
            return file_fail();
        if (count == 0)
            break;
    }
    return 0;
}

NOINLINE void file_close(int fd)
{
    if (fd > STDIN_FILENO)
        close(fd);
}

NOINLINE uint64_t file_size(const char *path)
{
    struct stat status;
    int err = strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, &status)
                                     : stat(path, &status);

    if (err || !S_ISREG(status.st_mode) || status.st_size < 0)
        return 0;
    return (uint64_t)status.st_size;
}

NOINLINE bool file_is_writable(int fd)
{
    struct pollfd output = { .fd = fd, .events = POLLOUT };

    return poll(&output, 1, 0) != 0;
}

NOINLINE int file_write(int fd, const char *bytes, size_t length)
{
    ssize_t count;

    for (; length > 0; bytes += count, length -= (size_t)count) {
        do
            count = write(fd, bytes, length);
        while (count < 0 && errno == EINTR);
        if (count < 0)
            return file_fail();
    }
    return 0;
}
