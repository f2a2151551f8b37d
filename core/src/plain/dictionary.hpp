// Values and counters by key, for many threads at once.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ep {

// Keys are any bytes. A value is never changed, only replaced, so what a reader holds stays as it is. Every function may
// be called by any thread; each does what it does at one moment, but for keys(), clear() and close(), which go over the
// shards one after the other. Values are never freed with a lock held.
template <class Value> class Dictionary {
public:
    using Shared = std::shared_ptr<const Value>;
    using Entry = std::variant<int64_t, Shared>; // a counter or a value
    enum class Stored : uint8_t { ok, full, absent, closed };
    enum class Added : uint8_t { ok, full, absent, closed, no_counter, out_of_range };
    using Most = std::optional<size_t>; // how many keys there may be; nullopt: no new ones

    std::optional<Entry> find(std::string_view key) const {
        const Shard &shard = shard_of(key);
        std::lock_guard lock{shard.mutex};
        auto found = shard.entries.find(key);
        if (found == shard.entries.end()) {
            return std::nullopt;
        }
        return found->second;
    }

    Stored store(std::string_view key, Entry entry, Most most) {
        Shard &shard = shard_of(key);
        std::lock_guard lock{shard.mutex};
        if (closed()) {
            return Stored::closed;
        }
        auto found = shard.entries.find(key);
        if (found != shard.entries.end()) {
            found->second.swap(entry); // what was there is freed with the argument
            return Stored::ok;
        }
        if (!most) {
            return Stored::absent;
        }
        if (!count_one_more(*most)) {
            return Stored::full;
        }
        shard.entries.emplace(key, std::move(entry));
        return Stored::ok;
    }

    // Adds to a counter, which a new key begins as 0, and gives its new value.
    Added add(std::string_view key, int64_t amount, Most most, int64_t &sum) {
        Shard &shard = shard_of(key);
        std::lock_guard lock{shard.mutex};
        if (closed()) {
            return Added::closed;
        }
        auto found = shard.entries.find(key);
        if (found == shard.entries.end()) {
            if (!most) {
                return Added::absent;
            }
            if (!count_one_more(*most)) {
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
        Entry gone;
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

    // Empties it for good: what is stored from now on is refused.
    void close() {
        closed_.store(true);
        clear();
    }
    bool closed() const noexcept { return closed_.load(); }

    std::vector<std::string> keys() const {
        std::vector<std::string> all;
        for (const Shard &shard : shards_) {
            std::lock_guard lock{shard.mutex};
            for (const auto &[key, entry] : shard.entries) {
                all.push_back(key);
            }
        }
        return all;
    }

    size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

private:
    // Ordered, so that no choice of keys makes it slow, and no single insertion moves all.
    using Entries = std::map<std::string, Entry, std::less<>>;

    static constexpr size_t cache_line = 64;
    struct Shard {
        mutable std::mutex mutex;
        Entries entries;          // guarded by mutex
        char padding[cache_line]; // not by alignment, which memory of the VM does not have
    };

    bool count_one_more(size_t most) noexcept {
        size_t size = size_.load(std::memory_order_relaxed);
        do {
            if (size >= most) {
                return false;
            }
        } while (!size_.compare_exchange_weak(size, size + 1, std::memory_order_relaxed));
        return true;
    }

    Shard &shard_of(std::string_view key) noexcept {
        return shards_[std::hash<std::string_view>{}(key) % shards_.size()];
    }
    const Shard &shard_of(std::string_view key) const noexcept { return const_cast<Dictionary *>(this)->shard_of(key); }

    std::array<Shard, 16> shards_;
    std::atomic<size_t> size_{0};
    std::atomic<bool> closed_{false};
};

} // namespace ep
