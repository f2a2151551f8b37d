// The memory of a buffer, and what looks at it.
#pragma once

#include "plugin.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace ep::channel {

// A resource, so that binaries can look at its memory. Bytes that have been written never change: only what is beyond
// them is, under the lock of its buffer or by the one who writes there.
struct Storage {
    ep_resource base;
    unsigned char *data;
    size_t capacity;
    std::atomic<uint32_t> views; // of Python; rises under the lock of its buffer
};

// A counted reference to one.
class StorageRef {
public:
    StorageRef() = default;
    // One of that capacity, uninitialised; std::bad_alloc.
    static StorageRef make(size_t capacity);
    StorageRef(const StorageRef &other) noexcept : storage_(other.storage_) {
        if (storage_ != nullptr) {
            enif_keep_resource(storage_);
        }
    }
    StorageRef(StorageRef &&other) noexcept : storage_(std::exchange(other.storage_, nullptr)) {}
    StorageRef &operator=(StorageRef other) noexcept {
        std::swap(storage_, other.storage_);
        return *this;
    }
    ~StorageRef() {
        if (storage_ != nullptr) {
            enif_release_resource(storage_);
        }
    }

    explicit operator bool() const noexcept { return storage_ != nullptr; }
    Storage *operator->() const noexcept { return storage_; }
    bool is_viewed() const noexcept { return storage_ != nullptr && storage_->views.load() > 0; }

    // A binary in `env` that looks at a part of it, and keeps it.
    ERL_NIF_TERM bytes(ErlNifEnv *env, size_t from, size_t size) const;
    // Counts as a view until the result is given to end_view. [any-thread]
    void *begin_view() const noexcept;
    static void end_view(void *view) noexcept;

private:
    explicit StorageRef(Storage *storage) noexcept : storage_(storage) {}
    Storage *storage_ = nullptr;
};

} // namespace ep::channel
