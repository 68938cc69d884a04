/* core/weak.pml -- memory for the models: weaker than the program's order.
 *
 * A thread's store goes into a buffer of its own and reaches the others when it
 * likes, also after a later one to another place; only those to one place stay
 * in order.  A thread sees its own at once.  So
 *
 *   STORE           relaxed, or a plain store that something else publishes
 *   STORE_RELEASE   leaves when all earlier ones have reached the others
 *   STORE_SC        likewise, and LOAD_SC of this thread waits for it
 *   LOAD            relaxed or acquire
 *   RMW_RELAXED     acts on what all see; other stores may still be under way
 *   RMW             with release or stronger: those before it are not
 *
 * Loads happen in the order of the program, and a read-modify-write before all
 * that follows: what an acquire keeps in order is therefore not tried by itself;
 * where it matters a model has a breakage with the loads exchanged by hand.
 * Promela's own variables are not part of the memory: they are locals, what a
 * lock guards, and the books of the test.
 *
 * The file that includes this says THREADS.  A place is a number above 0, and
 * PLACES is above them all; and VALUE, if a byte does not hold what is in one. */
#define NOWHERE 0
#ifndef VALUE
#define VALUE byte
#endif

typedef stores {
    byte at[3];                     /* oldest first; NOWHERE: none           */
    VALUE value[3];
    bool sc[3]
};

stores out[THREADS];
VALUE mem[PLACES];

#define HAS_ROOM(t)   (out[t].at[2] == NOWHERE)
#define ALL_OUT(t)    (out[t].at[0] == NOWHERE)
#define IS_OUT(t, l)  (out[t].at[0] != (l) && out[t].at[1] != (l) \
                       && out[t].at[2] != (l))
#define SC_OUT(t)     (!out[t].sc[0] && !out[t].sc[1] && !out[t].sc[2])

#define LOAD(t, l)                                                       \
    (out[t].at[2] == (l) -> out[t].value[2] :                            \
     (out[t].at[1] == (l) -> out[t].value[1] :                           \
      (out[t].at[0] == (l) -> out[t].value[0] : mem[l])))

inline LOAD_SC(t, l, into) { atomic { SC_OUT(t) -> into = LOAD(t, l) } }

inline append_store(t, l, v, strong)
{
    if
    :: out[t].at[0] == NOWHERE ->
       out[t].at[0] = l; out[t].value[0] = v; out[t].sc[0] = strong
    :: out[t].at[0] != NOWHERE && out[t].at[1] == NOWHERE ->
       out[t].at[1] = l; out[t].value[1] = v; out[t].sc[1] = strong
    :: else ->
       out[t].at[2] = l; out[t].value[2] = v; out[t].sc[2] = strong
    fi
}

inline STORE(t, l, v)
{
    atomic { HAS_ROOM(t) -> append_store(t, l, v, false) }
}
inline STORE_RELEASE(t, l, v)
{
    atomic { ALL_OUT(t) -> append_store(t, l, v, false) }
}
inline STORE_SC(t, l, v) { atomic { ALL_OUT(t) -> append_store(t, l, v, true) } }

/* before: what was there; after: an expression, in which before may be. */
inline RMW(t, l, before, after)
{
    atomic { ALL_OUT(t) -> before = mem[l]; mem[l] = after }
}
inline RMW_RELAXED(t, l, before, after)
{
    atomic { IS_OUT(t, l) -> before = mem[l]; mem[l] = after }
}

/* done: whether it was `expected`. */
inline CAS(t, l, expected, desired, done)
{
    atomic {
        ALL_OUT(t) -> done = (mem[l] == expected);
        if
        :: done -> mem[l] = desired
        :: else
        fi
    }
}
inline CAS_RELAXED(t, l, expected, desired, done)
{
    atomic {
        IS_OUT(t, l) -> done = (mem[l] == expected);
        if
        :: done -> mem[l] = desired
        :: else
        fi
    }
}

inline close_gap(t, i)
{
    out[t].at[i] = out[t].at[i + 1];
    out[t].value[i] = out[t].value[i + 1];
    out[t].sc[i] = out[t].sc[i + 1]
}

inline leave_buffer(t, i)
{
    mem[out[t].at[i]] = out[t].value[i];
    if
    :: i == 0 -> close_gap(t, 0); close_gap(t, 1)
    :: i == 1 -> close_gap(t, 1)
    :: else
    fi;
    out[t].at[2] = NOWHERE; out[t].value[2] = 0; out[t].sc[2] = false
}

#define FIRST_FOR_ITS_PLACE(i)                                           \
    (out[_pid].at[i] != NOWHERE && out[_pid].at[i] != out[_pid].at[0]    \
     && (i == 1 || out[_pid].at[i] != out[_pid].at[1]))

/* Thread t's stores reach the others.  The first processes, so t is _pid. */
active [THREADS] proctype memory()
{
end:
    do
    :: d_step { out[_pid].at[0] != NOWHERE -> leave_buffer(_pid, 0) }
    :: d_step { FIRST_FOR_ITS_PLACE(1) -> leave_buffer(_pid, 1) }
    :: d_step { FIRST_FOR_ITS_PLACE(2) -> leave_buffer(_pid, 2) }
    od
}
