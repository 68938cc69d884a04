/* kinsum -- SHA-256 sums of files and trees, many at a time.
 *
 * This thread is Main: it owns its loop, waits for signals, and lends the rest
 * of its time to kin.  run.h shows the fibers, from here downwards. */
#include "options.h"
#include "run.h"

#include <kin/kin.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { TIMEOUT_STATUS = 124, SIGNAL_STATUS = 128 };

/* A descriptor that we open must not become stdin, stdout or stderr. */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* Ctrl-C and termination come out of a descriptor, a closed pipe out of write.
 * To be called while there is only this thread: the others inherit it. */
static int watch_signals(sigset_t *stopping)
{
    sigemptyset(stopping);
    sigaddset(stopping, SIGINT);
    sigaddset(stopping, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, stopping, NULL);
    return signalfd(-1, stopping, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Waits until kin has something for Main, a frame is over or a signal comes:
 * returns that, or 0. */
static int wait_for_work(int signals)
{
    struct pollfd wait_for[] = {
        { .fd = signals, .events = POLLIN },
        { .fd = kin_main_fd(), .events = POLLIN },
    };
    int64_t left = kin_main_deadline() - kin_now();
    struct timespec time = { .tv_nsec = left < FRAME ? left : FRAME };
    struct signalfd_siginfo signal;

    if (left > 0)
        ppoll(wait_for, 2, &time, NULL);
    if (read(signals, &signal, sizeof signal) == (ssize_t)sizeof signal)
        return (int)signal.ssi_signo;
    return 0;
}

/* Main's loop, until the run is over: thirty frames a second, or more of them
 * when there is reason to hurry.  The first signal cancels the run, the
 * second one does what it does everywhere.  Returns the first, or 0. */
static int drive(kin_job *run, int signals, const sigset_t *stopping)
{
    int stopped_by = 0;

    while (!kin_job_is_completed(run)) {
        int caught = wait_for_work(signals);

        if (caught && !stopped_by) {
            stopped_by = caught;
            kin_job_cancel(run, NULL);
            pthread_sigmask(SIG_UNBLOCK, stopping, NULL);
        }
        kin_main_pump(FRAME);
    }
    return stopped_by;
}

/* Tells how it ended; returns the exit status. */
static int conclude(struct run *run, const kin_error *error, int stopped_by)
{
    int code = kin_error_code(error);
    char why[64];

    if (code == 0 && close(STDOUT_FILENO) == 0)
        return run->screen.has_failed ? EXIT_FAILURE : EXIT_SUCCESS;
    if (code == 0) {
        screen_complain(&run->screen, "write error", strerror(errno));
        return EXIT_FAILURE;
    }
    if (code == KIN_ETIMEDOUT) {
        snprintf(why, sizeof why, "timed out after %g s",
                 (double)run->options->timeout / 1e9);
        screen_summary(&run->screen, why);
        return TIMEOUT_STATUS;
    }
    if (code == KIN_ECANCELED && stopped_by) {
        screen_summary(&run->screen, stopped_by == SIGINT ? "interrupted"
                                                          : "terminated");
        return SIGNAL_STATUS + stopped_by;
    }
    screen_summary(&run->screen, screen_reason(error));
    return EXIT_FAILURE;
}

static int run_on_main(struct run *run, int signals, const sigset_t *stopping)
{
    KIN_AUTO(kin_scope) scope = NULL;
    KIN_AUTO(kin_deferred) outcome = NULL;
    KIN_AUTO(kin_error) error = NULL;
    int stopped_by = 0;
    int err = kin_main_scope(&scope);

    if (err == 0)
        err = kin_async(scope, &outcome, run_body, run, .name = "run");
    if (err == 0) {
        stopped_by = drive(kin_deferred_job(outcome), signals, stopping);
        kin_deferred_error(outcome, &error);
    } else {
        error = kin_error_new("", err, NULL, "Cannot start");
    }
    if (scope)
        kin_scope_cancel(scope, NULL);
    return conclude(run, error, stopped_by);
}

int main(int argc, char **argv)
{
    struct options options;
    struct run run = { 0 };
    sigset_t stopping;
    int signals;
    int status = options_parse(&options, argc, argv);

    if (status != GO_ON)
        return status;
    fill_standard_descriptors();
    signals = watch_signals(&stopping);
    if (signals < 0 || kin_main_attach() < 0) {
        perror("kinsum");
        return EXIT_FAILURE;
    }
    if (run_init(&run, &options) == 0) {
        status = run_on_main(&run, signals, &stopping);
    } else {
        fprintf(stderr, "kinsum: %s\n", strerror(ENOMEM));
        status = EXIT_FAILURE;
    }
    kin_main_detach();
    run_destroy(&run);
    close(signals);
    return status;
}
