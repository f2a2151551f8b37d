// Objects that are used again and never given back to the system, found by a small number.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>

namespace ep {

// T has a public uint32_t member `index`, set here, and keeps its own resources between uses. Memory is stable: a
// pointer to an object that was recycled still points to a T. Any thread.
template <class T> class Pool {
public:
    static constexpr uint32_t chunk_size = 256;
    static constexpr uint32_t chunk_count = 16384; // 4 million objects
    static constexpr uint32_t none = UINT32_MAX;

    // nullptr when all 4 million are in use.
    T *take() noexcept {
        uint64_t head = free_.load();
        for (;;) {
            auto index = static_cast<uint32_t>(head);
            if (index == none) {
                if (T *fresh = grow()) {
                    live_.fetch_add(1, std::memory_order_relaxed); // a statistic
                    return fresh;
                }
                return nullptr;
            }
            uint32_t next = entry(index).next.load(std::memory_order_relaxed); // may be stale: then the tag differs
            if (free_.compare_exchange_weak(head, tagged(head, next))) {
                live_.fetch_add(1, std::memory_order_relaxed);
                return &entry(index).value;
            }
        }
    }

    void give(T *object) noexcept {
        live_.fetch_sub(1, std::memory_order_relaxed);
        push_free(object->index);
    }

    // nullptr when no object ever had that number.
    T *at(uint32_t index) noexcept {
        return index < size_.load(std::memory_order_acquire) ? &entry(index).value : nullptr;
    }

    uint64_t live() const noexcept { return live_.load(std::memory_order_relaxed); }

private:
    struct Entry {
        T value;
        std::atomic<uint32_t> next{none};
    };
    using Chunk = std::array<Entry, chunk_size>;

    // The upper half counts changes, so that a head that came back is told from one that never left.
    static uint64_t tagged(uint64_t old_head, uint32_t index) noexcept { return ((old_head >> 32) + 1) << 32 | index; }

    Entry &entry(uint32_t index) noexcept {
        return (*chunks_[index / chunk_size].load(std::memory_order_acquire))[index % chunk_size];
    }

    void push_free(uint32_t index) noexcept {
        uint64_t head = free_.load();
        do {
            entry(index).next.store(static_cast<uint32_t>(head), std::memory_order_relaxed); // published by the swap
        } while (!free_.compare_exchange_weak(head, tagged(head, index)));
    }

    T *grow() noexcept {
        std::lock_guard lock{growing_};
        uint32_t size = size_.load();
        if (size == chunk_size * chunk_count) {
            return nullptr;
        }
        auto *chunk = new (std::nothrow) Chunk;
        if (chunk == nullptr) {
            return nullptr;
        }
        for (uint32_t i = 0; i < chunk_size; ++i) {
            (*chunk)[i].value.index = size + i;
        }
        chunks_[size / chunk_size].store(chunk, std::memory_order_release);
        size_.store(size + chunk_size, std::memory_order_release);
        for (uint32_t i = chunk_size - 1; i > 0; --i) {
            push_free(size + i);
        }
        return &(*chunk)[0].value;
    }

    std::atomic<uint64_t> free_{none};
    std::atomic<uint32_t> size_{0};
    std::atomic<uint64_t> live_{0};
    std::array<std::atomic<Chunk *>, chunk_count> chunks_{};
    std::mutex growing_; // held while a chunk is added
};

} // namespace ep
