// Every edge of a request's state, from every phase.
#include "request_phases.hpp"

#include <functional>
#include <map>

using ep::Cancelled;
using ep::Phase;
using ep::RequestState;

namespace {

// An edge exists from the phases of `to`, and nowhere else.
struct Edge {
    const char *name;
    std::function<bool(RequestState &)> take;
    std::map<Phase, Phase> to;
};

const Edge edges[] = {
    {"start", [](RequestState &state) { return state.start(); }, {{Phase::queued, Phase::running}}},
    {"begin_call", [](RequestState &state) { return state.begin_call(); }, {{Phase::running, Phase::calling}}},
    {"end_call",
     [](RequestState &state) { return state.end_call(state.generation()); },
     {{Phase::calling, Phase::running}}},
    {"reply",
     [](RequestState &state) { return state.reply(); },
     {{Phase::queued, Phase::replied}, {Phase::running, Phase::replied}}},
    {"park", [](RequestState &state) { return state.park(); }, {{Phase::calling, Phase::parked}}},
    {"cancel",
     [](RequestState &state) { return state.cancel(state.generation()) < Cancelled::parked; },
     {{Phase::queued, Phase::cancelling}, {Phase::running, Phase::cancelling}, {Phase::calling, Phase::cancelling}}},
    {"end_call of an earlier use", [](RequestState &state) { return state.end_call(state.generation() - 1); }, {}},
    {"cancel of an earlier use",
     [](RequestState &state) { return state.cancel(state.generation() - 1) != Cancelled::too_late; },
     {}},
};

} // namespace

TEST_CASE("an edge is taken from its phases and changes nothing in others") {
    for (const Edge &edge : edges) {
        for (Phase phase : all_phases) {
            INFO(edge.name << " from " << name_of(phase));
            RequestState state;
            bring_to(state, phase);
            REQUIRE(state.phase() == phase);
            const auto generation = state.generation();
            const auto to = edge.to.find(phase);
            CHECK(edge.take(state) == (to != edge.to.end()));
            CHECK(name_of(state.phase()) == name_of(to != edge.to.end() ? to->second : phase));
            CHECK(state.generation() == generation);
        }
    }
}

TEST_CASE("cancelling says how far the request had come") {
    const std::map<Phase, Cancelled> expected{
        {Phase::free, Cancelled::too_late},      {Phase::queued, Cancelled::queued},
        {Phase::running, Cancelled::running},    {Phase::calling, Cancelled::calling},
        {Phase::replied, Cancelled::too_late},   {Phase::cancelling, Cancelled::too_late},
        {Phase::cancelled, Cancelled::too_late}, {Phase::parked, Cancelled::parked},
    };
    for (const auto &[phase, result] : expected) {
        INFO(name_of(phase));
        RequestState state;
        bring_to(state, phase);
        CHECK(state.cancel(state.generation()) == result);
    }
}

TEST_CASE("a parked request is known as such, by the use it was parked in") {
    for (Phase phase : all_phases) {
        INFO(name_of(phase));
        RequestState state;
        bring_to(state, phase);
        CHECK(state.parked(state.generation()) == (phase == Phase::parked));
        CHECK_FALSE(state.parked(state.generation() - 1));
        CHECK_FALSE(state.parked(state.generation() + 1));
    }
}

TEST_CASE("a cancelled request stays cancelled until it is recycled") {
    RequestState state;
    bring_to(state, Phase::cancelling);
    state.settle();
    for (const Edge &edge : edges) {
        CHECK_FALSE(edge.take(state));
    }
    CHECK(state.phase() == Phase::cancelled);
}

TEST_CASE("recycling frees a request from whatever it was, under a new generation") {
    for (Phase phase : all_phases) {
        if (phase == Phase::cancelling) {
            continue; // somebody else's turn: see the races
        }
        INFO(name_of(phase));
        RequestState state;
        bring_to(state, phase);
        const auto generation = state.generation();
        state.recycle();
        CHECK(state.phase() == Phase::free);
        CHECK(state.generation() == generation + 1);
    }
}

TEST_CASE("a handle of an earlier use does nothing to the next") {
    RequestState state;
    state.begin();
    const auto earlier = state.generation();
    state.start();
    state.reply();
    state.recycle();
    bring_to(state, Phase::calling);
    CHECK(state.cancel(earlier) == Cancelled::too_late);
    CHECK_FALSE(state.end_call(earlier));
    CHECK(state.phase() == Phase::calling);
}
