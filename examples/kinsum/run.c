#include "run.h"
#include "file.h"
#include "sum.h"

#include <kin/kin.h>

int run_init(struct run *run, const struct options *options)
{
    run->options = options;
    run->tally = (struct tally){ .begin = kin_now() };
    window_init(&run->window);
    screen_init(&run->screen, &run->window, &run->tally, options->is_quiet);
    KIN_TRY(lanes_init(&run->lanes, options->jobs));
    return forest_init(&run->forest, options->paths, options->path_count,
                       options->follow);
}

void run_destroy(struct run *run)
{
    forest_destroy(&run->forest);
    window_destroy(&run->window);
    lanes_destroy(&run->lanes);
    screen_destroy(&run->screen);
}

/* ------------------------------------------------------------- the walk */

KIN_SUSPENDS
static int begin_sum(struct run *run, struct tree *tree, struct line *line)
{
    line->tally = &run->tally;
    KIN_TRY(lanes_take(&run->lanes, &line->lane));
    return kin_async(tree->scope, &line->sum, sum_file, line,
                     .dispatcher = kin_io());
}

/* The file that tree has found gets a line, and the line a sum. */
KIN_SUSPENDS
static int add_line(struct run *run, struct tree *tree)
{
    struct line *line;
    int err = 0;

    KIN_TRY(window_reserve(&run->window));
    KIN_TRY(line_new(tree->walk.path, tree->walk.problem, &line));
    if (!line->problem)
        err = begin_sum(run, tree, line);
    if (err < 0)
        line_free(line);
    else
        window_push(&run->window, line);
    return err;
}

/* Ends when all is walked; its job, when all is summed. */
KIN_SUSPENDS
static int walk(kin_scope *scope, void *arg)            /* on IO */
{
    struct run *run = arg;
    struct tree *tree;
    int found;

    while ((found = forest_next(&run->forest, scope, &tree)) > 0)
        KIN_TRY(add_line(run, tree));
    return found;
}

/* ----------------------------------------------------------- the survey */

static int survey_tree(struct run *run, const char *root)
{
    struct walk files;
    int found = walk_open(&files, root, run->options->follow);

    while (found >= 0 && (found = walk_next(&files)) > 0) {
        found = kin_ensure_active();
        if (found == 0 && !files.problem)
            tally_survey(&run->tally, file_size(files.path));
    }
    walk_close(&files);
    return found;
}

static int survey(kin_scope *scope, void *arg)          /* on IO */
{
    struct run *run = arg;

    (void)scope;
    for (size_t i = 0; i < run->options->path_count; i++)
        KIN_TRY(survey_tree(run, run->options->paths[i]));
    atomic_store(&run->tally.is_surveyed, true);
    return 0;
}

/* -------------------------------------------------------------- the run */

int run_body(kin_scope *scope, void *arg)               /* on Main */
{
    struct run *run = arg;
    KIN_AUTO(kin_job) summing = NULL;
    KIN_AUTO(kin_job) surveying = NULL;
    int err = 0;

    (void)scope;
    KIN_TIMEOUT_SCOPE(err, work, run->options->timeout) {
        KIN_TRY_IN(work, kin_launch(work, walk, run, .name = "walk",
                                    .dispatcher = kin_io(), .job = &summing));
        if (run->screen.has_progress) {
            KIN_TRY_IN(work, kin_launch(work, survey, run, .name = "survey",
                                        .dispatcher = kin_io(),
                                        .job = &surveying));
        }
        KIN_TRY_IN(work, screen_show(&run->screen, summing));
        if (surveying)
            kin_job_cancel(surveying, NULL);
    }
    return err;
}
