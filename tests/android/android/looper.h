/* android/looper.h -- the part of the NDK's header that kin uses, written from
 * its reference documentation, for checks without an NDK. */
#ifndef KIN_TESTS_ANDROID_LOOPER_H
#define KIN_TESTS_ANDROID_LOOPER_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ALooper ALooper;

enum {
    ALOOPER_POLL_CALLBACK = -2      /* as `ident` of what has a callback     */
};

enum {
    ALOOPER_EVENT_INPUT = 1 << 0,
    ALOOPER_EVENT_OUTPUT = 1 << 1,
    ALOOPER_EVENT_ERROR = 1 << 2,
    ALOOPER_EVENT_HANGUP = 1 << 3,
    ALOOPER_EVENT_INVALID = 1 << 4
};

/* Called on the looper's thread while fd is ready; 1: goes on watching it, 0:
 * the looper forgets it. */
typedef int (*ALooper_callbackFunc)(int fd, int events, void *data);

/* The looper of the calling thread, or NULL. */
ALooper *ALooper_forThread(void);

/* A reference more, a reference less. */
void ALooper_acquire(ALooper *looper);
void ALooper_release(ALooper *looper);

/* Watches fd, in place of what watched it before.  1, or -1 for an error. */
int ALooper_addFd(ALooper *looper, int fd, int ident, int events,
                  ALooper_callbackFunc callback, void *data);

/* 1: removed, 0: was not there, -1: an error. */
int ALooper_removeFd(ALooper *looper, int fd);

#ifdef __cplusplus
}
#endif
#endif /* KIN_TESTS_ANDROID_LOOPER_H */
