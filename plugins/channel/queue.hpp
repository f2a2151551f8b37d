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

    // Appends a copy of a term that holds nothing of its own alive, and is small.
    void push_copy(ERL_NIF_TERM term, uint64_t size);
    // The same of a binary that is small.
    void push_bytes(const unsigned char *data, size_t length, uint64_t size);
    // Appends a term of an environment, which is the queue's from now on.
    void push(ErlNifEnv *env, ERL_NIF_TERM term, uint64_t size);
    // The oldest one. There is one.
    Taken pop();
    void clear();

private:
    Segment &with_room();
    void append(Segment &segment, ErlNifEnv *own, ERL_NIF_TERM term, uint64_t size);

    Segment *first_ = nullptr;
    Segment *last_ = nullptr;
    uint64_t count_ = 0;
    uint64_t bytes_ = 0;
};

} // namespace ep::channel
