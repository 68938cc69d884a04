/* kin/task.h -- one slice of work, as a dispatcher sees it.
 *
 * Layer: core. */
#ifndef KIN_TASK_H
#define KIN_TASK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kin_task kin_task;

struct kin_task {
    kin_task *next;                 /* whoever holds the task may use it     */
    void (*run)(kin_task *task);    /* private: call kin_task_run            */
    uintptr_t tag;                  /* private                               */
};

/* Runs the slice; returns when it parks or ends.  To be called once for each
 * time the task was dispatched, on a thread without a lock held, and not from
 * a signal handler.  The task is no longer yours when it returns. */
void kin_task_run(kin_task *task);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_TASK_H */
