// Values and counters by key, for many threads at once.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

namespace ep {

// Keys are any bytes. A value is never changed, only replaced, so what a reader holds stays as it is. Every function may
// be called by any thread; each does what it does at one moment, but for keys() and clear(), which go over the shards one
// after the other.
template <class Value> class Dictionary {
public:
    using Shared = std::shared_ptr<const Value>;
    using Entry = std::variant<int64_t, Shared>; // a counter or a value
    enum class Stored : uint8_t { ok, full, absent };
    enum class Added : uint8_t { ok, full, absent, no_counter, out_of_range };

    std::optional<Entry> find(std::string_view key) const {
        const Shard &shard = shard_of(key);
        std::shared_lock lock{shard.mutex};
        auto found = shard.entries.find(key);
        if (found == shard.entries.end()) {
            return std::nullopt;
        }
        return found->second;
    }

    // A new key is refused when there are `most` already.
    Stored store(std::string_view key, Entry entry, size_t most) {
        return put(key, entry, [&] { return count_one_more(most) ? Stored::ok : Stored::full; });
    }

    // A key that is not there stays so.
    Stored replace(std::string_view key, Entry entry) {
        return put(key, entry, [] { return Stored::absent; });
    }

    // Adds to a counter and gives its new value. A new key begins as `amount`; with `most` 0 there are no new keys.
    Added add(std::string_view key, int64_t amount, size_t most, int64_t &sum) {
        Shard &shard = shard_of(key);
        std::lock_guard lock{shard.mutex};
        auto found = shard.entries.find(key);
        if (found == shard.entries.end()) {
            if (most == 0) {
                return Added::absent;
            }
            if (!count_one_more(most)) {
                return Added::full;
            }
            shard.entries.emplace(key, amount);
            sum = amount;
            return Added::ok;
        }
        int64_t *counter = std::get_if<int64_t>(&found->second);
        if (counter == nullptr) {
            return Added::no_counter;
        }
        if (__builtin_add_overflow(*counter, amount, &sum)) {
            return Added::out_of_range;
        }
        *counter = sum;
        return Added::ok;
    }

    bool remove(std::string_view key) {
        Entry gone; // freed after the lock
        Shard &shard = shard_of(key);
        std::lock_guard lock{shard.mutex};
        auto found = shard.entries.find(key);
        if (found == shard.entries.end()) {
            return false;
        }
        gone = std::move(found->second);
        shard.entries.erase(found);
        size_.fetch_sub(1, std::memory_order_relaxed);
        return true;
    }

    void clear() {
        for (Shard &shard : shards_) {
            Entries gone;
            std::lock_guard lock{shard.mutex};
            gone.swap(shard.entries);
            size_.fetch_sub(gone.size(), std::memory_order_relaxed);
        }
    }

    std::vector<std::string> keys() const {
        std::vector<std::string> all;
        for (const Shard &shard : shards_) {
            std::shared_lock lock{shard.mutex};
            for (const auto &[key, entry] : shard.entries) {
                all.push_back(key);
            }
        }
        return all;
    }

    size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

private:
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view key) const noexcept { return std::hash<std::string_view>{}(key); }
    };
    using Entries = std::unordered_map<std::string, Entry, Hash, std::equal_to<>>;

    static constexpr size_t cache_line = 64;
    struct alignas(cache_line) Shard {
        mutable std::shared_mutex mutex;
        Entries entries; // guarded by mutex
    };

    // What was there before is in `entry` afterwards, to be freed when the lock is no longer held.
    template <class Permit> Stored put(std::string_view key, Entry &entry, Permit permit) {
        Shard &shard = shard_of(key);
        std::lock_guard lock{shard.mutex};
        auto found = shard.entries.find(key);
        if (found != shard.entries.end()) {
            found->second.swap(entry);
            return Stored::ok;
        }
        const Stored permitted = permit();
        if (permitted == Stored::ok) {
            shard.entries.emplace(key, std::move(entry));
        }
        return permitted;
    }

    bool count_one_more(size_t most) noexcept {
        size_t size = size_.load(std::memory_order_relaxed);
        do {
            if (size >= most) {
                return false;
            }
        } while (!size_.compare_exchange_weak(size, size + 1, std::memory_order_relaxed));
        return true;
    }

    // The map uses the low bits of the same hash.
    Shard &shard_of(std::string_view key) noexcept { return shards_[Hash{}(key) >> (8 * sizeof(size_t) - 4)]; }
    const Shard &shard_of(std::string_view key) const noexcept { return const_cast<Dictionary *>(this)->shard_of(key); }

    std::array<Shard, 16> shards_;
    std::atomic<size_t> size_{0};
};

} // namespace ep
