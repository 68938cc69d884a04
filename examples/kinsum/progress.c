#include "progress.h"

#include <kin/time.h>

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void progress_size(char text[SIZE_TEXT], uint64_t bytes)
{
    static const char units[] = "kMGTPE";
    double size = (double)bytes;
    int unit = -1;

    for (; size >= 999.95; size /= 1000)
        unit++;
    if (unit < 0)
        snprintf(text, SIZE_TEXT, "%u B", (unsigned)bytes);
    else
        snprintf(text, SIZE_TEXT, "%.1f %cB", size, units[unit]);
}

/* Of the whole, once that is known: "  35 %  1:05 left". */
static int put_rest(char *text, size_t room, uint64_t done, uint64_t all,
                    double speed)
{
    double left = speed > 0 && all > done ? (double)(all - done) / speed : 0;
    unsigned percent = all == 0      ? 100
                       : done >= all ? 100
                                     : (unsigned)(100 * (double)done /
                                                  (double)all);
    unsigned long seconds = left < 1e6 ? (unsigned long)(left + 0.5) : 1000000;

    return snprintf(text, room, "  %u %%  %lu:%02lu left", percent,
                    seconds / 60, seconds % 60);
}

static void put_line(char *text, size_t room, const struct tally *tally)
{
    uint64_t done = atomic_load(&tally->hashed_bytes);
    uint64_t all = atomic_load(&tally->all_bytes);
    double seconds = (double)(kin_now() - tally->begin) / 1e9;
    double speed = seconds > 0 ? (double)done / seconds : 0;
    bool is_surveyed = atomic_load(&tally->is_surveyed);
    char bytes[SIZE_TEXT], all_bytes[SIZE_TEXT];
    int length;

    progress_size(bytes, done);
    progress_size(all_bytes, all);
    length = snprintf(text, room, "%llu of %llu%s files  %s of %s  %.0f MB/s",
                      (unsigned long long)tally->shown_files,
                      (unsigned long long)atomic_load(&tally->all_files),
                      is_surveyed ? "" : "+", bytes, all_bytes, speed / 1e6);
    if (is_surveyed && length > 0 && (size_t)length < room)
        put_rest(text + length, room - (size_t)length, done, all, speed);
}

static size_t columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

void progress_draw(const struct tally *tally)
{
    char text[160];
    size_t room = columns();            /* the last one stays empty */

    put_line(text, room < sizeof text ? room : sizeof text, tally);
    fprintf(stderr, "\r%s\033[K", text);
}

void progress_erase(void)
{
    fputs("\r\033[K", stderr);
}
