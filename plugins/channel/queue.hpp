// Messages in line, each a term, where making room and memory for one costs next to nothing and does not depend on how
// many there are.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <erl_nif.h>
#include <utility>

namespace ep::channel {

// An environment, and places, for some messages in a row: used again when all of them have been taken and given back.
class Segment;

// A message that was taken out. The term may be looked at until give_back, on any thread.
struct Taken {
    ERL_NIF_TERM term = 0;
    uint64_t size = 0;
    void *owner = nullptr;
    void (*give_back)(void *owner) = nullptr;
    ErlNifEnv *own = nullptr; // the owner, where that is an environment with nothing else in it
};

// One lock, the channel's, guards it all; but not what was taken out of it.
class Queue {
public:
    Queue() = default;
    ~Queue() { clear(); }
    Queue(Queue &&other) noexcept
        : first_(std::exchange(other.first_, nullptr)),
          last_(std::exchange(other.last_, nullptr)),
          count_(std::exchange(other.count_, 0)),
          bytes_(std::exchange(other.bytes_, 0)) {}
    Queue &operator=(Queue &&) = delete;
    Queue(const Queue &) = delete;
    Queue &operator=(const Queue &) = delete;

    bool empty() const noexcept { return count_ == 0; }
    uint64_t count() const noexcept { return count_; }
    uint64_t bytes() const noexcept { return bytes_; }

    // Appends a term that `copy`, called with an environment, makes there: small, and keeping nothing else alive.
    // `work`: of how many terms it consists.
    template <class Copy> void push_copy(uint64_t size, uint64_t work, Copy copy) {
        append(nullptr, copy(shared_env(size)), size, work);
    }
    // Appends a term of an environment, which is the queue's from now on.
    void push(ErlNifEnv *env, ERL_NIF_TERM term, uint64_t size, uint64_t work) { append(env, term, size, work); }
    // The work of the oldest one. There is one.
    uint64_t next_work() const noexcept;
    // The oldest one. There is one.
    Taken pop();
    void clear();

private:
    ErlNifEnv *shared_env(uint64_t size); // of the segment that append() puts the next one into
    void append(ErlNifEnv *own, ERL_NIF_TERM term, uint64_t size, uint64_t work);
    Segment &with_room();

    Segment *first_ = nullptr;
    Segment *last_ = nullptr;
    uint64_t count_ = 0;
    uint64_t bytes_ = 0;
};

} // namespace ep::channel
