// Requests in every phase there is, reached by the edges that lead to it.
#pragma once

#include "plain/request_state.hpp"

#include "catch.hpp"

inline constexpr ep::Phase all_phases[] = {ep::Phase::free,      ep::Phase::queued,  ep::Phase::running,
                                           ep::Phase::calling,   ep::Phase::replied, ep::Phase::cancelling,
                                           ep::Phase::cancelled, ep::Phase::parked};

inline const char *name_of(ep::Phase phase) {
    static constexpr const char *names[] = {"free",    "queued",     "running",   "calling",
                                            "replied", "cancelling", "cancelled", "parked"};
    return names[static_cast<int>(phase)];
}

// From `free` to a phase.
inline void bring_to(ep::RequestState &state, ep::Phase phase) {
    if (phase == ep::Phase::free) {
        return;
    }
    state.begin();
    switch (phase) {
    case ep::Phase::running: state.start(); break;
    case ep::Phase::calling: state.start() && state.begin_call(); break;
    case ep::Phase::parked: state.start() && state.begin_call() && state.park(); break;
    case ep::Phase::replied: state.start() && state.reply(); break;
    case ep::Phase::cancelling: state.cancel(state.generation()); break;
    case ep::Phase::cancelled:
        state.cancel(state.generation());
        state.settle();
        break;
    default: break;
    }
}
