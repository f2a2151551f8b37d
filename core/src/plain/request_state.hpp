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
    cancelled,  // the caller gave it up: nothing is sent any more
    parked      // over, while its caller runs a callback for it: the caller learns how when it answers
};

// What became of cancel(). After parked and too_late the request is as it was; otherwise settle() has to follow.
enum class Cancelled : uint8_t { queued, running, calling, parked, too_late };

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
        uint64_t word = word_.load();
        for (;;) {
            if (static_cast<Phase>(word & 0xff) == Phase::cancelling) {
                std::this_thread::yield();
                word = word_.load();
            } else if (word_.compare_exchange_weak(word, make((word >> phase_bits) + 1, Phase::free))) {
                return;
            }
        }
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
    // queued or running -> replied: whoever gets true sends the answer. Not from `calling`: the function that runs then
    // may look at everything in its process's mailbox.
    bool reply() noexcept {
        uint64_t word = word_.load();
        for (;;) {
            const auto phase = static_cast<Phase>(word & 0xff);
            if (phase != Phase::queued && phase != Phase::running) {
                return false;
            }
            if (word_.compare_exchange_weak(word, make(word >> phase_bits, Phase::replied))) {
                return true;
            }
        }
    }
    // calling -> parked; false when the caller has answered meanwhile, or cancelled. The context thread, which must not
    // touch the request after it: it belongs to the callback then.
    bool park() noexcept { return edge(Phase::calling, Phase::parked); }
    // Whether it was parked, by the same use of the memory. Whoever answers the callback, or destroys it.
    bool parked(uint64_t generation) const noexcept { return word_.load() == make(generation, Phase::parked); }

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
            case Phase::parked: return Cancelled::parked;
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
