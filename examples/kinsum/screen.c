#include "screen.h"
#include "file.h"
#include "progress.h"

#include <kin/kin.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void screen_init(struct screen *screen, struct window *window,
                 struct tally *tally, bool is_quiet)
{
    *screen = (struct screen){
        .window = window,
        .tally = tally,
        .has_progress = !is_quiet && isatty(STDERR_FILENO),
    };
}

void screen_destroy(struct screen *screen)
{
    free(screen->text);
}

/* Takes the progress line away, before something else is shown. */
static void clear(struct screen *screen)
{
    if (screen->is_drawn)
        progress_erase();
    screen->is_drawn = false;
}

/* What follows the backslash if a byte of a name has to be escaped, or 0. */
static char escape_of(char byte)
{
    return byte == '\\'   ? '\\'
           : byte == '\n' ? 'n'
           : byte == '\r' ? 'r'
                          : '\0';
}

/* Copies path with sha256sum's escapes; returns the end of the copy. */
static char *put_path(char *to, const char *path)
{
    for (; *path; path++) {
        char escape = escape_of(*path);

        if (escape)
            *to++ = '\\';
        *to++ = escape ? escape : *path;
    }
    return to;
}

/* ------------------------------------------------------------- messages */

/* A name is not to play tricks on the terminal. */
static void hide_controls(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == '\177')
            *text = '?';
}

void screen_complain(struct screen *screen, const char *name, const char *what)
{
    char *shown = malloc(2 * strlen(name) + 1);

    clear(screen);
    screen->has_failed = true;
    if (shown) {
        *put_path(shown, name) = '\0';
        hide_controls(shown);
    }
    fprintf(stderr, "kinsum: %s: %s\n", shown ? shown : "?", what);
    free(shown);
}

const char *screen_reason(const kin_error *error)
{
    const char *message = kin_error_message(error);

    return *message ? message : strerror(-kin_error_code(error));
}

void screen_summary(struct screen *screen, const char *why)
{
    double seconds = (double)(kin_now() - screen->tally->begin) / 1e9;
    unsigned long long files = screen->tally->shown_files;
    char bytes[SIZE_TEXT];

    clear(screen);
    progress_size(bytes, screen->tally->shown_bytes);
    fprintf(stderr, "kinsum: %s: %llu file%s, %s summed in %.1f s\n", why,
            files, files == 1 ? "" : "s", bytes, seconds);
}

/* --------------------------------------------------------------- output */

/* Writes the lines that have been put together: no more than a pipe takes at
 * once (unless one line is longer), and only when it does.  So a slow reader
 * does not block Main, and a line is written whole or not at all. */
KIN_SUSPENDS
static int flush(struct screen *screen)
{
    int err;

    if (screen->length == 0)
        return 0;
    while (!file_is_writable(STDOUT_FILENO))
        KIN_TRY(kin_delay(FRAME));
    clear(screen);
    err = file_write(STDOUT_FILENO, screen->text, screen->length);
    if (err < 0)
        return kin_fail(err, "write error: %s", strerror(-err));
    screen->tally->shown_files += screen->files;
    screen->tally->shown_bytes += screen->bytes;
    screen->length = screen->files = screen->bytes = 0;
    return 0;
}

/* Makes room for a line of that length. */
KIN_SUSPENDS
static int make_room(struct screen *screen, size_t length)
{
    size_t room = length > PIPE_BUF ? length : PIPE_BUF;

    if (screen->length + length > PIPE_BUF)
        KIN_TRY(flush(screen));
    if (room > screen->room) {
        char *text = realloc(screen->text, room);

        if (!text)
            return KIN_ENOMEM;
        screen->text = text;
        screen->room = room;
    }
    return 0;
}

/* "digest  path", with a backslash in front if path has escapes. */
KIN_SUSPENDS
static int put_line(struct screen *screen, const struct line *line)
{
    static const char digits[] = "0123456789abcdef";
    char *to;

    KIN_TRY(make_room(screen, 2 * DIGEST_SIZE + 2 * strlen(line->path) + 4));
    to = screen->text + screen->length;
    if (strpbrk(line->path, "\\\n\r"))
        *to++ = '\\';
    for (int i = 0; i < DIGEST_SIZE; i++) {
        *to++ = digits[line->digest[i] >> 4];
        *to++ = digits[line->digest[i] & 15];
    }
    *to++ = ' ';
    *to++ = ' ';
    to = put_path(to, line->path);
    *to++ = '\n';
    screen->length = (size_t)(to - screen->text);
    screen->files++;
    screen->bytes += line->bytes;
    return 0;
}

/* Shows a line that is ready: its sum, or why there is none. */
KIN_SUSPENDS
static int show_line(struct screen *screen, const struct line *line)
{
    KIN_AUTO(kin_error) error = NULL;
    const char *problem = line->problem;

    if (line->sum)
        kin_deferred_error(line->sum, &error);
    if (error)
        problem = screen_reason(error);
    if (!problem)
        return put_line(screen, line);
    KIN_TRY(kin_ensure_active());       /* it was cancelled with all others */
    KIN_TRY(flush(screen));
    screen_complain(screen, line->path, problem);
    return 0;
}

KIN_SUSPENDS
static int show_lines(struct screen *screen)
{
    struct line *line;

    while ((line = window_first(screen->window))) {
        if (line->sum && !kin_job_is_completed(kin_deferred_job(line->sum)))
            break;
        KIN_TRY(show_line(screen, line));
        window_shift(screen->window);
    }
    return flush(screen);
}

/* --------------------------------------------------------------- frames */

/* Waits for the next frame: 0.  Or, not as long, for the end: 1. */
KIN_SUSPENDS
static int wait_frame(kin_job *summing)
{
    int err = 0;

    KIN_WITH_TIMEOUT(err, FRAME)
        kin_join(summing);
    return err == KIN_ETIMEDOUT ? 0 : err < 0 ? err : 1;
}

int screen_show(struct screen *screen, kin_job *summing)
{
    int is_over = 0;

    while (!is_over) {
        KIN_TRY(is_over = wait_frame(summing));
        KIN_TRY(show_lines(screen));
        if (screen->has_progress && !is_over) {
            progress_draw(screen->tally);
            screen->is_drawn = true;
        }
    }
    clear(screen);
    return 0;
}
