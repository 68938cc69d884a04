#include "walk.h"

#include <kin/error.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

static const char not_regular[] = "Not a regular file";

enum kind { FILE_KIND, DIRECTORY_KIND, OTHER_KIND, NO_KIND };

struct name {
    enum kind kind;
    char text[];                /* that of a directory ends in '/' */
};

/* A directory that is being walked. */
struct level {
    struct level *up;
    dev_t device;               /* these two tell a loop of links */
    ino_t inode;
    size_t prefix;              /* of walk->path, up to and with the '/' */
    struct name **names;
    size_t count, room, next;
};

/* ------------------------------------------------------------ the path */

/* Makes the path prefix + text, of which the first is there already. */
static int set_path(struct walk *walk, size_t prefix, const char *text,
                    size_t length)
{
    size_t need = prefix + length + 2;      /* a '/' may follow */

    if (need > walk->room) {
        char *path = realloc(walk->path, 2 * need);

        if (!path)
            return KIN_ENOMEM;
        walk->path = path;
        walk->room = 2 * need;
    }
    if (prefix > 0)
        walk->path[prefix - 1] = '/';
    memcpy(walk->path + prefix, text, length);
    walk->path[prefix + length] = '\0';
    return 0;
}

/* The length of what comes before the names in the directory walk->path. */
static size_t prefix_length(const struct walk *walk)
{
    size_t length = strlen(walk->path);

    return length > 0 && walk->path[length - 1] == '/' ? length : length + 1;
}

/* ------------------------------------------------------------ the names */

static enum kind kind_of_mode(mode_t mode)
{
    return S_ISREG(mode)   ? FILE_KIND
           : S_ISDIR(mode) ? DIRECTORY_KIND
           : S_ISLNK(mode) ? NO_KIND
                           : OTHER_KIND;
}

/* A link that leads nowhere is a file: to open it will tell why. */
static enum kind kind_of(int directory, const struct dirent *entry, bool follow)
{
    struct stat status;
    bool is_link = entry->d_type == DT_LNK;

    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return NO_KIND;
    if (entry->d_type != DT_UNKNOWN && !(is_link && follow))
        return kind_of_mode((mode_t)DTTOIF(entry->d_type));
    if (fstatat(directory, entry->d_name, &status,
                follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return FILE_KIND;
    return kind_of_mode(status.st_mode);
}

static int add_name(struct level *level, enum kind kind, const char *text)
{
    size_t length = strlen(text);
    struct name *name = malloc(sizeof *name + length + 2);

    if (level->count == level->room) {
        size_t room = level->room ? 2 * level->room : 16;
        struct name **names = realloc(level->names, room * sizeof *names);

        if (!names) {
            free(name);
            return KIN_ENOMEM;
        }
        level->names = names;
        level->room = room;
    }
    if (!name)
        return KIN_ENOMEM;
    name->kind = kind;
    memcpy(name->text, text, length + 1);
    if (kind == DIRECTORY_KIND)
        memcpy(name->text + length, "/", 2);
    level->names[level->count++] = name;
    return 0;
}

static int by_text(const void *a, const void *b)
{
    const struct name *const *left = a, *const *right = b;

    return strcmp((*left)->text, (*right)->text);
}

/* Returns 0, KIN_ENOMEM, or errno (above 0) if there may be more names. */
static int read_names(struct level *level, DIR *directory, bool follow)
{
    const struct dirent *entry;

    while (errno = 0, entry = readdir(directory)) {
        enum kind kind = kind_of(dirfd(directory), entry, follow);

        if (kind != NO_KIND)
            KIN_TRY(add_name(level, kind, entry->d_name));
    }
    return errno;
}

/* ------------------------------------------------------------ the levels */

static void leave(struct walk *walk)
{
    struct level *level = walk->level;

    walk->level = level->up;
    while (level->count > 0)
        free(level->names[--level->count]);
    free(level->names);
    free(level);
}

/* True if a directory on the way here is the same one. */
static bool is_loop(const struct level *level)
{
    for (const struct level *up = level->up; up; up = up->up)
        if (up->device == level->device && up->inode == level->inode)
            return true;
    return false;
}

/* Reads the open directory walk->path into level.  Returns as read_names. */
static int fill(struct walk *walk, struct level *level, DIR *directory)
{
    struct stat status;
    int err;

    if (fstat(dirfd(directory), &status) < 0)
        return errno;
    level->device = status.st_dev;
    level->inode = status.st_ino;
    if (is_loop(level))
        return ELOOP;
    err = read_names(level, directory, walk->follow);
    if (level->count > 0)
        qsort(level->names, level->count, sizeof *level->names, by_text);
    return err;
}

static DIR *open_directory(const char *path, bool follow)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK |
                            (follow ? 0 : O_NOFOLLOW));
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && !directory)
        close(fd);
    return directory;
}

/* Steps into the directory walk->path.  Returns as read_names; what could be
 * read is walked in any case. */
static int enter(struct walk *walk, bool follow)
{
    DIR *directory = open_directory(walk->path, follow);
    struct level *level;
    int err;

    if (!directory)
        return errno;
    level = calloc(1, sizeof *level);
    if (level) {
        level->up = walk->level;
        level->prefix = prefix_length(walk);
        walk->level = level;
    }
    err = level ? fill(walk, level, directory) : KIN_ENOMEM;
    closedir(directory);
    return err;
}

/* ------------------------------------------------------------ the walk */

/* One step: 1 if it found something, 0 if not. */
static int step(struct walk *walk)
{
    struct level *level = walk->level;
    const struct name *name = level->names[level->next++];
    bool is_directory = name->kind == DIRECTORY_KIND;
    int err;

    walk->problem = name->kind == OTHER_KIND ? not_regular : NULL;
    KIN_TRY(set_path(walk, level->prefix, name->text,
                     strlen(name->text) - is_directory));
    if (!is_directory)
        return 1;
    err = enter(walk, walk->follow);
    if (err > 0)
        walk->problem = strerror(err);
    return err > 0 ? 1 : err;
}

NOINLINE int walk_next(struct walk *walk)
{
    if (walk->is_single) {
        walk->is_single = false;
        return 1;
    }
    while (walk->level) {
        if (walk->level->next < walk->level->count) {
            int found = step(walk);

            if (found != 0)
                return found;
        } else {
            leave(walk);
        }
    }
    return 0;
}

/* Steps into the root, or says what is wrong with it. */
static int enter_root(struct walk *walk)
{
    struct stat status;
    int err;

    if (stat(walk->path, &status) < 0)
        err = errno;
    else if (S_ISDIR(status.st_mode))
        err = enter(walk, true);
    else {
        walk->is_single = true;
        if (!S_ISREG(status.st_mode))
            walk->problem = not_regular;
        return 0;
    }
    if (err > 0) {
        walk->is_single = true;
        walk->problem = strerror(err);
    }
    return err < 0 ? err : 0;
}

NOINLINE int walk_open(struct walk *walk, const char *root, bool follow)
{
    *walk = (struct walk){ .follow = follow };
    KIN_TRY(set_path(walk, 0, root, strlen(root)));
    walk->is_single = strcmp(root, "-") == 0;
    return walk->is_single ? 0 : enter_root(walk);
}

void walk_close(struct walk *walk)
{
    while (walk->level)
        leave(walk);
    free(walk->path);
    walk->path = NULL;
}
