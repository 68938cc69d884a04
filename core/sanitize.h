/* core/sanitize.h -- what the sanitizers must be told of a switch.
 *
 * AddressSanitizer wants to know the bounds of the stack gone to, before, and
 * that it has arrived, after.  ThreadSanitizer has a fiber of its own for each
 * stack.  Without them all of this is empty. */
#ifndef KIN_CORE_SANITIZE_H
#define KIN_CORE_SANITIZE_H

#if defined(__SANITIZE_ADDRESS__)
#define KIN__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KIN__ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define KIN__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KIN__TSAN 1
#endif
#endif

#ifndef KIN__ASAN
#define KIN__ASAN 0
#endif
#ifndef KIN__TSAN
#define KIN__TSAN 0
#endif

#if KIN__ASAN
#include <stddef.h>
void __sanitizer_start_switch_fiber(void **fake, const void *bottom,
                                    size_t size);
void __sanitizer_finish_switch_fiber(void *fake, const void **bottom,
                                     size_t *size);
#endif

/* LeakSanitizer looks for pointers in the heap and in threads' stacks; what
 * lies in mappings of ours must be named to it. */
#if KIN__ASAN
void __lsan_register_root_region(const void *start, size_t size);
void __lsan_unregister_root_region(const void *start, size_t size);
#define kin__lsan_root(start, size) \
    __lsan_register_root_region(start, size)
#define kin__lsan_root_gone(start, size) \
    __lsan_unregister_root_region(start, size)
#else
#define kin__lsan_root(start, size)      ((void)(start), (void)(size))
#define kin__lsan_root_gone(start, size) ((void)(start), (void)(size))
#endif

#if KIN__TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif

#endif /* KIN_CORE_SANITIZE_H */
