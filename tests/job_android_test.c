/* The example for Android, its native side, with a machine and a looper of the
 * test's: a reading is shown on the main thread, on the thread's own stack;
 * nothing is shown after onDestroy, and no reference is left. */
#include "tests/looper.h"

#include "examples/android/app/src/main/cpp/example.c"

#include <sys/ioctl.h>

/* --- A machine ------------------------------------------------------------ */

static struct reading_seen {
    char text[64];                      /* what was shown last               */
    int shown, global, local;           /* references that are alive         */
    bool throws;                        /* the next call into Java does      */
    const char *thrown;
} java;

/* What Android's runtime asks of each call. */
static void check_thread(void)
{
    pthread_attr_t attributes;
    char *frame = __builtin_frame_address(0);
    void *start;
    size_t size;

    CHECK_EQ(gettid(), getpid());
    MUST(pthread_getattr_np(pthread_self(), &attributes));
    MUST(pthread_attr_getstack(&attributes, &start, &size));
    MUST(pthread_attr_destroy(&attributes));
    CHECK(frame >= (char *)start && frame < (char *)start + size);
}

static jclass find_class(UNUSED JNIEnv *env, const char *name)
{
    check_thread();
    java.thrown = name;
    return &java;
}

static jint throw_new(UNUSED JNIEnv *env, UNUSED jclass type,
                      UNUSED const char *message)
{
    return 0;
}

static jboolean exception_check(UNUSED JNIEnv *env)
{
    return java.throws;
}

static void exception_clear(UNUSED JNIEnv *env)
{
    java.throws = false;
}

static jobject new_global_ref(UNUSED JNIEnv *env, jobject object)
{
    check_thread();
    java.global++;
    return object;
}

static void delete_global_ref(UNUSED JNIEnv *env, jobject object)
{
    check_thread();
    java.global -= object != NULL;
}

static void delete_local_ref(UNUSED JNIEnv *env, UNUSED jobject object)
{
    java.local--;
}

static jclass get_object_class(UNUSED JNIEnv *env, jobject object)
{
    java.local++;
    return object;
}

static jmethodID get_method(UNUSED JNIEnv *env, jclass type,
                            const char *name, const char *signature)
{
    CHECK_STR(name, "show");
    CHECK_STR(signature, "(Ljava/lang/String;)V");
    return type;
}

static jstring new_string(UNUSED JNIEnv *env, const char *text)
{
    java.local++;
    snprintf(java.text, sizeof java.text, "%.60s", text);
    return java.text;
}

static void call_show(UNUSED JNIEnv *env, UNUSED jobject object,
                      UNUSED jmethodID method, ...)
{
    check_thread();
    java.shown++;
}

static const char *string_chars(UNUSED JNIEnv *env, jstring string,
                                UNUSED jboolean *is_copy)
{
    return string;
}

static void release_chars(UNUSED JNIEnv *env, UNUSED jstring string,
                          UNUSED const char *text)
{
}

static const struct JNINativeInterface functions = {
    .FindClass = find_class, .ThrowNew = throw_new,
    .ExceptionCheck = exception_check, .ExceptionDescribe = exception_clear,
    .ExceptionClear = exception_clear, .NewGlobalRef = new_global_ref,
    .DeleteGlobalRef = delete_global_ref, .DeleteLocalRef = delete_local_ref,
    .GetObjectClass = get_object_class, .GetMethodID = get_method,
    .NewStringUTF = new_string, .CallVoidMethod = call_show,
    .GetStringUTFChars = string_chars,
    .ReleaseStringUTFChars = release_chars,
};
static JNIEnv env = &functions;

static jint get_env(UNUSED JavaVM *vm, void **out, UNUSED jint version)
{
    check_thread();
    *out = &env;
    return JNI_OK;
}

static const struct JNIInvokeInterface invocations = { .GetEnv = get_env };
static JavaVM vm = &invocations;

/* --- The activity --------------------------------------------------------- */

static jlong on_create(void)
{
    own = &looper;
    CHECK_EQ(JNI_OnLoad(&vm, NULL), JNI_VERSION_1_6);
    return Java_org_example_kin_MainActivity_open(&env, &java);
}

static void on_click(jlong scope, const char *path)
{
    Java_org_example_kin_MainActivity_read(&env, &java, scope,
                                           (void *)(uintptr_t)path);
    CHECK(!java.thrown);
}

static void on_destroy(jlong scope)
{
    Java_org_example_kin_MainActivity_close(&env, &java, scope);
}

static void loop_until_released(void)
{
    while (java.global)
        CHECK(poll_once(-1) > 0);
    CHECK_EQ(java.local, 0);
}

/* A file that holds a text, and goes on until the test says that it ends. */
static struct {
    char path[32];
    int out, in;
} file;

static const char *begin_file(const char *text)
{
    int fds[2];

    MUST(pipe(fds));
    file.out = fds[0], file.in = fds[1];
    CHECK_EQ(write(file.in, text, strlen(text)), strlen(text));
    snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.out);
    return file.path;
}

static int unread(void)
{
    int bytes = 0;

    MUST(ioctl(file.out, FIONREAD, &bytes));
    return bytes;
}

/* Returns when somebody has read all there is, on IO, and blocks.  Main may
 * have had no memory to begin: it goes on looking. */
static void wait_for_reader(void)
{
    while (unread() > 0) {
        CHECK(java.global > 0);             /* somebody is to read it */
        poll_once(1);
    }
}

static void end_file(void)
{
    MUST(close(file.in));
}

TEST(a_click_shows_what_was_read_on_the_main_thread)
{
    jlong scope = on_create();

    on_click(scope, begin_file("hello"));
    CHECK_EQ(java.global, 1);
    CHECK_EQ(poll_once(-1), 1);
    wait_for_reader();
    end_file();
    loop_until_released();
    CHECK_EQ(java.shown, 1);
    CHECK_STR(java.text, "hello");
    on_destroy(scope);
    MUST(kin_main_detach());
}

TEST(a_file_that_is_not_there_is_told_and_the_next_is_read)
{
    jlong scope = on_create();

    on_click(scope, "/nowhere/at/all");
    loop_until_released();
    loop_until_released();
    CHECK_EQ(java.shown, 1);
    CHECK_STR(java.text, strerror(ENOENT));
    on_click(scope, "/proc/self/comm");
    loop_until_released();
    CHECK_EQ(java.shown, 2);
    on_destroy(scope);
}

TEST(nothing_is_shown_after_the_activity_is_destroyed)
{
    jlong scope = on_create();

    on_click(scope, begin_file("too late"));
    CHECK_EQ(poll_once(-1), 1);
    wait_for_reader();
    on_destroy(scope);
    end_file();
    loop_until_released();
    CHECK_EQ(java.shown, 0);
}

/* All calls refused that the system may refuse, from the nth on, for as long as
 * Main needs to see it. */
static void click_without(void *arg)
{
    unsigned long n = *(unsigned long *)arg;
    jlong scope = on_create();

    kin__fail_at(n, true);
    Java_org_example_kin_MainActivity_read(&env, &java, scope,
                                           "/proc/self/comm");
    for (int polls = 0; java.global && polls < 10; polls++)
        poll_once(0);
    CHECK(kin__fail_hits() > 0 || n > 5);
    kin__fail_at(0, false);
    loop_until_released();
    CHECK_EQ(java.shown, java.thrown ? 0 : 1);
    on_destroy(scope);
}

TEST(a_click_without_memory_or_a_thread_is_told)
{
    for (unsigned long n = 1; n < 20; n++)
        check_says(click_without, &n, "");
}

TEST(a_click_right_before_the_end_shows_nothing_and_leaves_nothing)
{
    jlong scope = on_create();

    on_click(scope, "/proc/self/comm");
    on_destroy(scope);
    loop_until_released();
    CHECK_EQ(java.shown, 0);
}

TEST(an_activity_without_a_scope_is_destroyed_quietly)
{
    on_destroy(on_create());
    on_destroy(0);
}

TEST(an_exception_of_java_s_is_cleared)
{
    jlong scope = on_create();

    on_click(scope, "/proc/self/comm");
    java.throws = true;
    loop_until_released();
    CHECK(!java.throws);
    on_destroy(scope);
}

TEST_MAIN
