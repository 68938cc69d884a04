/* callcc.cpp -- Boost.Context's callcc: two continuations resume each other,
 * each handing over the one that it came from. */
#include "bench/float_flags.h"
#include "bench/peers/peer.h"

#include <boost/context/continuation.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <boost/version.hpp>

namespace context = boost::context;
using context::continuation;

static const int64_t trips = 50000;

static void w1(peer_ask ask)
{
    int64_t echoes = 0;
    continuation other = context::callcc(
        std::allocator_arg, context::fixedsize_stack(65536),
        [&](continuation &&caller) {
            for (caller = caller.resume();; caller = caller.resume())
                echoes++;
            return std::move(caller);
        });

    for (;;) {
        peer_next();
        float_flags_differ(ask.param);
        echoes = 0;
        int64_t begin = peer_now();

        for (int64_t i = 0; i < trips; i++)
            other = other.resume();
        peer_add("switch", "ns", peer_now() - begin, 2 * trips, echoes);
    }
}

int main(int argc, char **argv)
{
    static const peer_workload table[] = {{"W1", WARM, w1}};

    return peer_main(argc, argv,
                     {"Boost.Context callcc " BOOST_LIB_VERSION, 1,
                      "it is a switch only: no scheduler, no waiting", table,
                      PEER_COUNT(table)});
}
