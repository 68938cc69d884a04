/* dispatch/blocking.pml -- the model of dispatch/blocking.c, with what idle.c and
 * wake.c have to do with it: no blocking task stays in its queue while a worker
 * sleeps.
 *
 * TASKS are pushed from outside; one of them, if INSIDE, pushes another from its
 * slice, and one more between two slices, for which its worker comes by itself.
 * Before it comes it may find something to run in place, once.  Two workers; the
 * thread of the second one may be started, or is not to be had: either way each
 * time anew.  A worker that sleeps may once leave the list by itself, for CPU
 * work, and the second one may once end.  LONG has none of these three, but the
 * slice in place of the first worker does not end before all the tasks have.
 *
 * All is under one lock or another, so each section is a step; what a worker
 * sees without the lock (count_of() in kin__blocking_take) it may as well not
 * see.  Checked: in the end nothing is in the queue, no seeker's place is left.
 *
 *   RUN -DTASKS=2 -DINSIDE=1 -DLONG
 *   RUN -DTASKS=1 -DINSIDE=1
 *   RUN -DTASKS=2 -DINSIDE=0
 *
 *   BREAK_CREATE   who has got no thread does not look whether one has parked
 *   BREAK_PARK     who parks does not look for tasks without a seeker
 *   BREAK_SETTLE   a seeker that runs something else keeps its place
 *   BREAK_STOP     it gives it up, and does not look whether one is needed
 *   BREAK_DECLINE  who has left the list by itself keeps the place it was given
 *   BREAK_TAKE     a seeker that finds nothing keeps its place                */

byte count, seekers, done, pushed;  /* the first two under blocking.lock     */
bool parked[2], granted[2], token[2], runs[2];  /* the first two: idle_lock  */

#define me (_pid - 1)
#ifdef LONG
#define MAY_RUN_IN_PLACE (me == 0)
#else
#define MAY_RUN_IN_PLACE true
#endif

#define ALL (TASKS + 2 * INSIDE)

/* wake_one(): got; 2 stands for kin__worker_create(), which may fail. */
inline wake_one()
{
    atomic {
        if
        :: parked[0] -> parked[0] = false; granted[0] = true; who = 0
        :: parked[1] -> parked[1] = false; granted[1] = true; who = 1
        :: else -> who = 2
        fi
    }
    if
    :: who < 2 -> token[who] = true; got = true
    :: atomic { who == 2 && !runs[1] -> runs[1] = true; got = true }
#ifdef LONG
    :: who == 2 && runs[1] -> got = false
#else
    :: who == 2 -> got = false
#endif
    fi;
    who = 0
}

/* kin__idle_wake_seeker() */
inline wake_seeker()
{
    do
    :: wake_one();
       if
       :: got -> break
       :: else
       fi;
       seekers--;
#ifdef BREAK_CREATE
       break;
#endif
       if
       :: !(parked[0] || parked[1]) -> break
       :: else
       fi;
       if
       :: atomic { count > seekers -> seekers++ }
       :: else -> break
       fi
    od;
    got = false
}

/* kin__blocking_push() from outside a worker, or from a slice */
inline push()
{
    atomic {
        count++;
        needed = (count > seekers);
        seekers = seekers + needed
    }
    if
    :: needed -> needed = false; wake_seeker()
    :: else
    fi
}

/* the same between two tasks */
inline push_between()
{
    atomic {
        count++;
        needed = (count > seekers);
        seekers = seekers + needed
    }
    if
    :: needed && !owes -> owes = true; needed = false
    :: needed && owes -> needed = false; wake_seeker()
    :: else
    fi
}

/* kin__blocking_stop_seeking() */
inline stop_seeking()
{
    atomic {
        seekers--;
#ifndef BREAK_STOP
        needed = (count > seekers);
        seekers = seekers + needed
#endif
    }
    if
    :: needed -> needed = false; wake_seeker()
    :: else
    fi
}

active proctype outside()
{
    byte i;
    byte who;
    bool got, needed;

    do
    :: i < TASKS -> i++; push()
    :: else -> break
    od
}

inline run_task()
{
    found = false;
    if
    :: atomic { pushed == 0 && INSIDE > 0 -> pushed = 1 };
       push();
       done++;
       push_between()
    :: else -> done++
    fi
}

/* find(): true if there was a task. */
inline find()
{
    if
    :: owes ->
       owes = false;
       atomic {
#ifdef BREAK_TAKE
           found = (count > 0);
           seekers = seekers - found;
#else
           seekers--;
           found = (count > 0);
#endif
           count = count - found
       }
    :: else
    fi;
    if
    :: found
    :: atomic { !found && count > 0 -> count--; found = true }
    :: !found                       /* not looked at, or not seen           */
    fi
}

/* What runs in place comes before what it seeks: begin_in_place(), settle() */
inline run_in_place()
{
#ifndef BREAK_SETTLE
    if
    :: owes -> owes = false; stop_seeking()
    :: else
    fi;
#else
    owes = false;
#endif
#ifdef LONG
    done == ALL
#endif
}

/* leave_list(), decline() */
inline leave()
{
    atomic {
        was = (!parked[me] && granted[me]);
        parked[me] = false; granted[me] = false
    }
    if
    :: was -> was = false;
#ifndef BREAK_DECLINE
       stop_seeking()
#endif
    :: else
    fi
}

/* look_around(): true if it is a seeker now. */
inline look_around()
{
#ifdef BREAK_PARK
    skip;
#else
    if
    :: atomic { count > seekers -> seekers++; owes = true }; leave()
    :: else
    fi
#endif
}

inline park()
{
    atomic { parked[me] = true; granted[me] = false };
    look_around();
    do
    :: owes -> break
    :: else ->
end_sleep:
       if
       :: token[me] ->
          token[me] = false;
          atomic { owes = (!parked[me] && granted[me]); granted[me] = false };
          if
          :: owes -> break
          :: else -> look_around()
          fi
#ifndef LONG
       :: !left -> left = true; leave(); break      /* search_again()       */
       :: atomic { !ended && me == 1 && parked[1] ->
                   ended = true; parked[1] = false; runs[1] = false };
end_unborn:
          atomic { runs[1] -> owes = true };
          break
#endif
       fi
    od
}

active [2] proctype worker()
{
    byte who;
    bool got, needed, found, owes, was, left, ended, in_place;

    if
    :: atomic { me == 0 -> runs[0] = true }
    :: me == 1 ->
end_not_started:
       atomic { runs[1] -> owes = true }
    fi;
    do
    :: if
       :: !in_place && MAY_RUN_IN_PLACE -> in_place = true; run_in_place()
       :: true
       fi;
       find();
       if
       :: found -> run_task()
       :: else -> park()
       fi
    od
}

active proctype monitor()
{
    timeout;
    assert(done == ALL);
    assert(seekers == 0 && count == 0)
}
