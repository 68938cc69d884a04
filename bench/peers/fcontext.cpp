/* fcontext.cpp -- Boost.Context's jump_fcontext: two contexts jump to each
 * other.  It is the switch alone; what runs on the contexts is up to others. */
#include "bench/float_flags.h"
#include "bench/peers/peer.h"

#include <boost/context/detail/fcontext.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <boost/version.hpp>

namespace context = boost::context;
using context::detail::jump_fcontext;
using context::detail::transfer_t;

static const int64_t trips = 50000;

static void echo(transfer_t from)
{
    for (;;)
        from = jump_fcontext(from.fctx, (char *)from.data + 1);
}

static void w1(peer_ask ask)
{
    auto stack = context::fixedsize_stack(65536).allocate();
    void *there = context::detail::make_fcontext(stack.sp, stack.size, echo);

    for (;;) {
        peer_next();
        float_flags_differ(ask.param);
        int64_t begin = peer_now();
        transfer_t last = {there, nullptr};

        for (int64_t i = 0; i < trips; i++)
            last = jump_fcontext(last.fctx, last.data);
        peer_add("switch", "ns", peer_now() - begin, 2 * trips,
                 (intptr_t)last.data);
        there = last.fctx;
    }
}

int main(int argc, char **argv)
{
    static const peer_workload table[] = {{"W1", WARM, w1}};

    return peer_main(argc, argv,
                     {"Boost.Context fcontext " BOOST_LIB_VERSION, 1,
                      "it is a switch only: no scheduler, no waiting", table,
                      PEER_COUNT(table)});
}
