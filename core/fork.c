/* fork.c -- see fork.h. */
#include "core/fork.h"

#include "core/check.h"
#include "core/memory.h"
#include "core/run.h"
#include "core/thread.h"

#include <pthread.h>
#include <stddef.h>

bool kin__is_forked;
void (*kin__fork_child)(void);

int kin__fork_refuse(const char *function)
{
    return kin__misuse(KIN_EPERM, function, "must not be called in the child "
                       "of a fork: kin ran in the parent, so it may only exec");
}

static struct kin_task *no_next(struct kin__frame *frame)
{
    (void)frame;
    KIN_UNREACHABLE("a fiber went on in the child of a fork, which may only "
                    "exec or _exit");
}

static void in_child(void)
{
    struct kin__thread *thread = kin__thread();

    if (!thread->frame && !thread->main && !kin__threads_were_made())
        return;
    kin__is_forked = true;
    thread->no_suspend++;
    for (struct kin__frame *frame = thread->frame; frame;
         frame = frame->outer) {
        frame->next = frame->poll = no_next;
        frame->no_suspend++;
    }
    if (kin__fork_child)
        kin__fork_child();
}

static void watch(void)
{
    pthread_atfork(NULL, NULL, in_child);
}

void kin__fork_watch(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, watch);
}
