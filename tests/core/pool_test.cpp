// A pool: who takes an object has it alone, and a number always finds the same one.
#include "plain/pool.hpp"
#include "together.hpp"

#include "catch.hpp"

#include <atomic>
#include <set>
#include <vector>

namespace {

struct Item {
    uint32_t index = 0;
    std::atomic<int> holders{0};
    int notes = 0; // plain: only a holder writes, which the thread sanitizer checks
};

using Pool = ep::Pool<Item>;

// A pool keeps its memory for ever, so these last as long: a leak checker sees that they are still there.
Pool &fresh_pool() {
    static auto *all = new std::vector<Pool *>;
    return *all->emplace_back(new Pool);
}

} // namespace

TEST_CASE("objects of a pool have numbers that find them") {
    Pool &pool = fresh_pool();
    CHECK(pool.at(0) == nullptr);
    std::set<Item *> items;
    for (uint32_t i = 0; i < 3 * Pool::chunk_size + 1; ++i) {
        Item *item = pool.take();
        REQUIRE(item != nullptr);
        REQUIRE(pool.at(item->index) == item);
        items.insert(item);
    }
    CHECK(items.size() == 3 * Pool::chunk_size + 1);
    CHECK(pool.live() == items.size());
    CHECK(pool.at(4 * Pool::chunk_size) == nullptr);
    CHECK(pool.at(Pool::none) == nullptr);
}

TEST_CASE("an object that was given back is used again, in the same place under the same number") {
    Pool &pool = fresh_pool();
    Item *item = pool.take();
    const uint32_t index = item->index;
    item->notes = 7;
    pool.give(item);
    CHECK(pool.live() == 0);
    CHECK(pool.at(index) == item);
    CHECK(pool.take() == item);
    CHECK(item->index == index);
    CHECK(item->notes == 7);
}

TEST_CASE("a pool has four million objects and then none, until one is given back") {
    struct Small {
        uint32_t index = 0;
    };
    static ep::Pool<Small> pool;
    constexpr uint32_t all = ep::Pool<Small>::chunk_size * ep::Pool<Small>::chunk_count;
    uint32_t taken = 0;
    Small *last = nullptr;
    while (Small *item = pool.take()) {
        last = item;
        ++taken;
    }
    CHECK(taken == all);
    CHECK(pool.live() == all);
    CHECK(pool.take() == nullptr);
    pool.give(last);
    CHECK(pool.take() == last);
    CHECK(pool.take() == nullptr);
}

TEST_CASE("threads that take and give at the same time never hold the same object") {
    Pool &pool = fresh_pool();
    constexpr int threads = 4;
    constexpr int at_once = 200; // so that the pool grows meanwhile
    std::atomic<int> shared{0}, misplaced{0};
    together(threads, [&](int) {
        std::vector<Item *> held;
        for (int round = 0; round < 1000; ++round) {
            const int wanted = round * 7919 % at_once;
            while (static_cast<int>(held.size()) < wanted) {
                Item *item = pool.take();
                shared += item->holders.fetch_add(1) == 0 ? 0 : 1;
                misplaced += pool.at(item->index) == item ? 0 : 1;
                ++item->notes;
                held.push_back(item);
            }
            while (static_cast<int>(held.size()) > wanted / 2) {
                held.back()->holders.fetch_sub(1);
                pool.give(held.back());
                held.pop_back();
            }
        }
        for (Item *item : held) {
            item->holders.fetch_sub(1);
            pool.give(item);
        }
    });
    CHECK(shared.load() == 0);
    CHECK(misplaced.load() == 0);
    CHECK(pool.live() == 0);
    // All that was made can be had again, once.
    std::set<Item *> items;
    uint32_t made = 0;
    while (pool.at(made) != nullptr) {
        ++made;
    }
    for (uint32_t i = 0; i < made; ++i) {
        items.insert(pool.take());
    }
    CHECK(items.size() == made);
    CHECK(made <= threads * (at_once + Pool::chunk_size));
}

TEST_CASE("an object that comes back while somebody takes it is not taken for one that never left") {
    Pool &pool = fresh_pool();
    Item *kept = nullptr, *taken = nullptr;
    int shared = 0;
    duel(
        30000, [] {},
        [&] {
            Item *first = pool.take();
            kept = pool.take();
            pool.give(first);
        },
        [&] { taken = pool.take(); },
        [&] {
            Item *next = pool.take();
            shared += kept == taken || kept == next || taken == next ? 1 : 0;
            for (Item *item : {kept, taken, next}) {
                pool.give(item);
            }
        });
    CHECK(shared == 0);
    CHECK(pool.live() == 0);
}
