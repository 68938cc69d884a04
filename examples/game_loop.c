/* game_loop.c -- a game owns its thread and its frame; kin gets two
 * milliseconds of it.
 *
 * While the game renders, one fiber loads a level: it reads the file on IO,
 * decodes it on Default and places it in the world on Main, from top to bottom
 * in one function.  The loop never waits for it. */
#include <kin/kin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_MS = 5, FRAMES_PLAYED = 20, FRAMES_MAX = 1000 };

struct level {
    const char *path;
    char bytes[256];
    int walls, coins;
};

/* The world and what is in it belong to Main. */
struct world {
    struct level level;
    bool has_level;
    int frames, frames_with_level, slices;
};

/* ------------------------------------------------------------- the level */

static int read_file(const char *path, char *bytes, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t length;

    if (!file)
        return kin_fail(-errno, "opening %s", path);
    length = fread(bytes, 1, size - 1, file);
    bytes[length] = '\0';
    fclose(file);
    return 0;
}

static int decode(struct level *level)
{
    for (const char *tile = level->bytes; *tile; tile++) {
        level->walls += *tile == '#';
        level->coins += *tile == 'o';
    }
    return level->walls ? 0 : kin_fail(KIN_EINVAL, "a level without walls");
}

static void place_in_world(struct world *world)
{
    printf("level: %d walls, %d coins, on Main: %s\n", world->level.walls,
           world->level.coins, kin_main_is_current() ? "yes" : "no");
    world->has_level = true;
}

KIN_SUSPENDS
static int spawn_level(kin_scope *scope, void *arg)     /* runs on Main */
{
    struct world *world = arg;
    struct level *level = &world->level;
    int err = 0;

    (void)scope;
    KIN_WITH_CONTEXT(err, .dispatcher = kin_io())       /* the same fiber */
        KIN_TRY(read_file(level->path, level->bytes, sizeof level->bytes));
    KIN_TRY(err);
    KIN_WITH_CONTEXT(err, .dispatcher = kin_default())
        KIN_TRY(decode(level));
    KIN_TRY(err);
    place_in_world(world);                              /* on Main again */
    return 0;
}

/* --------------------------------------------------------------- the game */

static void render(struct world *world)
{
    const struct timespec rest = { .tv_nsec = KIN_MS(FRAME_MS) };

    nanosleep(&rest, NULL);
    world->frames++;
    world->frames_with_level += world->has_level;
}

static int log_failure(kin_job *job, kin_error *error, void *arg)
{
    char text[200];

    (void)arg;
    kin_error_format(error, text, sizeof text);
    printf("%s: %s\n", kin_job_name(job), text);
    return 0;
}

static void play(struct world *world)
{
    while (world->frames_with_level < FRAMES_PLAYED &&
           world->frames < FRAMES_MAX) {
        world->slices += kin_main_pump(KIN_MS(2));
        render(world);
    }
}

static int run_game(struct world *world)
{
    KIN_AUTO(kin_scope) scope = NULL;

    KIN_TRY(kin_main_scope(&scope));
    KIN_TRY(kin_launch(scope, spawn_level, world, .name = "level",
                       .handler = log_failure));
    play(world);
    return kin_scope_cancel(scope, NULL);       /* whatever still runs */
}

static int write_level(char path[])
{
    static const char level[] = "########\n#o  o  #\n#   o  #\n########\n";
    int fd = mkstemp(path);

    if (fd < 0 || write(fd, level, strlen(level)) < 0)
        return kin_fail(-errno, "writing %s", path);
    close(fd);
    return 0;
}

int main(void)
{
    char path[] = "/tmp/kin-level-XXXXXX";
    struct world world = { .level.path = path };
    int err = write_level(path);

    if (err == 0)
        err = kin_main_attach();
    if (err == 0) {
        err = run_game(&world);
        kin_main_detach();
    }
    unlink(path);
    printf("%d frames with the level, %d slices on Main\n",
           world.frames_with_level, world.slices);
    return err < 0;
}
