#include "options.h"

#include <kin/time.h>

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { JOBS_MAX = 256 };

static const char help[] =
    "Usage: kinsum [OPTION]... [PATH]...\n"
    "Prints the SHA-256 sums of files, and of the files in trees, as\n"
    "sha256sum prints them, sorted by path (by bytes, as LC_ALL=C sort does).\n"
    "Without a PATH, of the current directory; - is standard input.\n"
    "\n"
    "  -j, --jobs=N     so many files at once (default: two per processor,\n"
    "                   from 4 to 16)\n"
    "      --timeout=T  give up after T seconds; also 300ms, 1.5s, 2m, 1h\n"
    "      --follow     follow symbolic links inside trees too; one that is\n"
    "                   given as PATH is followed in any case\n"
    "      --quiet      no progress line; else there is one if standard error\n"
    "                   is a terminal\n"
    "      --help       this\n"
    "      --version    the version\n"
    "\n"
    "What cannot be summed (a file that is unreadable, gone, or no regular\n"
    "file, a loop of links) is reported, and the rest goes on.\n"
    "\n"
    "Exit status: 0 if all is summed, 1 if something was reported, 2 for\n"
    "wrong usage, 124 when the time is over, 130 after Ctrl-C, 143 when\n"
    "terminated.\n";

static int default_jobs(void)
{
    long jobs = 2 * sysconf(_SC_NPROCESSORS_ONLN);

    return jobs < 4 ? 4 : jobs > 16 ? 16 : (int)jobs;
}

static bool parse_jobs(const char *text, int *jobs)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (end == text || *end || value < 1 || value > JOBS_MAX)
        return false;
    *jobs = (int)value;
    return true;
}

static bool parse_duration(const char *text, int64_t *duration)
{
    static const struct {
        const char *suffix;
        double seconds;
    } units[] = { { "", 1 }, { "s", 1 }, { "ms", 1e-3 }, { "m", 60 },
                  { "h", 3600 } };
    char *end;
    double value = strtod(text, &end);

    if (end == text || !isfinite(value) || value <= 0)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].suffix) == 0) {
            value *= units[i].seconds * 1e9;
            *duration = value < 1e18 ? (int64_t)ceil(value) : KIN_NEVER;
            return true;
        }
    }
    return false;
}

static int refuse(const char *what, const char *text)
{
    fprintf(stderr, "kinsum: %s: '%s'\n", what, text);
    return USAGE_STATUS;
}

static int print(const char *text)
{
    if (fputs(text, stdout) != EOF && fflush(stdout) == 0)
        return EXIT_SUCCESS;
    perror("kinsum: write error");
    return EXIT_FAILURE;
}

static int parse_option(struct options *options, int option)
{
    switch (option) {
    case 'j':
        if (!parse_jobs(optarg, &options->jobs))
            return refuse("not a number of jobs from 1 to 256", optarg);
        return GO_ON;
    case 't':
        if (!parse_duration(optarg, &options->timeout))
            return refuse("not a duration above 0", optarg);
        return GO_ON;
    case 'f':
        options->follow = true;
        return GO_ON;
    case 'q':
        options->is_quiet = true;
        return GO_ON;
    case 'h':
        return print(help);
    case 'v':
        return print("kinsum (kin) 0.1.0\n");
    default:
        fputs("Try 'kinsum --help' for more information.\n", stderr);
        return USAGE_STATUS;
    }
}

/* The bytes of stdin are there once. */
static int check_paths(const struct options *options)
{
    int dashes = 0;

    for (size_t i = 0; i < options->path_count; i++)
        dashes += strcmp(options->paths[i], "-") == 0;
    return dashes > 1 ? refuse("named more than once", "-") : GO_ON;
}

int options_parse(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {
        { "jobs", required_argument, NULL, 'j' },
        { "timeout", required_argument, NULL, 't' },
        { "follow", no_argument, NULL, 'f' },
        { "quiet", no_argument, NULL, 'q' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'v' },
        { NULL, 0, NULL, 0 },
    };
    static const char *const here[] = { "." };
    int option;

    *options = (struct options){ .jobs = default_jobs(),
                                 .timeout = KIN_NEVER };
    while ((option = getopt_long(argc, argv, "j:", names, NULL)) != -1) {
        int status = parse_option(options, option);

        if (status != GO_ON)
            return status;
    }
    options->paths = (const char *const *)(argv + optind);
    options->path_count = (size_t)(argc - optind);
    if (options->path_count == 0) {
        options->paths = here;
        options->path_count = 1;
    }
    return check_paths(options);
}
