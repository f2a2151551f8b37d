// Python objects that Erlang holds, by number.
#pragma once

#include "ref.hpp"

#include <cstdint>
#include <mutex>
#include <vector>

namespace ep {

// One per interpreter. A number is an index and a generation, so that a handle that outlived its object finds nothing.
// All functions are called attached; none runs Python under the lock.
class Slots {
public:
    // `owner`: whose end frees it.
    uint64_t add(py::Ref object, const void *owner) {
        std::lock_guard lock{mutex_};
        uint32_t index;
        if (free_.empty()) {
            index = static_cast<uint32_t>(entries_.size());
            entries_.emplace_back();
        } else {
            index = free_.back();
            free_.pop_back();
        }
        Entry &entry = entries_[index];
        entry.object = std::move(object);
        entry.owner = owner;
        return static_cast<uint64_t>(entry.generation) << 32 | index;
    }

    // Of an object whose memory Erlang looks at: it stays when contexts end.
    uint64_t lend(py::Ref object) { return add(std::move(object), nullptr); }

    // Empty when it is gone.
    py::Ref get(uint64_t slot) {
        std::lock_guard lock{mutex_};
        Entry *entry = find(slot);
        return entry != nullptr ? entry->object.copy() : py::Ref{};
    }

    // The object, for the caller to drop: its end may run Python.
    py::Ref remove(uint64_t slot) {
        std::lock_guard lock{mutex_};
        Entry *entry = find(slot);
        return entry != nullptr ? retire(*entry, static_cast<uint32_t>(slot)) : py::Ref{};
    }

    void remove_all_of(const void *owner) {
        std::vector<py::Ref> dying;
        std::lock_guard lock{mutex_};
        for (uint32_t i = 0; i < entries_.size(); ++i) {
            if (entries_[i].object && entries_[i].owner == owner) {
                dying.push_back(retire(entries_[i], i));
            }
        }
    }

    struct Lent {
        uint64_t slot;
        PyObject *object; // whose reference is whoever asked's now
    };
    // All that are lent, before the interpreter ends.
    std::vector<Lent> take_lent() {
        std::vector<Lent> all;
        std::lock_guard lock{mutex_};
        for (uint32_t i = 0; i < entries_.size(); ++i) {
            Entry &entry = entries_[i];
            if (entry.object && entry.owner == nullptr) {
                const uint64_t slot = static_cast<uint64_t>(entry.generation) << 32 | i;
                all.push_back({slot, retire(entry, i).release()});
            }
        }
        return all;
    }

private:
    struct Entry {
        py::Ref object;
        const void *owner = nullptr;
        uint32_t generation = 1; // never 0, so that no slot number is 0
    };

    Entry *find(uint64_t slot) {
        auto index = static_cast<uint32_t>(slot);
        if (index >= entries_.size() || entries_[index].generation != slot >> 32 || !entries_[index].object) {
            return nullptr;
        }
        return &entries_[index];
    }

    py::Ref retire(Entry &entry, uint32_t index) {
        entry.generation = entry.generation == UINT32_MAX ? 1 : entry.generation + 1;
        free_.push_back(index);
        return std::move(entry.object);
    }

    std::mutex mutex_; // guards both
    std::vector<Entry> entries_;
    std::vector<uint32_t> free_;
};

} // namespace ep
