// Maps of every size are made on every thread; the VM's own function for large ones works on its own threads only.
#include "conversion.hpp"
#include "terms.hpp"

#include "catch.hpp"

#include <functional>

namespace {

using Pair = std::pair<ERL_NIF_TERM, ERL_NIF_TERM>;
using Pairs = std::vector<Pair>;

Pairs numbered(const Terms &t, int n, const std::function<ERL_NIF_TERM(int)> &key) {
    Pairs pairs;
    for (int i = 0; i < n; ++i) {
        pairs.emplace_back(key(i), t.tuple({t.integer(i), t.binary("value")}));
    }
    return pairs;
}

// As replay() does it. Nothing when two keys are the same.
std::optional<ERL_NIF_TERM> build(ErlNifEnv *env, const Pairs &pairs) {
    ep::TermBuilder builder{env, atoms()};
    auto map = builder.map(static_cast<uint32_t>(pairs.size()));
    for (const auto &[key, value] : pairs) {
        builder.insert(map, key, value);
    }
    try {
        return builder.finish(map);
    } catch (const ep::SameKey &) {
        return std::nullopt;
    }
}

std::optional<ERL_NIF_TERM> build_elsewhere(ErlNifEnv *env, const Pairs &pairs) {
    std::optional<ERL_NIF_TERM> result;
    on_foreign_thread([&] { result = build(env, pairs); });
    return result;
}

void check(const Terms &t, const Pairs &pairs) {
    INFO(pairs.size() << " pairs");
    const ERL_NIF_TERM expected = t.map(pairs);
    const auto here = build(t.env(), pairs), there = build_elsewhere(t.env(), pairs);
    REQUIRE(here);
    REQUIRE(there);
    CHECK(enif_is_identical(*here, expected));
    CHECK(enif_is_identical(*there, expected));
    Terms back, back_there;
    CHECK(enif_is_identical(expected, round_trip(t.env(), expected, back.env())));
    ERL_NIF_TERM returned = 0;
    on_foreign_thread([&] { returned = round_trip(t.env(), expected, back_there.env()); });
    CHECK(enif_is_identical(expected, returned));
}

} // namespace

TEST_CASE("this thread is the VM's, and the other is not") {
    int other = -1;
    on_foreign_thread([&] { other = enif_thread_type(); });
    CHECK(enif_thread_type() != ERL_NIF_THR_UNDEFINED);
    CHECK(other == ERL_NIF_THR_UNDEFINED);
}

TEST_CASE("maps of 0 to 100 keys, and large ones") {
    std::vector<int> sizes{1000, 4095, 4096, 4097, 10000};
    for (int n = 0; n <= 100; ++n) {
        sizes.push_back(n);
    }
    for (int n : sizes) {
        Terms t;
        check(t, numbered(t, n, [&](int i) { return t.integer(i); }));
        check(t, numbered(t, n, [&](int i) { return t.binary("key " + std::to_string(i)); }));
    }
}

TEST_CASE("maps in maps, large ones too") {
    Terms t;
    Pairs pairs = numbered(t, 100, [&](int i) { return t.floating(i); });
    for (int depth = 0; depth < 20; ++depth) {
        const ERL_NIF_TERM inner = t.map(pairs);
        pairs = numbered(t, 100, [&](int i) { return i == depth ? inner : t.floating(i); });
        check(t, pairs);
        pairs[static_cast<size_t>(depth)] = {t.atom("inner"), inner};
        check(t, pairs);
    }
}

TEST_CASE("two keys that are the same term are no map") {
    for (int n : {3, 4, 31, 32, 33, 34, 100, 5000}) {
        Terms t;
        const Pairs pairs = numbered(t, n, [&](int i) { return t.binary(std::to_string(i)); });
        for (int copy : {0, n / 2, n - 2}) {
            Pairs doubled = pairs;
            doubled.back().first = t.binary(std::to_string(copy));
            INFO(n << " pairs, the last has key number " << copy);
            CHECK_FALSE(build(t.env(), doubled));
            CHECK_FALSE(build_elsewhere(t.env(), doubled));
        }
    }
}

TEST_CASE("keys that are equal but not the same are two") {
    Terms t;
    Pairs pairs = numbered(t, 50, [&](int i) { return t.integer(i); });
    for (const Pair &pair : numbered(t, 50, [&](int i) { return t.floating(i); })) {
        pairs.push_back(pair);
    }
    check(t, {pairs[1], pairs[51]});
    check(t, pairs);
}

TEST_CASE("a builder that found two same keys can go on") {
    Terms t;
    ep::TermBuilder builder{t.env(), atoms()};
    for (uint32_t n : {2u, 40u}) {
        auto map = builder.map(n);
        for (uint32_t i = 0; i < n; ++i) {
            builder.insert(map, t.atom("same"), t.integer(i));
        }
        CHECK_THROWS_AS(builder.finish(map), ep::SameKey);
    }
    auto tuple = builder.tuple(1);
    builder.set(tuple, 0, t.integer(1));
    CHECK(enif_is_identical(builder.finish(tuple), t.tuple({t.integer(1)})));
}
