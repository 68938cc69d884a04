/* core/wait.pml -- the model of core/wait.c: of those who wake, cancel, register
 * a callback or look on, one decides; the fiber goes on once, sees what he has
 * written, and nobody touches its stack after that.
 *
 * One fiber waits for a first time, in one of three ways, and then (unless ONCE)
 * begins and ends a second wait, which late handles of the first must not touch.
 *   SHARED  kin_suspend_cancellable: handles were given out
 *   PLAIN   kin_delay: no handles, somebody may look on (kin__wait_hold)
 *   JOIN    kin_join (job/join.c): the wait opens when the fiber has left, and
 *           is registered under the job's lock after that; NEVER: the job does
 *           not end
 * OWNED: the owner is the fiber's own job, so that its parent's walk may decide
 * by one exchange (kin__wait_cancel_own), if no handles were given out.
 * The fiber goes on on another thread than it left: its stores before are seen
 * there only if somebody has published them.
 *
 * Checked: who has *wait locked finds it alive and of his generation; the fiber
 * is made ready at most once, and finds itself saved; the outcome is that of
 * the one who decided, of whom there is one; a callback runs at most once, and
 * may call back; everybody comes to an end, so no wake-up is lost.  Not covered:
 * want of a stack to go to (kin__park fails), and errors' reference counts.
 *
 *   RUN -DPLAIN -DWAKERS=0
 *   RUN -DJOIN -DWAKERS=0 -DNEVER
 *   RUN -DJOIN -DWAKERS=0
 *   RUN -DSHARED -DWAKERS=1
 *   RUN -DPLAIN -DWAKERS=1 -DLOOKER
 *   RUN -DSHARED -DWAKERS=1 -DREGISTRAR -DONCE
 *   RUN -DSHARED -DWAKERS=2 -DONCE
 *   RUN -DPLAIN -DWAKERS=1 -DLOOKER -DOWNED
 *   RUN -DJOIN -DWAKERS=0 -DNEVER -DOWNED
 *   RUN -DJOIN -DWAKERS=0 -DOWNED
 *   RUN -DSHARED -DWAKERS=1 -DOWNED -DONCE
 *
 *   BREAK_BEGIN       begin: the word is stored relaxed
 *   BREAK_LATE        publish: the owner is not looked at once more
 *   BREAK_HOLD        publish: BUSY is not set while the owner is looked at
 *   BREAK_READY       publish: who finds it decided does not make it ready
 *   BREAK_CLAIM       wake: takes an open word though it is BUSY
 *   BREAK_UNLOCK      unlock: the word is stored relaxed
 *   BREAK_SETTLE      settle: does not wait for BUSY to end
 *   BREAK_STORE       settle: IDLE is stored though there are handles
 *   BREAK_GENERATION  wake: does not compare the generation
 *   BREAK_CALLING     a callback runs without CALLING
 *   BREAK_OPEN        open: the word is stored relaxed
 *   BREAK_BARRIER     no barrier between opening and the look at the owner
 *   BREAK_LINK        join: who is cancelled does not wait to be registered
 *   BREAK_OWN         own: though handles were given out
 *   BREAK_OWN_BUSY    cancel_own: takes a word that is BUSY
 *   BREAK_TOLD        settle: does not see that it was cancelled so            */
#define THREADS 7
#define WORD     1
#define OWNER    2                  /* 1: the owner has been cancelled       */
#define WAIT     3                  /* runnable->wait: of which generation   */
#define SAVED    4                  /* the registers of the parked fiber     */
#define OUTCOME  5                  /* wait->outcome                         */
#define CALLBACK 6                  /* wait->on_cancel: 1: there is one      */
#define PLACES   7
#include "weak.pml"

/* The threads: the fiber's first, its next; others. */
#define LEFT   0
#define NEXT   1
#define FIRST_WAKER 2
#define CANCELLER   4
#define REGISTRAR_  5
#define COMPLETER   6
#define LOOKER_     5

#define IDLE      0
#define UNDECIDED 1
#define PARKED    2
#define RESUMED   3
#define CANCELLED 4
#define BUSY      8
#define LATE      16
#define CALLING   32
#define OWN       64
#define word_of(g, s)  (((g) & 1) * 128 + (s))          /* in a byte          */
#define state_of(w)    ((w) & 7)
#define generation_of(w) ((w) >> 7 -> 1 : 2)
#if defined(OWNED) && (!defined(SHARED) || defined(BREAK_OWN))
#define parked_word(g) (word_of(g, PARKED) | OWN)
#else
#define parked_word(g) word_of(g, PARKED)
#endif

/* What kin__wait_cancel_own() leaves in the place of runnable->wait. */
#define TOLD 9
#define is_open(w) (state_of(w) == UNDECIDED || state_of(w) == PARKED)

/* Answers of claim() and lock(). */
#define DONE    1
#define STALE   2
#define ALREADY 3

byte ready;                         /* how often it is in a queue            */
bool alive[3];                      /* *wait, by generation                  */
byte deciders, decision, callbacks;
bool fiber_ended;

bool job_locked, job_final, linked, published, publishes;

inline make_ready(t)
{
    atomic { ALL_OUT(t) -> ready++; assert(ready == 1) }
}

#define CHECK_WAIT(t, g)                                                 \
    assert(alive[g]); assert(LOAD(t, WAIT) == (g))

/* unlock() */
inline unlock(t)
{
    word = LOAD(t, WORD);
#ifdef BREAK_UNLOCK
    STORE(t, WORD, word & ~(BUSY | CALLING))
#else
    STORE_RELEASE(t, WORD, word & ~(BUSY | CALLING))
#endif
}

/* lock(): got is the word, or 0. */
inline lock(t, g, decided_too)
{
    do
    :: word = LOAD(t, WORD);
       if
       :: generation_of(word) != g || state_of(word) == IDLE ||
          (word & CALLING) || (!decided_too && !is_open(word)) ->
          got = 0; break
       :: else ->
          if
          :: word & BUSY -> LOAD(t, WORD) != word
          :: else ->
             CAS_RELAXED(t, WORD, word, word | BUSY, done);  /* acquire     */
             if
             :: done -> got = word; break
             :: else
             fi
          fi
       fi
    od;
    done = false
}

/* claim(): answer, and in got the state before. */
inline claim(t, g)
{
    do
    :: word = LOAD(t, WORD);
       if
#ifdef BREAK_GENERATION
       :: state_of(word) == IDLE -> answer = STALE; break
#else
       :: generation_of(word) != g || state_of(word) == IDLE ->
          answer = STALE; break
#endif
       :: else ->
          if
          :: !is_open(word) ->
             answer = ((state_of(word) == RESUMED || (word & LATE)) ->
                       ALREADY : STALE);
             break
#ifndef BREAK_CLAIM
          :: is_open(word) && (word & BUSY) -> LOAD(t, WORD) != word
          :: is_open(word) && !(word & BUSY) ->
#else
          :: else ->
#endif
             CAS(t, WORD, word, word_of(g, RESUMED) | BUSY, done);
             if
             :: done -> got = state_of(word); answer = DONE; break
             :: else
             fi
          fi
       fi
    od;
    done = false
}

inline decide(t, g, how)
{
    d_step { deciders++; assert(deciders == 1); decision = how };
    STORE(t, OUTCOME, how)
}

/* decided() */
inline decided(t)
{
    unlock(t);
    if
    :: got == PARKED -> make_ready(t)
    :: else
    fi
}

/* wake_slowly(), and kin__wait_wake_value() with cause_of() for who comes too
 * late. */
inline wake_slowly(t, g)
{
    claim(t, g);
    if
    :: answer == DONE ->
       CHECK_WAIT(t, g);
       decide(t, g, RESUMED);
       decided(t)
    :: answer == STALE ->
       CAS_RELAXED(t, WORD, word_of(g, CANCELLED),
                   word_of(g, CANCELLED) | LATE, done);
       done = false;
#ifdef SHARED
       lock(t, g, true);
       if
       :: got != 0 -> CHECK_WAIT(t, g); unlock(t)
       :: else
       fi
#endif
    :: else
    fi;
    answer = 0; got = 0; word = 0
}

/* wake_parked() */
inline wake_parked(t, g)
{
    CAS(t, WORD, parked_word(g), word_of(g, RESUMED), done);
    if
    :: done ->
       CHECK_WAIT(t, g);
       decide(t, g, RESUMED);
       make_ready(t)
    :: else
    fi
}

/* kin__wait_wake(); kin__wait_wake_value() begins with the claim. */
inline wake(t, g)
{
    if
    :: wake_parked(t, g)
    :: true
    fi;
    if
    :: done -> done = false
    :: else -> wake_slowly(t, g)
    fi
}

/* A callback, which asks for the cause of the very call. */
inline call_back(t, g)
{
    d_step { callbacks++; assert(callbacks == 1) };
    lock(t, g, true);
    assert(got == 0)
}

/* cancel_locked(); got is the locked word. */
inline cancel_locked(t, g)
{
    CHECK_WAIT(t, g);
    calls = LOAD(t, CALLBACK);
    before = state_of(got);
#ifdef BREAK_CALLING
    STORE(t, WORD, word_of(g, CANCELLED) | BUSY);
#else
    STORE(t, WORD, word_of(g, CANCELLED) | BUSY | (calls -> CALLING : 0));
#endif
    decide(t, g, CANCELLED);
    if
    :: calls -> call_back(t, g)
    :: else
    fi;
    got = before;
    decided(t);
    calls = false; before = 0
}

/* kin__wait_cancel() */
inline cancel(t, g)
{
    lock(t, g, false);
    if
    :: got != 0 -> cancel_locked(t, g)
    :: else
    fi;
    got = 0; word = 0
}

/* kin__wait_on_cancel() */
inline on_cancel(t, g)
{
    lock(t, g, true);
    if
    :: got != 0 ->
       CHECK_WAIT(t, g);
       STORE(t, CALLBACK, 1);
       if
       :: state_of(got) == CANCELLED ->
#ifndef BREAK_CALLING
          RMW_RELAXED(t, WORD, word, word | CALLING);
#endif
          call_back(t, g)
       :: else
       fi;
       unlock(t)
    :: else
    fi;
    got = 0; word = 0
}

/* --- The fiber ------------------------------------------------------------ */

/* move_undecided(): done says whether it did. */
inline move_undecided(t, g, to)
{
    do
    :: LOAD(t, WORD) == word_of(g, UNDECIDED) ->
       CAS(t, WORD, word_of(g, UNDECIDED), to, done);
       if
       :: done -> break
       :: else
       fi
    :: state_of(LOAD(t, WORD)) != UNDECIDED -> done = false; break
       /* else it is locked, which will end */
    od
}

/* settle() */
inline settle(t, g, shared)
{
    do
    ::
#ifndef BREAK_SETTLE
       !(LOAD(t, WORD) & BUSY);                    /* quiet_word()          */
#endif
       word = LOAD(t, WORD) & ~BUSY;
#ifndef BREAK_TOLD
       if
       :: (word & OWN) && state_of(word) == CANCELLED ->
          assert(LOAD(t, WAIT) == TOLD);
          STORE(t, OUTCOME, CANCELLED)
       :: else
       fi;
#endif
       if
       :: shared ->
          CAS_RELAXED(t, WORD, word, word_of(g, IDLE), done);
          if
          :: done -> break
          :: else
          fi
       :: else -> STORE(t, WORD, word_of(g, IDLE)); break
       fi
    od;
    done = false
}

/* kin__wait_begin_in() */
inline begin(t, g)
{
    alive[g] = true;
    STORE(t, WAIT, g);
#ifdef BREAK_BEGIN
    STORE(t, WORD, word_of(g, UNDECIDED));
#else
    STORE_RELEASE(t, WORD, word_of(g, UNDECIDED));
#endif
    late = LOAD(t, OWNER);
    if
    :: late -> cancel(t, g)
    :: else
    fi;
    late = false; word = 0
}

/* The fiber is off its stack; publish(). */
inline publish(t, g)
{
#ifdef BREAK_HOLD
    move_undecided(t, g, parked_word(g));
#else
    move_undecided(t, g, parked_word(g) | BUSY);
#endif
    if
    :: done ->
#ifndef BREAK_BARRIER
       ALL_OUT(t);                                  /* the full barrier     */
#endif
#ifndef BREAK_LATE
       late = LOAD(t, OWNER);
#endif
       if
       :: late -> got = word_of(g, PARKED); cancel_locked(t, g); got = 0
       :: else ->
#ifndef BREAK_HOLD
          STORE_RELEASE(t, WORD, parked_word(g))
#endif
       fi;
       late = false
    :: else ->
#ifndef BREAK_READY
       make_ready(t)
#else
       skip
#endif
    fi;
    done = false
}

inline resume_fiber()
{
    atomic { ready > 0 -> ready-- };
    assert(LOAD(NEXT, SAVED) == 1)
}

/* The second wait, begun and ended: kin__wait_end(). */
inline begin_and_end(t, g)
{
    d_step { deciders = 0; decision = IDLE };
    STORE(t, OUTCOME, IDLE);
    STORE(t, CALLBACK, 0);
    begin(t, g);
    move_undecided(t, g, word_of(g, IDLE));
    if
    :: done -> done = false
    :: else -> settle(t, g, false)
    fi;
    assert(LOAD(t, OUTCOME) == decision);
    alive[g] = false
}

active proctype fiber()
{
    byte word, got, answer, before;
    bool done, late, calls;

#ifdef JOIN
    alive[1] = true;                                /* kin__wait_prepare()  */
    STORE(LEFT, WAIT, 1);
    STORE(LEFT, SAVED, 1);
    publishes = true;                               /* on the next stack    */
#else
    begin(LEFT, 1);
    /* kin__wait_park(); start() has run, and given handles out */
    if
    :: state_of(LOAD(LEFT, WORD)) == UNDECIDED ->
       STORE(LEFT, SAVED, 1);
       publish(LEFT, 1)
    :: else -> STORE(LEFT, SAVED, 1); make_ready(LEFT)   /* goes on         */
    fi;
#endif
    resume_fiber();
#if defined(SHARED) && !defined(BREAK_STORE)
    settle(NEXT, 1, true);
#else
    settle(NEXT, 1, false);
#endif
    assert(LOAD(NEXT, OUTCOME) == decision);
#ifdef JOIN
    if
    :: decision != RESUMED ->                       /* unlink_waiter()      */
#ifdef BREAK_LINK
       atomic { !job_locked -> linked = false }
#else
       atomic { !job_locked && published -> linked = false }
#endif
    :: else
    fi;
#endif
    alive[1] = false;
#ifndef ONCE
    begin_and_end(NEXT, 2);
#endif
    fiber_ended = true
}

/* --- Others --------------------------------------------------------------- */

#if WAKERS > 0
active [WAKERS] proctype waker()
{
    byte t = FIRST_WAKER + _pid - THREADS - 1, word, got, answer;
    bool done;

    alive[1] || fiber_ended;                        /* a handle is there    */
    wake(t, 1)
}
#endif

/* cancel_one() of job/leaves.c and kin__wait_cancel_own(): done, or not. */
inline cancel_own(t)
{
    word = LOAD(t, WORD);
    if
#ifdef BREAK_OWN_BUSY
    :: state_of(word) == PARKED && (word & OWN) ->
#else
    :: state_of(word) == PARKED && (word & OWN) && !(word & BUSY) ->
#endif
       CAS_RELAXED(t, WORD, word,                       /* acquire          */
                   word_of(generation_of(word), CANCELLED) | OWN, done)
    :: else
    fi;
    if
    :: done ->
       d_step { deciders++; assert(deciders == 1); decision = CANCELLED };
       STORE(t, WAIT, TOLD);
       STORE_RELEASE(t, OWNER, 1);                      /* the job's word   */
       make_ready(t)
    :: else
    fi
}

/* First that, and then cancel_wait() of job/job_state.c and
 * kin__wait_cancel_owned() */
active proctype canceller()
{
    byte word, got, seen, before;
    bool done, calls;

#ifdef OWNED
    cancel_own(CANCELLER);
    if
    :: done -> goto ended
    :: else
    fi;
#endif
    RMW(CANCELLER, OWNER, seen, 1);
    do
    :: LOAD_SC(CANCELLER, WORD, seen);
       if
       :: !is_open(seen) -> break
       :: else ->
          lock(CANCELLER, generation_of(seen), false);
          if
          :: got != 0 ->
             cancel_locked(CANCELLER, generation_of(seen));
             break
          :: else
          fi
       fi
    od;
#ifdef OWNED
ended:
#endif
    skip
}

#ifdef REGISTRAR
active proctype registrar()
{
    byte word, got;
    bool done;

    alive[1] || fiber_ended;
    on_cancel(REGISTRAR_, 1)
}
#endif

#ifdef LOOKER
/* kin__wait_hold(), kin__wait_let_go() */
active proctype looker()
{
    byte word, got, seen;
    bool done;

    seen = LOAD(LOOKER_, WORD);
    if
    :: state_of(seen) == PARKED ->
       lock(LOOKER_, generation_of(seen), false);
       if
       :: got != 0 -> CHECK_WAIT(LOOKER_, generation_of(got));
          assert(LOAD(LOOKER_, SAVED) == 1);
          unlock(LOOKER_)
       :: else
       fi
    :: else
    fi
}
#endif

#ifdef JOIN
inline unlock_job(t) { atomic { ALL_OUT(t) -> job_locked = false } }

/* publish_waiter() of job/join.c: on the thread that the fiber has left. */
active proctype publisher()
{
    byte word, got, answer, before;
    bool done, late, calls, open;

    publishes;
#ifdef BREAK_OPEN
    STORE(LEFT, WORD, parked_word(1));
#else
    STORE_RELEASE(LEFT, WORD, parked_word(1));
#endif
    atomic { !job_locked -> job_locked = true };
#ifndef BREAK_BARRIER
    ALL_OUT(LEFT);                                  /* the full barrier     */
#endif
    open = !job_final;
    assert(alive[1]);
    linked = open;
    published = true;
    LOAD_SC(LEFT, OWNER, late);
    unlock_job(LEFT);
    if
    :: late -> cancel(LEFT, 1)
    :: else
    fi;
    if
    :: !open -> wake(LEFT, 1)
    :: else
    fi
}

#ifndef NEVER
active proctype completer()
{
    byte word, got, answer;
    bool done, was_linked;

    atomic { !job_locked -> job_locked = true };
    job_final = true;
    was_linked = linked;
    linked = false;
    unlock_job(COMPLETER);
    if
    :: was_linked -> wake(COMPLETER, 1)
    :: else
    fi
}
#endif
#endif
