/* kin/main_android.h -- Main on an Android thread with a looper: the UI's.
 *
 * The looper pumps Main by itself, so that fibers of Main run between the
 * messages of Java:
 *
 *     JNI_OnLoad, or a native method that the UI's thread calls:
 *         kin_main_attach_looper(KIN_MS(4));
 *     ...
 *         kin_main_detach();
 *
 * Only on Android (link with libandroid), and not in kin.h.
 *
 * Layer: dispatch. */
#ifndef KIN_MAIN_ANDROID_H
#define KIN_MAIN_ANDROID_H

#include <kin/main.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Makes the calling thread Main, as kin_main_attach does, and ties it to the
 * thread's ALooper: what is due runs when the looper polls, at most for about
 * `budget` nanoseconds at a time (see kin_main_pump); then the looper has its
 * turn.  A nested run of the looper inside a fiber of Main does not pump.
 * kin_main_detach unties it.
 *
 * Errors: KIN_EINVAL for a negative budget, or on a thread without a looper;
 *         KIN_EALREADY if some thread is Main; KIN_EAGAIN without a
 *         descriptor, or if the looper refuses. */
int kin_main_attach_looper(int64_t budget);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_MAIN_ANDROID_H */
