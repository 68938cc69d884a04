/* core/error_internal.h -- the inside of an error, for core/error*.c. */
#ifndef KIN_CORE_ERROR_INTERNAL_H
#define KIN_CORE_ERROR_INTERNAL_H

#include "core/error.h"

#include <stdatomic.h>
#include <stdint.h>

/* A reference from one error to another: its cause, or one it suppressed. */
struct kin__error_link {
    kin_error *error;               /* retained; NULL: no cause              */
    _Atomic(struct kin__error_link *) next; /* written under the ring lock   */
};

/* refs:  0                 immortal, in static memory, never written
 *        count             one released by compare-and-swap
 *        count | RING      references may lead from it back to it: released
 *                          under the ring lock (error_ring.c).  Set once. */
#define KIN__ERROR_RING (UINT64_C(1) << 63)

struct kin_error {
    _Atomic uint64_t refs;          /* above                                 */
    int code;                       /* constant, as all down to `links`      */
    kin_error_kind kind;
    const void *owner;
    const char *message;            /* in the same block; NULL: ""           */
    const char *where;              /* likewise                              */
    struct kin__error_link links;   /* the cause, then what it suppressed    */

    kin_error *next;                /* in a list of members, or of garbage   */
    uint64_t inner;                 /* all three guarded by the ring lock    */
    bool is_listed, is_alive;

    uint8_t frames;                 /* constant: return addresses behind it  */
};

/* The return addresses from who makes an error, with a place, outwards.  Their
 * number; 0 but in debug builds. */
enum { KIN__FRAMES = 24 };
uint8_t kin__error_trace(void *frames[KIN__FRAMES]);

static inline struct kin__error_link *
kin__error_link_next(const struct kin__error_link *link)
{
    /* acquire: pairs with release in kin__error_suppress() */
    return atomic_load_explicit(&((struct kin__error_link *)link)->next,
                                memory_order_acquire);
}

static inline uint64_t kin__error_refs(const kin_error *error)
{
    /* relaxed: immortal is for ever, and RING is looked at under the lock or
     * confirmed by compare-and-swap */
    return atomic_load_explicit(&((kin_error *)error)->refs,
                                memory_order_relaxed);
}

/* Gives up references to an error that has RING.  Puts what became garbage in
 * front of the list `dead`, and returns that. */
kin_error *kin__error_ring_drop(kin_error *error, unsigned count,
                                kin_error *dead);

/* Every errno of Linux, by its own name. */
#define KIN__ERRNOS(X)                                                       \
    X(EPERM) X(ENOENT) X(ESRCH) X(EINTR) X(EIO) X(ENXIO) X(E2BIG)            \
    X(ENOEXEC) X(EBADF) X(ECHILD) X(EAGAIN) X(ENOMEM) X(EACCES) X(EFAULT)    \
    X(ENOTBLK) X(EBUSY) X(EEXIST) X(EXDEV) X(ENODEV) X(ENOTDIR) X(EISDIR)    \
    X(EINVAL) X(ENFILE) X(EMFILE) X(ENOTTY) X(ETXTBSY) X(EFBIG) X(ENOSPC)    \
    X(ESPIPE) X(EROFS) X(EMLINK) X(EPIPE) X(EDOM) X(ERANGE) X(EDEADLK)       \
    X(ENAMETOOLONG) X(ENOLCK) X(ENOSYS) X(ENOTEMPTY) X(ELOOP) X(ENOMSG)      \
    X(EIDRM) X(ECHRNG) X(EL2NSYNC) X(EL3HLT) X(EL3RST) X(ELNRNG)             \
    X(EUNATCH) X(ENOCSI) X(EL2HLT) X(EBADE) X(EBADR) X(EXFULL) X(ENOANO)     \
    X(EBADRQC) X(EBADSLT) X(EBFONT) X(ENOSTR) X(ENODATA) X(ETIME) X(ENOSR)   \
    X(ENONET) X(ENOPKG) X(EREMOTE) X(ENOLINK) X(EADV) X(ESRMNT) X(ECOMM)     \
    X(EPROTO) X(EMULTIHOP) X(EDOTDOT) X(EBADMSG) X(EOVERFLOW) X(ENOTUNIQ)    \
    X(EBADFD) X(EREMCHG) X(ELIBACC) X(ELIBBAD) X(ELIBSCN) X(ELIBMAX)         \
    X(ELIBEXEC) X(EILSEQ) X(ERESTART) X(ESTRPIPE) X(EUSERS) X(ENOTSOCK)      \
    X(EDESTADDRREQ) X(EMSGSIZE) X(EPROTOTYPE) X(ENOPROTOOPT)                 \
    X(EPROTONOSUPPORT) X(ESOCKTNOSUPPORT) X(EOPNOTSUPP) X(EPFNOSUPPORT)      \
    X(EAFNOSUPPORT) X(EADDRINUSE) X(EADDRNOTAVAIL) X(ENETDOWN)               \
    X(ENETUNREACH) X(ENETRESET) X(ECONNABORTED) X(ECONNRESET) X(ENOBUFS)     \
    X(EISCONN) X(ENOTCONN) X(ESHUTDOWN) X(ETOOMANYREFS) X(ETIMEDOUT)         \
    X(ECONNREFUSED) X(EHOSTDOWN) X(EHOSTUNREACH) X(EALREADY) X(EINPROGRESS)  \
    X(ESTALE) X(EUCLEAN) X(ENOTNAM) X(ENAVAIL) X(EISNAM) X(EREMOTEIO)        \
    X(EDQUOT) X(ENOMEDIUM) X(EMEDIUMTYPE) X(ECANCELED) X(ENOKEY)             \
    X(EKEYEXPIRED) X(EKEYREVOKED) X(EKEYREJECTED) X(EOWNERDEAD)              \
    X(ENOTRECOVERABLE) X(ERFKILL) X(EHWPOISON)

#endif /* KIN_CORE_ERROR_INTERNAL_H */
