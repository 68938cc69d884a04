#include "line.h"

#include <stdlib.h>
#include <string.h>

int line_new(const char *path, const char *problem, struct line **line)
{
    size_t size = strlen(path) + 1;

    *line = calloc(1, sizeof **line + size);
    if (!*line)
        return KIN_ENOMEM;
    (*line)->problem = problem;
    memcpy((*line)->path, path, size);
    return 0;
}

void line_free(struct line *line)
{
    if (line->sum)
        kin_deferred_release(line->sum);
    free(line);
}

void window_init(struct window *window)
{
    *window = (struct window){ .end = 0 };
    gate_init(&window->gate, WINDOW);
}

void window_destroy(struct window *window)
{
    while (window_first(window))
        window_shift(window);
    gate_destroy(&window->gate);
}

int window_reserve(struct window *window)
{
    return gate_enter(&window->gate);
}

void window_push(struct window *window, struct line *line)
{
    size_t end = atomic_load_explicit(&window->end, memory_order_relaxed);

    window->ring[end % WINDOW] = line;
    atomic_store_explicit(&window->end, end + 1, memory_order_release);
}

struct line *window_first(struct window *window)
{
    size_t end = atomic_load_explicit(&window->end, memory_order_acquire);

    return window->begin == end ? NULL : window->ring[window->begin % WINDOW];
}

void window_shift(struct window *window)
{
    line_free(window->ring[window->begin++ % WINDOW]);
    gate_leave(&window->gate);
}
