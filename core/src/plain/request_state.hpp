// What a request can be, and the edges between. Each edge is one compare-and-swap, so that of two parties that want
// to end a request exactly one does.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace ep {

enum class Phase : uint8_t {
    free,       // in the pool
    queued,     // waits for a slot of the semaphore or in an inbox
    running,    // its Python code runs
    calling,    // its caller was, or is being, sent a callback and has not answered
    replied,    // its answer was, or is being, sent
    cancelling, // being given up: whoever does that is still looking at the request, for some instructions
    cancelled   // the caller gave it up: nothing is sent any more
};

// What became of cancel().
enum class Cancelled : uint8_t { queued, running, calling, too_late };

// A generation and a phase in one word. The generation makes a handle of an earlier use of the same memory harmless.
class RequestState {
public:
    static constexpr int phase_bits = 8;

    uint64_t generation() const noexcept { return word_.load() >> phase_bits; }
    Phase phase() const noexcept { return static_cast<Phase>(word_.load() & 0xff); }

    // free -> queued. The owner of the memory.
    void begin() noexcept { word_.store(make(generation(), Phase::queued)); }
    // any -> free, with a new generation, once nobody is in the middle of cancelling. The owner of the memory.
    void recycle() noexcept {
        while (phase() == Phase::cancelling) {
            std::this_thread::yield();
        }
        word_.store(make(generation() + 1, Phase::free));
    }

    // queued -> running; false when cancelled. The context thread.
    bool start() noexcept { return edge(Phase::queued, Phase::running); }
    // running -> calling; false when cancelled or answered. The context thread.
    bool begin_call() noexcept { return edge(Phase::running, Phase::calling); }
    // calling -> running; false when cancelled or over. The caller when it answers, so that from then on it may cancel
    // without expecting a callback in its mailbox; the context thread when nobody will answer.
    bool end_call(uint64_t generation) noexcept {
        uint64_t word = make(generation, Phase::calling);
        return word_.compare_exchange_strong(word, make(generation, Phase::running));
    }
    // queued or running -> replied: whoever gets true sends the answer. Not from `calling`: two senders' messages may
    // overtake each other, and the caller has to see the callback first.
    bool reply() noexcept { return edge(Phase::running, Phase::replied) || edge(Phase::queued, Phase::replied); }
    // The same for the context thread, which sent the callback itself.
    bool reply_in_order() noexcept { return reply() || edge(Phase::calling, Phase::replied) || reply(); }

    // Any live phase -> cancelling. The caller, who names the generation it means; unless it was too late, the request
    // stays what it is until the caller says settle().
    Cancelled cancel(uint64_t generation) noexcept {
        uint64_t word = word_.load();
        for (;;) {
            if (word >> phase_bits != generation) {
                return Cancelled::too_late;
            }
            Cancelled result{};
            switch (static_cast<Phase>(word & 0xff)) {
            case Phase::queued: result = Cancelled::queued; break;
            case Phase::running: result = Cancelled::running; break;
            case Phase::calling: result = Cancelled::calling; break;
            default: return Cancelled::too_late;
            }
            if (word_.compare_exchange_weak(word, make(generation, Phase::cancelling))) {
                return result;
            }
        }
    }

    // cancelling -> cancelled.
    void settle() noexcept { word_.store(make(generation(), Phase::cancelled)); }

private:
    static constexpr uint64_t make(uint64_t generation, Phase phase) noexcept {
        return generation << phase_bits | static_cast<uint64_t>(phase);
    }

    bool edge(Phase from, Phase to) noexcept {
        uint64_t word = word_.load();
        while (static_cast<Phase>(word & 0xff) == from) {
            if (word_.compare_exchange_weak(word, make(word >> phase_bits, to))) {
                return true;
            }
        }
        return false;
    }

    std::atomic<uint64_t> word_{make(1, Phase::free)};
};

} // namespace ep
