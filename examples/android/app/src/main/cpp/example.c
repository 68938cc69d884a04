/* example.c -- the native side of an activity.
 *
 *   onCreate    open()   a scope on Main: a supervisor, so that one failed
 *                        reading does not end the others
 *   a click     read()   a fiber: on IO while it blocks in read(), on the main
 *                        thread again to show what it got
 *   onDestroy   close()  cancels the scope: nothing is shown afterwards
 *
 * The runtime of Java wants to find its thread's own stack under each call, so
 * JNI is entered from fibers by kin_call_on_thread_stack. */
#include <kin/kin.h>
#include <kin/main_android.h>

#include <errno.h>
#include <fcntl.h>
#include <jni.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static JavaVM *machine;

/* --- A reading ------------------------------------------------------------ */

struct reading {
    jobject activity;               /* a global reference                    */
    char *path;
    char text[4096];
};

/* Of the main thread, which Java has made. */
static JNIEnv *environment(void)
{
    void *env = NULL;

    if ((*machine)->GetEnv(machine, &env, JNI_VERSION_1_6) != JNI_OK)
        abort();
    return env;
}

static void show(void *arg)
{
    struct reading *reading = arg;
    JNIEnv *env = environment();
    jclass class = (*env)->GetObjectClass(env, reading->activity);
    jmethodID method = (*env)->GetMethodID(env, class, "show",
                                           "(Ljava/lang/String;)V");
    jstring text = method ? (*env)->NewStringUTF(env, reading->text) : NULL;

    if (text)
        (*env)->CallVoidMethod(env, reading->activity, method, text);
    if ((*env)->ExceptionCheck(env)) {
        (*env)->ExceptionDescribe(env);
        (*env)->ExceptionClear(env);
    }
    if (text)
        (*env)->DeleteLocalRef(env, text);
    (*env)->DeleteLocalRef(env, class);
}

static void release(void *arg)
{
    struct reading *reading = arg;
    JNIEnv *env = environment();

    (*env)->DeleteGlobalRef(env, reading->activity);
    free(reading->path);
    free(reading);
}

/* Blocks; on IO. */
static int read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
    size_t length = 0;
    ssize_t n = 1;

    if (fd < 0)
        return -errno;
    while (n > 0 && length + 1 < size) {
        n = read(fd, text + length, size - 1 - length);
        if (n > 0)
            length += (size_t)n;
        else if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0)
            err = -errno;
    }
    text[length] = '\0';
    close(fd);
    return err;
}

/* Launched ATOMIC: it runs even if it is cancelled before, to release what it
 * was given. */
KIN_SUSPENDS
static int read_and_show(kin_scope *scope, void *arg)
{
    struct reading *reading = arg;
    int moved, err = 0;

    (void)scope;
    KIN_WITH_CONTEXT(moved, .dispatcher = kin_io())
        err = read_file(reading->path, reading->text, sizeof reading->text);
    if (moved && moved != KIN_ECANCELED)
        err = moved;                    /* no thread, no memory */
    if (err)
        strcpy(reading->text, strerror(-err));
    if (moved != KIN_ECANCELED)         /* else nobody looks */
        kin_call_on_thread_stack(show, reading);
    kin_call_on_thread_stack(release, reading);
    return moved;
}

/* --- What Java calls ------------------------------------------------------ */

static void throw(JNIEnv *env, int err)
{
    jclass class = (*env)->FindClass(env, "java/lang/IllegalStateException");

    if (class)
        (*env)->ThrowNew(env, class, kin_error_name(err));
}

/* Called by System.loadLibrary, on the main thread. */
JNIEXPORT jint JNI_OnLoad(JavaVM *vm, void *reserved)
{
    (void)reserved;
    machine = vm;
    return kin_main_attach_looper(KIN_MS(4)) ? JNI_ERR : JNI_VERSION_1_6;
}

JNIEXPORT jlong JNICALL Java_org_example_kin_MainActivity_open(JNIEnv *env,
                                                               jobject self)
{
    kin_scope *scope = NULL;
    int err = kin_main_scope(&scope);

    (void)self;
    if (err)
        throw(env, err);
    return (jlong)(intptr_t)scope;
}

JNIEXPORT void JNICALL Java_org_example_kin_MainActivity_close(JNIEnv *env,
                                                               jclass class,
                                                               jlong handle)
{
    kin_scope *scope = (kin_scope *)(intptr_t)handle;

    (void)env, (void)class;
    if (!scope)
        return;
    kin_scope_cancel(scope, NULL);
    kin_scope_release(scope);
}

static struct reading *new_reading(JNIEnv *env, jobject self, jstring path)
{
    struct reading *reading = calloc(1, sizeof *reading);
    const char *chars = (*env)->GetStringUTFChars(env, path, NULL);

    if (reading && chars) {
        reading->path = strdup(chars);
        reading->activity = (*env)->NewGlobalRef(env, self);
    }
    if (chars)
        (*env)->ReleaseStringUTFChars(env, path, chars);
    if (reading && reading->path && reading->activity)
        return reading;
    if (reading)
        release(reading);               /* either may be NULL */
    return NULL;
}

JNIEXPORT void JNICALL Java_org_example_kin_MainActivity_read(JNIEnv *env,
                                                              jobject self,
                                                              jlong handle,
                                                              jstring path)
{
    kin_scope *scope = (kin_scope *)(intptr_t)handle;
    struct reading *reading = new_reading(env, self, path);
    int err = KIN_ENOMEM;

    if (reading) {
        err = kin_launch(scope, read_and_show, reading,
                         .start = KIN_START_ATOMIC, .name = "reading");
        if (err)
            release(reading);
    }
    if (err && !(*env)->ExceptionCheck(env))
        throw(env, err);
}
