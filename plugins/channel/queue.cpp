#include "queue.hpp"

#include "plugin.hpp"

#include <mutex>
#include <utility>

namespace ep::channel {

class Segment {
public:
    static constexpr uint32_t capacity = 64;
    // How much may have been copied into the environment before it is emptied at the next opportunity.
    static constexpr uint64_t large = 16 * 1024;

    struct Entry {
        ERL_NIF_TERM term;
        ErlNifEnv *own; // nullptr: the term is in the segment's environment
        uint64_t size;
        uint64_t work;
    };

    Segment() : env(enif_alloc_env()) {}
    ~Segment() { enif_free_env(env); }

    // Whoever takes a message holds it, and the queue does.
    std::atomic<uint32_t> owners{1};
    ErlNifEnv *env;
    uint32_t first = 0; // guarded by the channel's lock, as all that follows
    uint32_t last = 0;
    uint64_t copied = 0;
    Segment *next = nullptr;
    Entry entries[capacity];
};

namespace {

// Segments that are ready for use, for all channels.
class SegmentPool {
public:
    Segment *take() {
        {
            std::lock_guard lock{mutex_};
            if (count_ > 0) {
                return segments_[--count_];
            }
        }
        return new Segment;
    }
    void give(Segment *segment) {
        enif_clear_env(segment->env);
        segment->first = segment->last = 0;
        segment->copied = 0;
        segment->next = nullptr;
        segment->owners.store(1);
        {
            std::lock_guard lock{mutex_};
            if (count_ < capacity) {
                segments_[count_++] = segment;
                return;
            }
        }
        delete segment;
    }

private:
    static constexpr size_t capacity = 64;
    std::mutex mutex_;
    Segment *segments_[capacity]{}; // guarded by mutex_
    size_t count_ = 0;              // guarded by mutex_
};

SegmentPool &pool() {
    static auto *pool = new SegmentPool; // lives as long as the VM
    return *pool;
}

void release(Segment *segment) {
    if (segment->owners.fetch_sub(1) == 1) {
        pool().give(segment);
    }
}

void release_segment(void *segment) {
    release(static_cast<Segment *>(segment));
}

void release_env(void *env) {
    host().env_give(static_cast<ErlNifEnv *>(env));
}

} // namespace

Segment &Queue::with_room() {
    if (last_ == nullptr) {
        first_ = last_ = pool().take();
    } else if (last_->last == Segment::capacity) {
        Segment *fresh = pool().take();
        last_->next = fresh;
        last_ = fresh;
    }
    return *last_;
}

ErlNifEnv *Queue::shared_env(uint64_t size) {
    Segment &segment = with_room();
    segment.copied += size + 1; // an empty binary takes memory, too
    return segment.env;
}

uint64_t Queue::next_work() const noexcept {
    return first_->entries[first_->first].work;
}

void Queue::append(ErlNifEnv *own, ERL_NIF_TERM term, uint64_t size, uint64_t work) {
    Segment &segment = with_room();
    segment.entries[segment.last++] = {term, own, size, work};
    ++count_;
    bytes_ += size;
}

Taken Queue::pop() {
    Segment *segment = first_;
    const Segment::Entry entry = segment->entries[segment->first++];
    --count_;
    bytes_ -= entry.size;
    Taken taken{entry.term, entry.size, entry.own, release_env, entry.own};
    if (entry.own == nullptr) {
        segment->owners.fetch_add(1, std::memory_order_relaxed); // the queue's own is there
        taken.owner = segment;
        taken.give_back = release_segment;
    }
    if (segment->first < segment->last) {
        return taken;
    }
    if (segment->last == Segment::capacity || segment->copied >= Segment::large) {
        first_ = std::exchange(segment->next, nullptr);
        if (first_ == nullptr) {
            last_ = nullptr;
        }
        release(segment);
    } else if (segment->copied == 0) {
        segment->first = segment->last = 0; // nothing is in its environment, nor taken from there
    }
    return taken;
}

void Queue::clear() {
    while (count_ > 0) {
        Taken taken = pop();
        taken.give_back(taken.owner);
    }
    if (first_ != nullptr) {
        release(std::exchange(first_, nullptr));
        last_ = nullptr;
    }
}

} // namespace ep::channel
