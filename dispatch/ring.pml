/* dispatch/ring.pml -- the model of dispatch/ring.h: under thieves every task is
 * had once, and whoever has it can read it.
 *
 * The owner puts tasks into the ring and the slot of his permit, in whatever
 * way, and may take after each; then he gives the permit up.  A thief steals
 * into a ring of its own, takes from there, steals slots, and takes the permit
 * over when it is free; another one does no more than steal, from both, so
 * often.  The ring has as few places as let a thief take more than one, and so
 * few that they are used again.
 *
 * Checked: a task is had once, by somebody who sees what is in it (both in
 * have()); at the end all have been had (the monitor).  Not covered: counters
 * that wrap at 2^32, and with it a thief that sleeps while so many tasks go
 * through; kin__ring_fill(), a put of several.
 *
 *   RUN -DTASKS=3 -DOTHER_STEALS=1
 *   RUN -DTASKS=5 -DOTHER_STEALS=0
 *   RUN -DTASKS=4 -DOTHER_STEALS=1
 *
 *   BREAK_PUT          put: tail is stored relaxed
 *   BREAK_TAKE         take: head is stored, not exchanged
 *   BREAK_STEAL_EARLY  steal: a task is read before tail (tail not acquired)
 *   BREAK_STEAL_LATE   steal: tasks are read after head has moved (no release)
 *   BREAK_STEAL_STORE  steal: the tail of the thief's ring is stored relaxed
 *   BREAK_SLOT_QUIET   slot_put_quietly: the slot is stored relaxed
 *   BREAK_SLOT_STEAL   slot_steal: NULL is stored, not exchanged
 *   BREAK_PERMIT       the permit is given up by a relaxed store            */
#define THREADS 3
#define FILLED  3
#define SIZE    4

#define HEAD(r)     (1 + (r) * 2)   /* of thread r's ring                    */
#define TAIL(r)     (2 + (r) * 2)
#define SLOT        7
#define PERMIT      8               /* 1: free; else somebody's              */
#define AT(r, i)    (9 + (r) * SIZE + (i) % SIZE)
#define INSIDE(t)   (20 + (t))      /* of task t, counted from 1             */
#define PLACES      (INSIDE(TASKS) + 1)
#include "../core/weak.pml"

#define OWNER 0

byte had;                           /* a bit for each task                   */
bool filled, owner_ended, thief_ended, other_ended;

inline have(t, task)
{
    d_step {
        assert(task >= 1 && task <= TASKS);
        assert(!(had & (1 << (task - 1))));
        assert(LOAD(t, INSIDE(task)) == 1);
        had = had | (1 << (task - 1));
        task = 0
    }
}

/* kin__ring_put(), by thread t into ring r. */
inline ring_put(t, r, task, done)
{
    head = LOAD(t, HEAD(r));                        /* acquire              */
    tail = LOAD(t, TAIL(r));
    done = (tail - head < SIZE);
    if
    :: done ->
       STORE(t, AT(r, tail), task);
#ifdef BREAK_PUT
       STORE(t, TAIL(r), tail + 1)
#else
       STORE_SC(t, TAIL(r), tail + 1)
#endif
    :: else
    fi;
    head = 0; tail = 0
}

/* kin__ring_take(): the relaxed read of the task may come after the exchange. */
inline ring_take(t, r, task)
{
    task = 0;
    tail = LOAD(t, TAIL(r));
    do
    :: head = LOAD(t, HEAD(r));
       if
       :: head == tail -> break
       :: else
       fi;
       late = false;
       if
       :: task = LOAD(t, AT(r, head))
       :: late = true
       fi;
#ifdef BREAK_TAKE
       STORE(t, HEAD(r), head + 1); ok = true;
#else
       CAS_RELAXED(t, HEAD(r), head, head + 1, ok);
#endif
       if
       :: ok && late -> task = LOAD(t, AT(r, head)); break
       :: ok && !late -> break
       :: else -> task = 0
       fi
    od;
    head = 0; tail = 0; late = false; ok = false
}

/* kin__ring_steal() by thread t, from ring r into its own, which is empty. */
inline ring_steal(t, r, task)
{
    task = 0;
    base = LOAD(t, TAIL(t));
    head = LOAD(t, HEAD(r));                        /* acquire              */
#ifdef BREAK_STEAL_EARLY
    task = LOAD(t, AT(r, head));
#endif
    n = LOAD(t, TAIL(r)) - head;                    /* acquire              */
    if
    :: n == 0 || n > SIZE -> task = 0
    :: else ->
       n = n - n / 2;
#ifndef BREAK_STEAL_LATE
#ifndef BREAK_STEAL_EARLY
       task = LOAD(t, AT(r, head));
#endif
       if
       :: n > 1 ->
          assert(n == 2);
          second = LOAD(t, AT(r, head + 1));
          STORE(t, AT(t, base), second)
       :: else
       fi;
#endif
#ifdef BREAK_STEAL_STORE
       CAS_RELAXED(t, HEAD(r), head, head + n, ok);
#else
       CAS(t, HEAD(r), head, head + n, ok);         /* acq_rel              */
#endif
#ifdef BREAK_STEAL_LATE
       task = LOAD(t, AT(r, head));
       if
       :: n > 1 ->
          second = LOAD(t, AT(r, head + 1));
          STORE(t, AT(t, base), second)
       :: else
       fi;
#endif
       if
       :: ok && n > 1 ->
#ifdef BREAK_STEAL_STORE
          STORE(t, TAIL(t), base + 1)
#else
          STORE_SC(t, TAIL(t), base + 1)
#endif
       :: ok && n == 1
       :: !ok -> task = 0
       fi
    fi;
    base = 0; head = 0; n = 0; second = 0; ok = false
}

/* kin__slot_peek(), kin__slot_steal() */
inline slot_steal(t, task)
{
    LOAD_SC(t, SLOT, task);
    if
    :: task != 0 ->
#ifdef BREAK_SLOT_STEAL
       ok = (LOAD(t, SLOT) == task);
       if
       :: ok -> STORE(t, SLOT, 0)
       :: else
       fi;
#else
       CAS_RELAXED(t, SLOT, task, 0, ok);           /* acquire              */
#endif
       if
       :: ok -> ok = false
       :: else -> task = 0
       fi
    :: else
    fi
}

/* kin__slot_take() */
inline slot_take(t, task)
{
    task = LOAD(t, SLOT);
    if
    :: task != 0 -> RMW_RELAXED(t, SLOT, task, 0)
    :: else
    fi
}

inline have_if_any(t, task)
{
    if
    :: task != 0 -> have(t, task)
    :: else
    fi
}

/* Puts it into the ring; if that is full, takes one first: as kin__ring_spill()
 * does it, for half of the ring. */
inline put_or_spill(t, task)
{
    ring_put(t, 0, task, ok);
    if
    :: ok -> task = 0; ok = false
    :: else ->
       spilled = task;
       ring_take(t, 0, task);
       have_if_any(t, task);
       task = spilled; spilled = 0;
       ring_put(t, 0, task, ok);
       assert(ok);
       task = 0; ok = false
    fi
}

/* The first FILLED tasks are there at the beginning. */
inline fill()
{
    d_step {
        do
        :: next < FILLED ->
           mem[AT(0, next)] = next + 1; next++; mem[INSIDE(next)] = 1
        :: else -> break
        od;
        mem[TAIL(0)] = FILLED;
        filled = true
    }
}

active proctype owner()
{
    byte head, tail, task, spilled, next;
    bool ok, late;

    fill();
    do
    :: next == TASKS -> break
    :: else ->
       next++;
       STORE(OWNER, INSIDE(next), 1);
       if
       :: task = next; put_or_spill(OWNER, task)
       :: RMW(OWNER, SLOT, task, next);             /* kin__slot_put()      */
          if
          :: task != 0 -> put_or_spill(OWNER, task)
          :: else
          fi
       :: LOAD(OWNER, SLOT) == 0 ->                 /* ..._put_quietly()    */
#ifdef BREAK_SLOT_QUIET
          STORE(OWNER, SLOT, next)
#else
          STORE_RELEASE(OWNER, SLOT, next)
#endif
       fi;
       if
       :: ring_take(OWNER, 0, task); have_if_any(OWNER, task)
       :: slot_take(OWNER, task); have_if_any(OWNER, task)
       :: true
       fi
    od;
    /* kin__permit_release() */
#ifdef BREAK_PERMIT
    STORE(OWNER, PERMIT, 1)
#else
    STORE_RELEASE(OWNER, PERMIT, 1)
#endif
    owner_ended = true
}

/* One steal from ring r, and all that follows from it. */
inline steal_and_have(t, r)
{
    ring_steal(t, r, task);
    do
    :: task != 0 -> have(t, task); ring_take(t, t, task)
    :: else -> break
    od
}

active proctype thief()
{
    byte head, tail, task, second, base, n;
    bool ok, late;

    filled;
    do
    :: steal_and_have(1, 0)
    :: slot_steal(1, task); have_if_any(1, task)
    :: CAS_RELAXED(1, PERMIT, 1, 2, ok);            /* grab(): acquire      */
       if
       :: ok -> break
       :: else
       fi
    od;
    do
    :: ring_take(1, 0, task);
       if
       :: task != 0 -> have(1, task)
       :: else -> break
       fi
    od;
    slot_take(1, task);
    have_if_any(1, task);
    thief_ended = true
}

active proctype other_thief()
{
    byte head, tail, task, second, base, n, steals = OTHER_STEALS;
    bool ok, late;

    filled;
    do
    :: steals > 0 ->
       steals--;
       if
       :: steal_and_have(2, 0)
       :: steal_and_have(2, 1)
       :: slot_steal(2, task); have_if_any(2, task)
       fi
    :: break
    od;
    other_ended = true
}

active proctype monitor()
{
    owner_ended && thief_ended && other_ended;
    assert(had == (1 << TASKS) - 1)
}
