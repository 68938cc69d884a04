/* tokenizer.c -- a parser that is fed in pieces, written as if it were not.
 *
 * Bytes come as they come: a packet may end inside a number, or behind a
 * backslash.  The tokenizer below reads one byte after the other and knows
 * nothing of this; when there are none left it suspends, wherever it is, and
 * the next piece continues it there.  No states, no buffer of unread input.
 *
 *     tokenizer           a built-in text, in pieces of 1, 2, 3, ... bytes
 *     tokenizer TEXT...   the pieces as they are given */
#include <kin/fiber.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { TOKEN_MAX = 64, END = -1 };

struct tokenizer {
    kin_fiber *fiber;
    const char *at, *end;               /* of the piece */
    bool is_over;                       /* there will be no other one */
    char text[TOKEN_MAX];               /* of the token */
    size_t length;
    void (*on_token)(const char *kind, const char *text, void *arg);
    void *arg;
};

/* ------------------------------------------------ inside: reads at leisure */

/* The next byte, which stays; suspends until there is one. */
KIN_SUSPENDS
static int peek(struct tokenizer *t)
{
    while (t->at == t->end && !t->is_over)
        kin_fiber_suspend(NULL);
    return t->at == t->end ? END : (unsigned char)*t->at;
}

static void keep(struct tokenizer *t, int byte)
{
    if (t->length + 1 < sizeof t->text)
        t->text[t->length++] = (char)byte;
}

KIN_SUSPENDS
static void take(struct tokenizer *t)
{
    keep(t, peek(t));
    t->at++;
}

KIN_SUSPENDS
static void read_number(struct tokenizer *t)
{
    while (isdigit(peek(t)))
        take(t);
    if (peek(t) == '.')
        do
            take(t);
        while (isdigit(peek(t)));
}

/* Returns false if the input ends first. */
KIN_SUSPENDS
static bool read_string(struct tokenizer *t)
{
    for (t->at++; peek(t) != '"'; take(t)) {
        if (peek(t) == '\\')
            t->at++;                    /* the next one is taken as it is */
        if (peek(t) == END)
            return false;
    }
    t->at++;
    return true;
}

KIN_SUSPENDS
static const char *read_token(struct tokenizer *t)
{
    t->length = 0;
    if (isdigit(peek(t))) {
        read_number(t);
        return "number";
    }
    if (isalpha(peek(t))) {
        while (isalnum(peek(t)))
            take(t);
        return "name";
    }
    if (peek(t) == '"')
        return read_string(t) ? "string" : "unfinished string";
    take(t);
    return "sign";
}

KIN_SUSPENDS
static void *tokenize(void *tokenizer)
{
    struct tokenizer *t = tokenizer;

    for (;;) {
        const char *kind;

        while (isspace(peek(t)))
            t->at++;
        if (peek(t) == END)
            return NULL;
        kind = read_token(t);
        t->text[t->length] = '\0';
        t->on_token(kind, t->text, t->arg);
    }
}

/* --------------------------------------------- outside: fed piece by piece */

static int feed(struct tokenizer *t, const char *piece, size_t length)
{
    t->at = piece;
    t->end = piece + length;
    return kin_fiber_resume(t->fiber, t, NULL);
}

/* Tells that this was all, and gives everything back. */
static int finish(struct tokenizer *t)
{
    int err;

    t->is_over = true;
    err = kin_fiber_resume(t->fiber, t, NULL);
    kin_fiber_destroy(t->fiber);
    return err;
}

/* -------------------------------------------------------------- a program */

static void print_token(const char *kind, const char *text, void *arg)
{
    (void)arg;
    printf("%-8s %s\n", kind, text);
}

static void add_token(const char *kind, const char *text, void *arg)
{
    char *all = arg;
    size_t length = strlen(all);

    snprintf(all + length, 1000 - length, "%s %s\n", kind, text);
}

/* Tokenizes text in pieces of that many bytes, into all. */
static int in_pieces(const char *text, size_t size, char all[1000])
{
    struct tokenizer t = { .on_token = add_token, .arg = all };
    size_t left = strlen(text);
    int err = kin_fiber_new(tokenize, &t.fiber, .name = "tokenizer");

    all[0] = '\0';
    for (; !err && left > 0; text += size, left -= size) {
        size = size < left ? size : left;
        err = feed(&t, text, size);
    }
    return err ? err : finish(&t);
}

static int check(const char *text)
{
    char expected[1000], all[1000];
    size_t whole = strlen(text);
    int err = in_pieces(text, whole, expected);

    for (size_t size = 1; !err && size <= whole; size++) {
        err = in_pieces(text, size, all);
        if (!err && strcmp(all, expected) != 0) {
            printf("different in pieces of %zu\n", size);
            return 1;
        }
    }
    printf("%sthe same in pieces of 1 to %zu bytes\n", expected, whole);
    return err < 0;
}

int main(int argc, char **argv)
{
    struct tokenizer t = { .on_token = print_token };
    int err;

    if (argc < 2)
        return check("area = 3.14159 * r2; say(\"a \\\"circle\\\" of \", r2)");
    err = kin_fiber_new(tokenize, &t.fiber, .name = "tokenizer");
    for (int i = 1; !err && i < argc; i++)
        err = feed(&t, argv[i], strlen(argv[i]));
    return (err ? err : finish(&t)) < 0;
}
