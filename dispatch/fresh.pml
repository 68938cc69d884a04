/* dispatch/fresh.pml -- the model of dispatch/fresh.h: under thieves every task is
 * had once, and whoever has it can read it.
 *
 * The owner puts tasks and may take the newest after each; then he gives the
 * permit up.  A thief steals into a queue of its own, takes from there, and
 * takes the permit over when it is free; another one does no more than steal,
 * from both, so often.  There are as few places as let a thief take more than
 * one, and so few that they are used again.
 *
 * Checked: a task is had once, by somebody who sees what is in it (both in
 * have()); at the end all have been had (the monitor).  Not covered: puts that
 * wrap at 2^40, and with it a thief that sleeps while so many tasks go through;
 * that the permit publishes what its holder stored, which ring.pml shows and
 * nothing here depends on: all that the owner does is an exchange.
 *
 *   RUN -DTASKS=3 -DOTHER_STEALS=1
 *   RUN -DTASKS=5 -DOTHER_STEALS=0
 *   RUN -DTASKS=4 -DOTHER_STEALS=1
 *
 *   BREAK_PUT          put: the word is exchanged relaxed
 *   BREAK_COUNT        put: puts are not counted
 *   BREAK_TAKE         take: the word is stored, not exchanged
 *   BREAK_STEAL_EARLY  take_oldest: a task is read before the word
 *   BREAK_STEAL_LATE   take_oldest: tasks are read after the word has moved
 *   BREAK_STEAL_STORE  steal: the word of the thief's own is stored relaxed */
#define THREADS 3
#define FILLED  3
#define SIZE    4
#define ENDS    8                   /* what a place counts to                */

#define VALUE       short
#define WORD(r)     (1 + (r))       /* of thread r's queue                   */
#define PERMIT      4               /* 1: free; else somebody's              */
#define AT(r, i)    (5 + (r) * SIZE + (i) % SIZE)
#define INSIDE(t)   (16 + (t))      /* of task t, counted from 1             */
#define PLACES      (INSIDE(TASKS) + 1)
#include "../core/weak.pml"

#define OWNER 0

#define NEWEST(w)   ((w) % ENDS)
#define OLDEST(w)   ((w) / ENDS % ENDS)
#define COUNT(w)    ((NEWEST(w) + ENDS - OLDEST(w)) % ENDS)
#define MOVED(w, oldest, newest) \
    ((w) / (ENDS * ENDS) * ENDS * ENDS + (oldest) % ENDS * ENDS \
     + (newest) % ENDS)
#ifdef BREAK_COUNT
#define ONE_PUT     0
#else
#define ONE_PUT     (ENDS * ENDS)
#endif

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

inline have_if_any(t, task)
{
    if
    :: task != 0 -> have(t, task)
    :: else
    fi
}

/* kin__fresh_put(), by thread t into r. */
inline fresh_put(t, r, task, done)
{
    word = LOAD(t, WORD(r));                        /* acquire              */
    done = (COUNT(word) < SIZE);
    if
    :: done ->
       STORE(t, AT(r, NEWEST(word)), task);
       do
#ifdef BREAK_PUT
       :: CAS_RELAXED(t, WORD(r), word,
#else
       :: CAS(t, WORD(r), word,
#endif
              MOVED(word, OLDEST(word), NEWEST(word) + 1) + ONE_PUT, ok);
          if
          :: ok -> break
          :: else -> word = LOAD(t, WORD(r))
          fi
       od
    :: else
    fi;
    word = 0; ok = false
}

/* kin__fresh_take() */
inline fresh_take(t, r, task)
{
    task = 0;
    word = LOAD(t, WORD(r));
    do
    :: COUNT(word) == 0 -> break
    :: else ->
#ifdef BREAK_TAKE
       STORE(t, WORD(r), MOVED(word, OLDEST(word), NEWEST(word) + ENDS - 1));
       ok = true;
#else
       CAS_RELAXED(t, WORD(r), word,                /* acquire              */
                   MOVED(word, OLDEST(word), NEWEST(word) + ENDS - 1), ok);
#endif
       if
       :: ok -> task = LOAD(t, AT(r, NEWEST(word) + ENDS - 1)); break
       :: else -> word = LOAD(t, WORD(r))
       fi
    od;
    word = 0; ok = false
}

inline read_oldest(t, r)
{
    task = LOAD(t, AT(r, OLDEST(word)));
    if
    :: n > 1 -> second = LOAD(t, AT(r, OLDEST(word) + 1))
    :: else
    fi
}

/* kin__fresh_steal(), with kin__fresh_take_oldest(), by thread t from r into
 * its own, which is empty. */
inline fresh_steal(t, r, task)
{
    task = 0;
#ifdef BREAK_STEAL_EARLY
    word = LOAD(t, WORD(r)); n = 2;
    read_oldest(t, r);
#endif
    word = LOAD(t, WORD(r));                        /* acquire              */
    do
    :: COUNT(word) == 0 -> n = 0; task = 0; break
    :: else ->
       n = COUNT(word) - COUNT(word) / 2;
       assert(n <= 2);
#if !defined(BREAK_STEAL_LATE) && !defined(BREAK_STEAL_EARLY)
       read_oldest(t, r);
#endif
       CAS(t, WORD(r), word,                        /* acq_rel              */
           MOVED(word, OLDEST(word) + n, NEWEST(word)), ok);
       if
       :: ok ->
#ifdef BREAK_STEAL_LATE
          read_oldest(t, r);
#endif
          break
       :: else -> word = LOAD(t, WORD(r))
       fi
    od;
    if
    :: n > 1 ->
       word = LOAD(t, WORD(t));
       STORE(t, AT(t, NEWEST(word)), second);
#ifdef BREAK_STEAL_STORE
       STORE(t, WORD(t),
#else
       STORE_SC(t, WORD(t),
#endif
                MOVED(word, OLDEST(word), NEWEST(word) + 1) + ONE_PUT)
    :: else
    fi;
    word = 0; n = 0; second = 0; ok = false
}

/* Puts it; if there is no room, takes one first, as kin__fresh_spill() does it
 * for half of them. */
inline put_or_spill(t, task)
{
    fresh_put(t, 0, task, done);
    if
    :: done -> task = 0
    :: else ->
       spilled = task;
       fresh_take(t, 0, task);
       have_if_any(t, task);
       task = spilled; spilled = 0;
       fresh_put(t, 0, task, done);
       assert(done);
       task = 0
    fi;
    done = false
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
        mem[WORD(0)] = FILLED;
        filled = true
    }
}

active proctype owner()
{
    short word;
    byte task, spilled, next;
    bool ok, done;

    fill();
    do
    :: next == TASKS -> break
    :: else ->
       do
       :: fresh_take(OWNER, 0, task); have_if_any(OWNER, task)
       :: break
       od;
       next++;
       STORE(OWNER, INSIDE(next), 1);
       task = next;
       put_or_spill(OWNER, task)
    od;
    STORE_RELEASE(OWNER, PERMIT, 1);                /* kin__permit_release() */
    owner_ended = true
}

/* One steal from r, and all that follows from it. */
inline steal_and_have(t, r)
{
    fresh_steal(t, r, task);
    do
    :: task != 0 -> have(t, task); fresh_take(t, t, task)
    :: else -> break
    od
}

active proctype thief()
{
    short word;
    byte task, second, n;
    bool ok;

    filled;
    do
    :: steal_and_have(1, 0)
    :: CAS_RELAXED(1, PERMIT, 1, 2, ok);            /* grab(): acquire      */
       if
       :: ok -> break
       :: else
       fi
    od;
    do
    :: fresh_take(1, 0, task);
       if
       :: task != 0 -> have(1, task)
       :: else -> break
       fi
    od;
    thief_ended = true
}

active proctype other_thief()
{
    short word;
    byte task, second, n, steals = OTHER_STEALS;
    bool ok;

    filled;
    do
    :: steals > 0 ->
       steals--;
       if
       :: steal_and_have(2, 0)
       :: steal_and_have(2, 1)
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
