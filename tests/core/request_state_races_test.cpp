// Two parties want different things of one request at the same time: exactly one gets its way, and both know which.
#include "request_phases.hpp"
#include "together.hpp"

#include <atomic>
#include <optional>
#include <type_traits>

using ep::Cancelled;
using ep::Phase;
using ep::RequestState;

namespace {

constexpr int rounds = 4000;

// A request in `phase`, over and over, on which two parties act at once. Counts the rounds that did not go as `fair`
// says.
template <class First, class Second, class Fair> int unfair_rounds(Phase phase, First first, Second second, Fair fair) {
    std::optional<RequestState> state;
    std::invoke_result_t<First, RequestState &> first_result{};
    std::invoke_result_t<Second, RequestState &> second_result{};
    int unfair = 0;
    duel(
        rounds,
        [&] {
            state.emplace();
            bring_to(*state, phase);
        },
        [&] { first_result = first(*state); }, [&] { second_result = second(*state); },
        [&] { unfair += fair(first_result, second_result, state->phase()) ? 0 : 1; });
    return unfair;
}

Cancelled cancel(RequestState &state) {
    const Cancelled result = state.cancel(state.generation());
    if (result < Cancelled::parked) {
        state.settle();
    }
    return result;
}

bool start(RequestState &state) {
    return state.start();
}
bool begin_call(RequestState &state) {
    return state.begin_call();
}
bool end_call(RequestState &state) {
    return state.end_call(state.generation());
}
bool reply(RequestState &state) {
    return state.reply();
}
bool park(RequestState &state) {
    return state.park();
}

} // namespace

TEST_CASE("cancelling races the start: it never runs, or is cancelled running") {
    CHECK(unfair_rounds(Phase::queued, cancel, start, [](Cancelled was, bool started, Phase phase) {
              return was == (started ? Cancelled::running : Cancelled::queued) && phase == Phase::cancelled;
          }) == 0);
}

TEST_CASE("cancelling races the reply: one of both") {
    const Phase phase = GENERATE(Phase::queued, Phase::running);
    CHECK(unfair_rounds(phase, cancel, reply, [](Cancelled was, bool replied, Phase after) {
              return replied ? was == Cancelled::too_late && after == Phase::replied
                             : was != Cancelled::too_late && after == Phase::cancelled;
          }) == 0);
}

TEST_CASE("cancelling races the end of a request in the middle of a callback: one of both") {
    CHECK(unfair_rounds(Phase::calling, cancel, park, [](Cancelled was, bool parked, Phase after) {
              return parked ? was == Cancelled::parked && after == Phase::parked
                            : was == Cancelled::calling && after == Phase::cancelled;
          }) == 0);
}

TEST_CASE("cancelling races a callback: whoever cancels knows whether to expect one") {
    CHECK(unfair_rounds(Phase::running, cancel, begin_call, [](Cancelled was, bool called, Phase phase) {
              return was == (called ? Cancelled::calling : Cancelled::running) && phase == Phase::cancelled;
          }) == 0);
}

TEST_CASE("cancelling races the end of a callback: whoever cancels knows whether it was answered") {
    CHECK(unfair_rounds(Phase::calling, cancel, end_call, [](Cancelled was, bool ended, Phase phase) {
              return was == (ended ? Cancelled::running : Cancelled::calling) && phase == Phase::cancelled;
          }) == 0);
}

TEST_CASE("two who cancel: one does") {
    const Phase phase = GENERATE(Phase::queued, Phase::running, Phase::calling);
    CHECK(unfair_rounds(phase, cancel, cancel, [](Cancelled one, Cancelled other, Phase after) {
              return (one == Cancelled::too_late) != (other == Cancelled::too_late) && after == Phase::cancelled;
          }) == 0);
}

TEST_CASE("two who reply: one does") {
    const Phase phase = GENERATE(Phase::queued, Phase::running);
    CHECK(unfair_rounds(phase, reply, reply, [](bool one, bool other, Phase after) {
              return one != other && after == Phase::replied;
          }) == 0);
}

TEST_CASE("the end of a request races that of its callback: one of both") {
    CHECK(unfair_rounds(Phase::calling, park, end_call, [](bool parked, bool ended, Phase phase) {
              return parked != ended && phase == (parked ? Phase::parked : Phase::running);
          }) == 0);
}

TEST_CASE("a reply races the start: it is sent in any case") {
    CHECK(unfair_rounds(Phase::queued, reply, start,
                        [](bool replied, bool, Phase phase) { return replied && phase == Phase::replied; }) == 0);
}

TEST_CASE("recycling waits for whoever is cancelling") {
    for (int round = 0; round < 50; ++round) {
        RequestState state;
        bring_to(state, Phase::cancelling);
        const auto generation = state.generation();
        std::atomic<bool> recycling{false}, recycled{false};
        std::jthread owner{[&] {
            recycling.store(true);
            state.recycle();
            recycled.store(true);
        }};
        while (!recycling.load()) {
            std::this_thread::yield();
        }
        for (int i = 0; i < 20; ++i) {
            std::this_thread::yield();
        }
        CHECK_FALSE(recycled.load());
        CHECK(state.phase() == Phase::cancelling);
        CHECK(state.generation() == generation);
        state.settle();
        owner.join();
        CHECK(state.phase() == Phase::free);
        CHECK(state.generation() == generation + 1);
    }
}

TEST_CASE("recycling races cancelling: the next use of the memory is left alone") {
    const Phase phase = GENERATE(Phase::queued, Phase::running, Phase::calling, Phase::replied, Phase::parked);
    auto recycle_and_begin = [](RequestState &state) {
        state.recycle();
        state.begin();
        return true;
    };
    // The canceller means the first use, as a handle does.
    auto cancel_first_use = [](RequestState &state) {
        const Cancelled result = state.cancel(1);
        if (result < Cancelled::parked) {
            state.settle();
        }
        return result;
    };
    CHECK(unfair_rounds(phase, cancel_first_use, recycle_and_begin,
                        [](Cancelled, bool, Phase after) { return after == Phase::queued; }) == 0);
}

TEST_CASE("a whole life under constant cancelling of earlier uses") {
    RequestState state;
    std::atomic<bool> over{false};
    int cancelled = 0, disturbed = 0;
    std::jthread canceller{[&] {
        while (!over.load()) {
            // Current when it is read, of the past by the time it is used, mostly.
            const auto generation = state.generation();
            std::this_thread::yield();
            if (state.cancel(generation - 1) != Cancelled::too_late) {
                ++cancelled;
                state.settle();
            }
        }
    }};
    for (int life = 0; life < 20000; ++life) {
        state.begin();
        bool sound = state.start() && state.begin_call() && state.end_call(state.generation()) && state.reply();
        disturbed += sound ? 0 : 1;
        state.recycle();
    }
    over.store(true);
    canceller.join();
    CHECK(cancelled == 0);
    CHECK(disturbed == 0);
}
