/* jni.h -- the part of the Java Native Interface that our example uses, written
 * from its specification, to compile against and to call through in tests.  The
 * tables have their own order: nothing here fits a real machine. */
#ifndef KIN_TESTS_ANDROID_JNI_H
#define KIN_TESTS_ANDROID_JNI_H

#include <stdint.h>

typedef int32_t jint;
typedef int64_t jlong;
typedef uint8_t jboolean;

typedef void *jobject;
typedef jobject jclass;
typedef jobject jstring;
typedef struct _jmethodID *jmethodID;

#define JNI_OK          0
#define JNI_ERR         (-1)
#define JNI_VERSION_1_6 0x00010006
#define JNIEXPORT       __attribute__((visibility("default")))
#define JNICALL

typedef const struct JNINativeInterface *JNIEnv;
typedef const struct JNIInvokeInterface *JavaVM;

struct JNIInvokeInterface {
    jint (*GetEnv)(JavaVM *vm, void **env, jint version);
};

struct JNINativeInterface {
    jclass (*FindClass)(JNIEnv *env, const char *name);
    jint (*ThrowNew)(JNIEnv *env, jclass type, const char *message);
    jboolean (*ExceptionCheck)(JNIEnv *env);
    void (*ExceptionDescribe)(JNIEnv *env);
    void (*ExceptionClear)(JNIEnv *env);
    jobject (*NewGlobalRef)(JNIEnv *env, jobject object);
    void (*DeleteGlobalRef)(JNIEnv *env, jobject object);
    void (*DeleteLocalRef)(JNIEnv *env, jobject object);
    jclass (*GetObjectClass)(JNIEnv *env, jobject object);
    jmethodID (*GetMethodID)(JNIEnv *env, jclass type, const char *name,
                             const char *signature);
    void (*CallVoidMethod)(JNIEnv *env, jobject object, jmethodID method, ...);
    jstring (*NewStringUTF)(JNIEnv *env, const char *text);
    const char *(*GetStringUTFChars)(JNIEnv *env, jstring string,
                                     jboolean *is_copy);
    void (*ReleaseStringUTFChars)(JNIEnv *env, jstring string,
                                  const char *text);
};

jint JNI_OnLoad(JavaVM *vm, void *reserved);

#endif /* KIN_TESTS_ANDROID_JNI_H */
