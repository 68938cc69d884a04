/* dispatch/idle.pml -- the model of dispatch/wake.c, idle.c and worker.c: no CPU
 * work stays in a queue while a permit is free and everybody sleeps.
 *
 * Two permits, two workers; the thread of the second one is not started yet, or
 * is not to be had (THREADS_FAIL).  Tasks come from OUTSIDE into the shared
 * queue; while one runs, and between two, its worker may put INSIDE more into
 * its slot and ring.  One of them, any (LONG), does not end before all the
 * others have: so the other permit must come to all the rest, and a wake-up that
 * is lost is a task that never runs.  It keeps its permit meanwhile, or gives it
 * up (BLOCKS), with what is queued there.  Then nothing moves any more; the
 * monitor looks whether all has been done.
 *
 * Each access to what is shared is one step, as if memory had one order: that
 * is so for what is sequentially consistent (what a push stores, all changes of
 * state, all looks after them).  What is not is kept apart: a quiet put into
 * the slot (`quiet`) reaches the others when it likes, but before the next
 * read-modify-write of its thread; so does what BREAK_PUSH pushes (`late`).
 * A look into a queue by somebody who will look again may miss what is there.
 * The parker is a token (core/parker.pml is its model), a lock a step; a ring is
 * two counters (ring.pml), and stands for the fresh ones, too (fresh.pml).  Time: the watcher may look whenever it likes; a
 * slot is stale if nothing has changed at that permit between two looks.
 *
 * Not covered: blocking tasks and who comes for them (blocking.pml), the keeper
 * of time, a ring that is full, and the watchdog's permits.
 *
 *   RUN -DOUTSIDE=1 -DINSIDE=2 -DTHREADS_FAIL
 *   RUN -DOUTSIDE=3 -DINSIDE=0 -DTHREADS_FAIL
 *   RUN -DOUTSIDE=2 -DINSIDE=0 -DLONG
 *   RUN -DOUTSIDE=1 -DINSIDE=1 -DLONG -DBLOCKS
 *   RUN -DOUTSIDE=1 -DINSIDE=2 -DLONG
 *
 *   BREAK_PUSH     a push from outside may come after the look at the state
 *   BREAK_RELEASE  a worker looks around before its permit is free, not after
 *   BREAK_LIST     it goes on the list after it has looked around
 *   BREAK_FOUND    a searcher who has found something does not look again
 *   BREAK_UNDO     who finds nobody to wake does not look again              */
#define NONE 2                      /* no permit                             */

/* scheduler->state: changed as one */
byte free = 1, searching = 1;       /* one permit is the first worker's      */
bool watched;
#define WANTS(in_slot) (free > 0 && searching == 0 && !((in_slot) && watched))

/* The queues. */
byte count;
byte head[2], tail[2];
bool slot[2], quiet[2], held[2];
bool changed[2];                    /* tick or slot, since the last look     */
bool late;                          /* pushed from outside, seen by none     */

/* Under idle_lock, and the parkers. */
bool parked[2], granted[2], token[2], thread_runs[2];

byte done, spawned;
bool long_runs;
#define ALL (OUTSIDE + spawned)

#define is_outside (_pid == 1)
#define me         (_pid - 2)

/* This thread's stores have reached the others. */
#define OUT (permit == NONE || !quiet[permit])

active proctype memory()
{
end:
    do
    :: d_step { quiet[0] -> slot[0] = true; quiet[0] = false }
    :: d_step { quiet[1] -> slot[1] = true; quiet[1] = false }
    :: d_step { late -> count++; late = false }
    od
}

/* --- wake.c and permit.c --------------------------------------------------- */

/* kin__permit_work_visible() of one permit; at: the tail */
inline look_at_permit(p, slots)
{
    if
    :: visible
    :: !visible -> at = tail[p];
       atomic { visible = (at != head[p]); at = 0 }
    fi;
    if
    :: visible
    :: !visible -> atomic { visible = (slot[p] && (slots || !held[p])) }
    fi
}

inline look(slots)
{
    visible = (count > 0);
    look_at_permit(0, slots);
    look_at_permit(1, slots)
}

/* reserve() */
inline reserve(in_slot)
{
    if
    :: atomic { !WANTS(in_slot) -> got = false }
#ifdef BREAK_PUSH
    :: atomic { WANTS(in_slot) && OUT && !(is_outside && late) ->
#else
    :: atomic { WANTS(in_slot) && OUT ->
#endif
                free--; searching++; got = true }
    fi
}

/* wake_one() */
inline wake_one()
{
    atomic {
        if
        :: parked[0] -> parked[0] = false; granted[0] = true; token[0] = true;
           got = true
        :: parked[1] -> parked[1] = false; granted[1] = true; token[1] = true;
           got = true
#ifndef THREADS_FAIL
        :: !parked[0] && !parked[1] && !thread_runs[1] ->
           thread_runs[1] = true; got = true
#endif
        :: else -> got = false
        fi
    }
}

/* wake_searcher() */
inline wake_searcher()
{
    do
    :: wake_one();
       if
       :: got -> break
       :: else
       fi;
       atomic { OUT -> free++; searching--; visible = (searching > 0) };
#ifdef BREAK_UNDO
       break;
#endif
       if
       :: visible -> break
       :: else -> look(true)
       fi;
       if
       :: atomic { visible && (parked[0] || parked[1]) -> visible = false }
       :: else -> break
       fi;
       reserve(false);
       if
       :: got
       :: else -> break
       fi
    od;
    visible = false; got = false
}

/* kin__idle_signal() */
inline signal(in_slot)
{
    reserve(in_slot);
    if
    :: got -> wake_searcher()
    :: else
    fi
}

/* kin__idle_look_again(); wants and slots_too are those of the state after. */
inline look_again()
{
    if
    :: wants ->
       look(slots_too);
       if
       :: visible -> visible = false; signal(false)
       :: else
       fi
    :: else
    fi;
    wants = false; slots_too = false
}

#define STATE_AFTER wants = WANTS(false); slots_too = !watched

/* --- Pushing ---------------------------------------------------------------- */

active proctype outside()
{
    byte i, at, permit = NONE;
    bool got, visible;

    do
    :: i < OUTSIDE ->
#ifdef BREAK_PUSH
       atomic { !late -> late = true; i++ };
#else
       atomic { count++; i++ };
#endif
       signal(false)
    :: else -> break
    od
}

/* push_slot(), push_tail() */
inline push()
{
    if
    :: atomic { between && !slot[permit] && !quiet[permit] ->
                quiet[permit] = true; changed[permit] = true; owes = true }
    :: atomic { !between && OUT ->
                at = slot[permit]; slot[permit] = true;
                changed[permit] = true };
       if
       :: at -> atomic { at = 0; tail[permit]++ }; signal(false)
       :: else -> signal(true)
       fi
    fi
}

/* --- A worker: picking ------------------------------------------------------ */

/* kin__permit_claim() */
inline claim()
{
    if
    :: atomic { !held[0] -> held[0] = true; permit = 0 }
    :: atomic { !held[1] -> held[1] = true; permit = 1 }
    fi
}

/* kin__permit_try() */
inline permit_try(search)
{
    if
    :: atomic { free == 0 -> got = false }
    :: atomic { free > 0 && OUT ->
                free--; searching = searching + search; got = true };
       claim()
    fi
}

/* find(): from the own queue in any order, for what comes first depends on
 * streaks; and the shared one now and then before it. */
inline find()
{
    changed[permit] = true;
    if
    :: atomic { slot[permit] || quiet[permit] ->
                slot[permit] = false; quiet[permit] = false; found = true }
    :: atomic { tail[permit] != head[permit] ->
                head[permit]++; found = true }
    :: atomic { count > 0 -> count--; found = true }
    :: atomic { !slot[permit] && !quiet[permit] &&
                tail[permit] == head[permit] -> found = false }
    fi
}

/* search(): the other permit's ring, or its slot if nobody holds it, or the
 * watcher has found it stale. */
#define other (1 - permit)
inline search()
{
    if
    :: is_searcher
    :: !is_searcher ->
       if
       :: atomic { 2 * searching < 2 - free -> searching++;
                   is_searcher = true }
       :: else -> skip
       fi
    fi;
    if
    :: !is_searcher
    :: atomic { is_searcher && tail[other] != head[other] ->
                head[other]++; found = true }
    :: atomic { is_searcher && slot[other] && (stale || !held[other]) ->
                slot[other] = false; found = true }
    :: is_searcher
    fi;
    stale = false
}

/* begin(), settle(), kin__idle_found() */
inline begin()
{
    between = false;
    if
    :: owes ->
       owes = false;
       if
       :: atomic { slot[permit] || quiet[permit] ||
                   tail[permit] != head[permit] ->
                   at = (tail[permit] != head[permit]) };
          OUT;
          if
          :: at -> at = 0; signal(false)
          :: else -> signal(true)
          fi
       :: else -> skip
       fi
    :: else
    fi;
    if
    :: is_searcher ->
       atomic { OUT -> is_searcher = false; searching--; STATE_AFTER };
#ifdef BREAK_FOUND
       wants = false; slots_too = false;
#endif
       look_again()
    :: else
    fi
}

/* kin__permit_release(); was: a searcher's place that goes with it */
inline release(was)
{
    atomic { OUT -> held[permit] = false; permit = NONE };
    atomic { free++; searching = searching - was }
}

/* The long task gives its permit up: give_permit_up(), and end_slice(). */
inline block_for_long()
{
    atomic { OUT -> held[permit] = false; permit = NONE };
    atomic { free++; wants = (searching == 0); slots_too = !watched };
    look_again();
    done == ALL - 1;
    atomic { done++; between = true };
    permit_try(0)
}

/* Runs a task; some put others down, one waits for all the rest. */
inline run_task()
{
    found = false;
    do
    :: atomic { spawned < INSIDE -> spawned++ }; push()
    :: break
    od;
    if
#ifdef LONG
    :: atomic { !long_runs -> long_runs = true };
#ifdef BLOCKS
       block_for_long()
#else
       done == ALL - 1; atomic { done++; between = true }
#endif
#endif
    :: atomic { done++; between = true }
    fi;
    if
    :: atomic { permit != NONE && spawned < INSIDE &&
                !slot[permit] && !quiet[permit] -> spawned++ };
       push()
    :: true
    fi
}

/* --- A worker: parking ------------------------------------------------------ */

inline end_watch()
{
    if
    :: watching ->
       atomic { OUT -> watching = false; watched = false; STATE_AFTER };
       look_again()
    :: else
    fi
}

/* leave_list(), decline(), end_watch() */
inline resume()
{
    atomic {
        at = (!parked[me] && granted[me]);
        parked[me] = false; granted[me] = false
    }
    if
    :: at ->
       atomic { OUT -> at = 0; free++; searching--; STATE_AFTER };
       look_again()
    :: else
    fi;
    end_watch()
}

inline search_again()
{
    permit_try(1);
    if
    :: got -> is_searcher = true; resume(); got = true
    :: else
    fi
}

/* kin__permit_look() at one permit; at: anything there, or moved */
inline look_stale(p)
{
    atomic {
        if
        :: slot[p] && !changed[p] -> stale = true
        :: else
        fi;
        at = at || slot[p] || changed[p];
        changed[p] = false
    }
}

inline look_around()
{
    atomic { got = false; STATE_AFTER };
    if
    :: wants ->
       wants = false;
       look(false);
       if
       :: visible -> visible = false; slots_too = false; search_again()
       :: !visible && slots_too ->
          slots_too = false;
          look(true);
          if
          :: atomic { visible && !watched ->
                      watched = true; watching = true; visible = false };
             look_stale(0); look_stale(1);
             atomic { stale = false; at = 0 }
          :: else -> visible = false
          fi
       :: else -> slots_too = false
       fi
    :: else -> slots_too = false
    fi
}

/* watch() */
inline watch()
{
    look_stale(0); look_stale(1);
    got = false;
    if
    :: stale -> at = 0; search_again()
    :: !stale && !at -> end_watch()
    :: else -> at = 0
    fi;
    if
    :: got
    :: else -> stale = false
    fi
}

inline give_up()
{
    if
    :: permit != NONE ->
       if
       :: is_searcher -> release(1)
       :: else -> release(0)
       fi
    :: else
    fi;
    atomic { is_searcher = false; owes = false; between = false }
}

inline go_on_list() { atomic { parked[me] = true; granted[me] = false } }

/* kin__idle_park() */
inline park()
{
#ifndef BREAK_LIST
    go_on_list();
#endif
#ifdef BREAK_RELEASE
    look_around();
    if
    :: !got -> give_up()
    :: else
    fi;
#else
    give_up();
    look_around();
#endif
#ifdef BREAK_LIST
    if
    :: !got -> go_on_list()
    :: else
    fi;
#endif
    do
    :: got -> break
    :: else ->
end_sleep:
       if
       :: atomic { token[me] ->
                   token[me] = false;
                   at = (!parked[me] && granted[me]); granted[me] = false };
          if
          :: at -> at = 0; claim(); is_searcher = true; end_watch(); got = true
          :: else -> look_around()
          fi
       :: watching ->
          watch();
          if
          :: got
          :: else -> look_around()
          fi
       fi
    od;
    atomic { got = false; between = true }
}

active [2] proctype worker()
{
    byte at, permit = NONE;
    bool got, found, visible, wants, slots_too;
    bool is_searcher = true, between = true, owes, watching, stale;

    if
    :: atomic { me == 0 ->
                held[0] = true; permit = 0; thread_runs[0] = true }
    :: me == 1 ->
end_unborn:
       thread_runs[1]; claim()
    fi;
    do
    :: found = false;
       if
       :: permit != NONE ->
          find();
          if
          :: found
          :: else -> search()
          fi
       :: else
       fi;
       if
       :: found -> begin(); run_task()
       :: else -> park()
       fi
    od
}

active proctype monitor()
{
    timeout;
    assert(done == ALL)
}
