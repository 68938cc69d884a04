/* Records that some threads take and put back, while another gives what is
 * free back to the system: nobody gets one that somebody has, and whatever
 * address a record has, its generation only grows. */
#include "core/record.h"
#include "core/wait.h"
#include "tests/rounds.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

TEST_TIMEOUT(120);

enum { TAKERS = 3, MOST = 700, SEEN = 4096 };

/* What a taker sees of a record. */
struct taken {
    struct kin__runnable runnable;
    _Atomic(void *) owner;              /* NULL while it is free             */
};

/* The last that a taker knows of some addresses. */
struct seen {
    struct taken *record;
    uint64_t word;
};

static atomic_int takers;               /* that are not done                 */
static atomic_size_t given;

static struct seen *seen_at(struct seen *seen, struct taken *record)
{
    return &seen[(uintptr_t)record / KIN__RECORD_SIZE % SEEN];
}

static struct taken *take(struct seen *seen)
{
    struct taken *record = kin__record_get(kin__thread());
    struct seen *before = seen_at(seen, record);

    CHECK(record != NULL);
    CHECK_PTR(atomic_exchange(&record->owner, seen), NULL);
    if (before->record == record)
        CHECK(atomic_load(&record->runnable.wait_word) >= before->word);
    atomic_fetch_add(&record->runnable.wait_word,
                     (uint64_t)1 << KIN__GENERATION_SHIFT);
    return record;
}

static void put(struct seen *seen, struct taken *record)
{
    *seen_at(seen, record) = (struct seen){
        record, atomic_load(&record->runnable.wait_word)
    };
    CHECK_PTR(atomic_exchange(&record->owner, NULL), seen);
    kin__record_put(kin__thread(), record);
}

static void *take_and_put(void *number)
{
    struct seen *seen = calloc(SEEN, sizeof *seen);
    uint32_t random = race_seed((uint32_t)(uintptr_t)number);
    int rounds = race_rounds(RACE_ROUNDS) / MOST + 1;
    struct taken *records[MOST];

    CHECK(seen != NULL);
    for (int round = 0; round < rounds; round++) {
        int count = (int)(race_next(&random) % MOST);

        for (int i = 0; i < count; i++)
            records[i] = take(seen);
        for (int i = 0; i < count; i++)
            put(seen, records[i]);
    }
    kin__record_thread_exit(kin__thread());
    free(seen);
    atomic_fetch_sub(&takers, 1);
    return NULL;
}

static void *give_back(void *unused)
{
    while (atomic_load(&takers))
        atomic_fetch_add(&given, kin__record_trim(kin__thread()));
    atomic_fetch_add(&given, kin__record_trim(kin__thread()));
    return unused;
}

TEST(records_stay_apart_and_grow_older_while_memory_is_given_back)
{
    pthread_t threads[TAKERS + 1];

    atomic_store(&takers, TAKERS);
    for (uintptr_t i = 0; i <= TAKERS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL,
                                i ? take_and_put : give_back, (void *)i), 0);
    for (int i = 0; i <= TAKERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK(atomic_load(&given) > 0);
}

TEST_MAIN
