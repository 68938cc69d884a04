/* core/parker.pml -- the model of core/parker.c: no token is lost, and what
 * came before a wake is seen by who was woken.
 *
 * Two threads each leave something and wake; a third sleeps until it has seen
 * both, with and without a deadline.  If a token gets lost, or is seen before
 * what it stands for, the sleeper sleeps for ever: an invalid end state.
 *
 * Not covered: the spin before the sleep (it is a take() more), the clock, and
 * a parker that is freed by the woken one.
 *
 *   BREAK_COMPARE    the kernel does not compare the word before it sleeps
 *   BREAK_ASLEEP     the sleeper stores ASLEEP without having seen EMPTY
 *   BREAK_DEADLINE   after the deadline EMPTY is stored, whatever is there
 *   BREAK_RELEASE    a wake's exchange is relaxed
 *   BREAK_EXCHANGE   a wake loads the word, then stores WOKEN                */
#define THREADS 3
#define PLACES 5
#include "weak.pml"

#define WORD    1
#define LEFT(t) (2 + (t))           /* what waker t leaves                   */
#define SLEEPER 2

#define EMPTY  0
#define WOKEN  1
#define ASLEEP 2

bool in_kernel;                     /* the sleeper waits in the futex        */

/* kin__parker_wake() */
inline wake(t)
{
#if defined(BREAK_EXCHANGE)
    was = LOAD(t, WORD);
    STORE_RELEASE(t, WORD, WOKEN);
#elif defined(BREAK_RELEASE)
    RMW_RELAXED(t, WORD, was, WOKEN);
#else
    RMW(t, WORD, was, WOKEN);
#endif
    if
    :: was == ASLEEP -> in_kernel = false          /* FUTEX_WAKE            */
    :: else
    fi
}

active [2] proctype waker()
{
    byte t = _pid - THREADS, was;

    STORE(t, LEFT(t), 1);
    wake(t)
}

/* take() */
#define TAKE(done) CAS_RELAXED(SLEEPER, WORD, WOKEN, EMPTY, done)

/* futex_wait(): late says whether the deadline came. */
inline futex_wait()
{
    late = false;
    atomic {
        if
#ifndef BREAK_COMPARE
        :: mem[WORD] != ASLEEP                     /* EAGAIN                */
        :: else -> in_kernel = true
#else
        :: in_kernel = true
#endif
        fi
    }
    if
    :: !in_kernel
    :: timed && in_kernel -> atomic { in_kernel = false; late = true }
    fi
}

/* kin__parker_wait(), from where it sleeps: sleep_until() */
inline sleep_until()
{
#ifdef BREAK_ASLEEP
    STORE(SLEEPER, WORD, ASLEEP); ALL_OUT(SLEEPER); done = true;
#else
    CAS_RELAXED(SLEEPER, WORD, EMPTY, ASLEEP, done);
#endif
    if
    :: !done -> TAKE(woken)
    :: else ->
        do
        :: futex_wait();
           TAKE(woken);
           if
           :: woken || late -> break
           :: else
           fi
        od;
        if
        :: woken
        :: else ->
#ifdef BREAK_DEADLINE
           STORE(SLEEPER, WORD, EMPTY)
#else
           CAS_RELAXED(SLEEPER, WORD, ASLEEP, EMPTY, done);
           if
           :: done
           :: else -> TAKE(woken); assert(woken)
           fi
#endif
        fi
    fi
}

active proctype sleeper()
{
    bool timed, late, woken, done;
    byte deadlines = 2;

    do
    :: LOAD(SLEEPER, LEFT(0)) && LOAD(SLEEPER, LEFT(1)) -> break
    :: else ->
       if
       :: deadlines > 0 -> timed = true; deadlines--
       :: timed = false
       fi;
       TAKE(woken);
       if
       :: woken
       :: else -> sleep_until()
       fi
    od
}
