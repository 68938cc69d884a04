/* boost-fiber.cpp -- Boost.Fiber: on one thread its round robin, with stacks
 * from a pool; on two its work stealing, with stacks from malloc, for its pool
 * is not for several threads.  Neither guards a stack.  Workers without work
 * sleep (work_stealing's second argument), or they would disturb all others. */
#include "bench/peers/foreign.h"

#include <boost/fiber/all.hpp>
#include <boost/version.hpp>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace fibers = boost::fibers;
namespace this_fiber = boost::this_fiber;
using fibers::fiber;

static const long most_stacks = 100000;
static bool one_thread = true;

static fibers::pooled_fixedsize_stack &stack_pool()
{
    static fibers::pooled_fixedsize_stack pool;

    return pool;
}

template <class Body> static fiber launch(Body &&body)
{
    if (one_thread)
        return fiber(fibers::launch::post, std::allocator_arg, stack_pool(),
                     std::forward<Body>(body));
    return fiber(fibers::launch::post, std::forward<Body>(body));
}

static void join_all(std::vector<fiber> &children)
{
    for (fiber &child : children)
        child.join();
    children.clear();
}

/* Turns this thread, and others, into workers of a pool; runs body there. */
template <class Body> static void on_workers(int threads, Body &&body)
{
    if (threads == 1)
        return body();
    one_thread = false;
    for (int i = 1; i < threads; i++)
        std::thread([threads] {
            fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(
                threads, true);
            fibers::promise<void> never;
            never.get_future().wait();
        }).detach();
    fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(threads,
                                                                  true);
    launch(body).join();
}

static void limit(long n)
{
    if (n > most_stacks)
        peer_cannot("10 KB for each stack, beside the other programs");
}

/* ------------------------------------------------------------- W2 to W4 */

static void w2(peer_ask ask)
{
    const long n = ask.param, times = n < 10000 ? 100000 / n : 10;
    std::vector<fiber> children;

    limit(n);
    for (;;) {
        int64_t begin = 0, end = 0, sum = 0;

        peer_next();
        for (long i = 0; i < n; i++)
            children.push_back(launch([&] {
                this_fiber::yield();
                if (!begin)
                    begin = peer_now();
                for (long j = 1; j < times; j++)
                    this_fiber::yield();
                sum += times;
                if (sum == n * times)
                    end = peer_now();
            }));
        join_all(children);
        peer_add("yield", "ns", end - begin, n * times, sum);
    }
}

static void w3one(peer_ask)
{
    for (;;) {
        int64_t sum = 0;

        peer_next();
        int64_t begin = peer_now();
        for (long i = 0; i < 1000; i++) {
            long slot;

            launch([i, &slot] { slot = i; }).join();
            sum += slot;
        }
        peer_add("fiber", "ns", peer_now() - begin, 1000, sum);
    }
}

static void w3scope(peer_ask ask)
{
    limit(ask.param);
    on_workers(ask.threads, [n = ask.param] {
        std::vector<long> slots(n);
        std::vector<fiber> children;

        children.reserve(n);
        for (;;) {
            int64_t sum = 0;

            peer_next();
            int64_t begin = peer_now();
            for (long i = 0; i < n; i++)
                children.push_back(launch([i, &slots] { slots[i] = i; }));
            join_all(children);
            for (long slot : slots)
                sum += slot;
            peer_add("fiber", "ns", peer_now() - begin, n, sum);
        }
    });
}

static long sum_of_leaves(long first, long leaves);

static fibers::future<long> launch_node(long first, long leaves)
{
    if (one_thread)
        return fibers::async(fibers::launch::dispatch, std::allocator_arg,
                             stack_pool(), sum_of_leaves, first, leaves);
    return fibers::async(fibers::launch::dispatch, sum_of_leaves, first,
                         leaves);
}

static long sum_of_leaves(long first, long leaves)
{
    std::array<fibers::future<long>, 10> children;
    long sum = 0;

    if (leaves == 1)
        return first;
    for (long i = 0; i < 10; i++)
        children[i] = launch_node(first + i * (leaves / 10), leaves / 10);
    for (auto &child : children)
        sum += child.get();
    return sum;
}

static void w4(peer_ask ask)
{
    on_workers(ask.threads, [leaves = ask.param] {
        for (;;) {
            peer_next();
            int64_t begin = peer_now();
            int64_t sum = launch_node(0, leaves).get();

            peer_add("tree", "ms", peer_now() - begin, 1, sum);
        }
    });
}

/* -------------------------------------------------------------------- W5 */

using channel = fibers::unbuffered_channel<long>;

static void echo(channel &to, channel &fro)
{
    for (;;)
        fro.push(to.value_pop() + 1);
}

static void play(channel &to, channel &fro)
{
    for (;;) {
        int64_t sum = 0;

        peer_next();
        int64_t begin = peer_now();
        for (long i = 0; i < 1000; i++) {
            to.push(i);
            sum += fro.value_pop();
        }
        peer_add("trip", "ns", peer_now() - begin, 1000, sum);
    }
}

static void w5pool(peer_ask ask)
{
    on_workers(ask.threads, [] {
        channel to, fro;

        launch([&] { echo(to, fro); }).detach();
        play(to, fro);
    });
}

static void w5loops(peer_ask)
{
    channel to, fro;

    std::thread([&] { echo(to, fro); }).detach();
    play(to, fro);
}

/* ------------------------------------------------- W7, MEM, IDLE and W8 */

static void w7(peer_ask ask)
{
    const long n = ask.param;
    std::vector<fiber> children(n);
    fibers::mutex lock;
    fibers::condition_variable changed;
    bool go_on = false;
    int64_t parked = 0, ended = 0;

    for (;;) {
        peer_next();
        int64_t before = peer_resident(), begin = peer_now();

        for (long i = 0; i < n; i++)
            children[i] = fiber([&] {
                peer_touch_stack();
                std::unique_lock<fibers::mutex> locked(lock);
                parked++;
                changed.wait(locked, [&] { return go_on; });
                ended++;
            });
        while (parked < n)
            this_fiber::yield();
        int64_t created = peer_now() - begin;
        int64_t grown = peer_resident() - before;

        begin = peer_now();
        go_on = true;
        changed.notify_all();
        join_all(children);
        peer_add("wake", "ns", peer_now() - begin, n, ended);
        peer_add("create", "ns", created, n, ended);
        peer_show("resident", "bytes", (double)grown / n, ended);
    }
}

static void mem(peer_ask ask)
{
    std::vector<fiber> children(ask.param);
    int64_t ran = 0;

    for (;;) {
        peer_next();
        int64_t before = peer_resident();

        for (fiber &child : children)
            child = fiber([&] { ran++; });
        int64_t grown = peer_resident() - before;

        join_all(children);
        peer_show("resident", "bytes", (double)grown / ask.param, ran);
    }
}

static void idle(peer_ask ask)
{
    on_workers(ask.threads, [seconds = ask.param] {
        launch([] {}).join();
        peer_next();
        int64_t before = peer_cpu();

        this_fiber::sleep_for(std::chrono::seconds(seconds));
        peer_add("cpu", "s", peer_cpu() - before, 1, seconds);
        peer_next();
    });
}

static int64_t sleepers(long n, int64_t &slept)
{
    std::vector<fiber> children(n);
    int64_t before = peer_cpu();
    uint32_t x = 1;

    slept = 0;
    for (fiber &child : children) {
        int ms = peer_sleep_ms(&x);

        child = launch([ms, &slept] {
            this_fiber::sleep_for(std::chrono::milliseconds(ms));
            slept += ms;
        });
    }
    join_all(children);
    return peer_cpu() - before;
}

static void w8sleep(peer_ask ask)
{
    for (;;) {
        int64_t slept;

        peer_next();
        int64_t used = sleepers(ask.param, slept);

        peer_add("first", "s", used, 1, slept);
        used = sleepers(ask.param, slept);
        peer_add("warm", "s", used, 1, slept);
    }
}

static void w8late(peer_ask ask)
{
    if (ask.param)
        launch([] {
            for (;;) {
                peer_compute(10000);
                this_fiber::yield();
            }
        }).detach();
    for (;;) {
        int64_t late[100];

        peer_next();
        for (int64_t &one : late) {
            int64_t begin = peer_now();

            this_fiber::sleep_for(std::chrono::milliseconds(1));
            one = peer_now() - begin - 1000000;
        }
        peer_show_late(late, 100);
    }
}

/* -------------------------------------------------------- W9, W10 and W14 */

/* A worker that other threads hand functions to. */
static void w9block(peer_ask)
{
    using work = fibers::packaged_task<long()>;
    fibers::buffered_channel<work> todo(16);

    std::thread([&] {
        for (work &next : todo)
            next();
    }).detach();
    for (;;) {
        int64_t sum = 0;

        peer_next();
        int64_t begin = peer_now();
        for (long i = 0; i < 1000; i++) {
            work body([i] { return i; });
            auto result = body.get_future();

            todo.push(std::move(body));
            sum += result.get();
        }
        peer_add("trip", "ns", peer_now() - begin, 1000, sum);
    }
}

enum { WAITERS = 100, DEFERREDS = 10, LAUNCHERS = 100, LAUNCHES = 100 };

struct deferred {
    fibers::promise<long> promise;
    fibers::shared_future<long> value{promise.get_future()};
    std::atomic<int> waiting{0};
};

static void w10resume(peer_ask ask)
{
    on_workers(ask.threads, [] {
        std::vector<fiber> waiters;

        for (;;) {
            std::array<deferred, DEFERREDS> all;
            std::atomic<int64_t> sum{0};

            peer_next();
            for (int i = 0; i < WAITERS; i++)
                waiters.push_back(launch([&] {
                    for (deferred &one : all) {
                        one.waiting++;
                        sum += one.value.get();
                    }
                }));
            int64_t begin = 0;

            for (int i = 0; i < DEFERREDS; i++) {
                while (all[i].waiting < WAITERS)
                    this_fiber::yield();
                begin = i == 0 ? peer_now() : begin;
                all[i].promise.set_value(i + 1);
            }
            join_all(waiters);
            peer_add("wake", "ns", peer_now() - begin, WAITERS * DEFERREDS,
                     sum);
        }
    });
}

/* Counts those in it; the last one to leave tells. */
struct scope {
    std::atomic<long> inside{1};
    fibers::promise<void> empty;

    void leave()
    {
        if (--inside == 0)
            empty.set_value();
    }
};

static void w10launch(peer_ask ask)
{
    on_workers(ask.threads, [] {
        std::vector<long> slots(LAUNCHERS * LAUNCHES);

        for (;;) {
            auto all = std::make_shared<scope>();
            int64_t sum = 0;

            peer_next();
            int64_t begin = peer_now();
            for (long i = 0; i < LAUNCHERS; i++) {
                all->inside++;
                launch([&slots, all, i] {
                    for (long j = i * LAUNCHES; j < (i + 1) * LAUNCHES; j++) {
                        all->inside++;
                        launch([&slots, all, j] {
                            slots[j] = j;
                            all->leave();
                        }).detach();
                    }
                    all->leave();
                }).detach();
            }
            all->leave();
            all->empty.get_future().wait();
            for (long slot : slots)
                sum += slot;
            peer_add("launch", "ns", peer_now() - begin, slots.size(), sum);
        }
    });
}

static std::vector<fibers::promise<void>> answers;

static void answer(long number)
{
    answers[number].set_value();
}

/* Fibers 0 to n - 1 wait for an answer each; returns when the last has it. */
static int64_t await_answers(long n, void (*ask)(void), int64_t &sum)
{
    std::vector<fiber> waiters;
    std::atomic<long> waiting{0}, answered{0};
    std::atomic<int64_t> end{0};

    sum = 0;
    answers = std::vector<fibers::promise<void>>(n);
    for (long i = 0; i < n; i++)
        waiters.push_back(launch([&, i] {
            waiting++;
            answers[i].get_future().wait();
            __atomic_add_fetch(&sum, i, __ATOMIC_RELAXED);
            if (++answered == n)
                end = peer_now();
        }));
    while (waiting < n)
        this_fiber::yield();
    ask();
    join_all(waiters);
    return end;
}

static void callbacks()
{
    foreign_start(answer);
    for (;;) {
        int64_t wakes[FOREIGN_IDLE], sum, none;

        peer_next();
        int64_t end = await_answers(FOREIGN_BUSY, foreign_busy, sum);

        peer_add("busy", "ns", end - foreign.begin, FOREIGN_BUSY, sum);
        for (int64_t &wake : wakes) {
            end = await_answers(1, foreign_idle, none);
            wake = end - foreign.begin;
        }
        peer_sort(wakes, FOREIGN_IDLE);
        peer_show("idle", "us", (double)wakes[FOREIGN_IDLE / 2] / 1e3,
                  FOREIGN_IDLE);
    }
}

static void w14main(peer_ask)
{
    callbacks();
}

static void w14default(peer_ask ask)
{
    on_workers(ask.threads, callbacks);
}

int main(int argc, char **argv)
{
    static const peer_workload table[] = {
        {"W2", WARM, w2},
        {"W3one", WARM, w3one},
        {"W3scope", WARM, w3scope},
        {"W4", WARM, w4},
        {"W5one", WARM, w5pool},
        {"W5pool", WARM, w5pool},
        {"W5loops", WARM, w5loops},
        {"W7", FRESH, w7},
        {"W8sleep", FRESH, w8sleep},
        {"W8late", ONCE, w8late},
        {"W9block", WARM, w9block},
        {"W10resume", WARM, w10resume},
        {"W10launch", WARM, w10launch},
        {"W14main", WARM, w14main},
        {"W14default", WARM, w14default},
        {"MEM", FRESH, mem},
        {"IDLE", FRESH, idle},
    };

    return peer_main(argc, argv,
                     {"Boost.Fiber " BOOST_LIB_VERSION, 2,
                      "it has no cancellation, no timeout of a block, and "
                      "no hop to another dispatcher",
                      table, PEER_COUNT(table)});
}
