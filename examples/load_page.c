/* load_page.c -- two requests at once; the first failure cancels the other.
 *
 *     load_page           both succeed
 *     load_page fail      one fails: the other does not go on for nothing */
#include <kin/kin.h>

#include <stdio.h>

struct page {
    bool fails;
    const char *user;
    const char *feed;
};

/* Stands for a request: 100 ms, without a thread that waits for it. */
KIN_SUSPENDS
static int load_user(kin_scope *scope, void *arg)
{
    struct page *page = arg;

    KIN_TRY(kin_delay(KIN_MS(100)));
    if (page->fails)
        return kin_fail(-ECONNREFUSED, "loading the user of %s", "page 7");
    return kin_return(scope, "Ada");
}

KIN_SUSPENDS
static int load_feed(kin_scope *scope, void *arg)
{
    (void)arg;
    KIN_TRY(kin_delay(KIN_MS(200)));
    return kin_return(scope, "3 new posts");
}

KIN_SUSPENDS
static int load_page(kin_scope *scope, void *arg)
{
    struct page *page = arg;
    KIN_AUTO(kin_deferred) user = NULL;     /* released on any return */
    KIN_AUTO(kin_deferred) feed = NULL;

    KIN_TRY(kin_async(scope, &user, load_user, page, .dispatcher = kin_io()));
    KIN_TRY(kin_async(scope, &feed, load_feed, page, .dispatcher = kin_io()));
    KIN_TRY(kin_await(user, &page->user));
    KIN_TRY(kin_await(feed, &page->feed));
    return 0;
}

int main(int argc, char **argv)
{
    struct page page = { .fails = argc > 1 };
    int64_t begin = kin_now();

    (void)argv;
    if (kin_run_blocking(load_page, &page) < 0) {
        char text[200];

        kin_error_format(kin_error_current(), text, sizeof text);
        printf("failed: %s\n", text);
    } else {
        printf("%s: %s\n", page.user, page.feed);
    }
    printf("in %.1f s\n", (double)(kin_now() - begin) / 1e9);
    return 0;
}
