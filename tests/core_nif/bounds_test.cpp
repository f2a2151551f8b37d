// How deep and how much is decoded, and what is no value at all.
#include "conversion.hpp"
#include "terms.hpp"

#include "catch.hpp"

#include <functional>

using ep::Decoded;

namespace {

struct Nesting {
    const char *what;
    std::function<ERL_NIF_TERM(const Terms &, ERL_NIF_TERM)> around;
};

const Nesting nestings[] = {
    {"lists", [](const Terms &t, ERL_NIF_TERM term) { return t.list({term}); }},
    {"lists behind a run",
     [](const Terms &t, ERL_NIF_TERM term) {
         return t.list({t.integer(1), term});
     }},
    {"tuples",
     [](const Terms &t, ERL_NIF_TERM term) {
         return t.tuple({t.integer(1), term});
     }},
    {"values of maps",
     [](const Terms &t, ERL_NIF_TERM term) {
         return t.map({{t.atom("k"), term}});
     }},
    {"keys of maps",
     [](const Terms &t, ERL_NIF_TERM term) {
         return t.map({{term, t.atom("v")}});
     }},
};

ERL_NIF_TERM nested(const Terms &terms, const Nesting &nesting, int levels) {
    ERL_NIF_TERM term = terms.atom("x");
    for (int i = 0; i < levels; ++i) {
        term = nesting.around(terms, term);
    }
    return term;
}

Decoded decode(const Terms &terms, ERL_NIF_TERM term) {
    return Recorded{terms.env(), term}.result();
}

} // namespace

TEST_CASE("terms are decoded as deep as the bound and no deeper") {
    for (const Nesting &nesting : nestings) {
        INFO(nesting.what);
        Terms terms;
        const ERL_NIF_TERM deepest = nested(terms, nesting, ep::max_nesting);
        REQUIRE(decode(terms, deepest) == Decoded::ok);
        Terms back;
        CHECK(enif_is_identical(deepest, round_trip(terms.env(), deepest, back.env())));
        CHECK(decode(terms, nesting.around(terms, deepest)) == Decoded::too_deep);
    }
}

TEST_CASE("a term nested a million deep is refused") {
    for (const Nesting &nesting : nestings) {
        INFO(nesting.what);
        Terms terms;
        const ERL_NIF_TERM term = nested(terms, nesting, 1000000);
        CHECK(decode(terms, term) == Decoded::too_deep);
        Decoded elsewhere{};
        on_foreign_thread([&] { elsewhere = decode(terms, term); });
        CHECK(elsewhere == Decoded::too_deep);
    }
}

TEST_CASE("improper lists are refused, whatever they begin with") {
    Terms t;
    const ERL_NIF_TERM tails[] = {t.integer(2),  t.floating(2.5),     t.atom("tail"),
                                  t.binary("b"), t.tuple({}),         t.map({}),
                                  t.ref(),       t.pid(this_node, 1), t.integer(false, std::string(9, '\1'))};
    const std::vector<ERL_NIF_TERM> heads[] = {{t.integer(1)},    {t.integer(1), t.integer(2), t.integer(3)},
                                               {t.floating(1.5)}, {t.floating(1.5), t.floating(2.5)},
                                               {t.atom("x")},     {t.integer(1), t.atom("x")},
                                               {t.list({})},      {t.floating(1.5), t.integer(1)}};
    for (ERL_NIF_TERM tail : tails) {
        for (const auto &head : heads) {
            const ERL_NIF_TERM improper = t.improper(head, tail);
            INFO(printed(improper));
            CHECK(decode(t, improper) == Decoded::improper_list);
            CHECK(decode(t, t.list({t.atom("x"), improper})) == Decoded::improper_list);
            CHECK(decode(t, t.tuple({improper, t.atom("x")})) == Decoded::improper_list);
            CHECK(decode(t, t.map({{t.atom("k"), improper}})) == Decoded::improper_list);
            CHECK(decode(t, t.map({{improper, t.atom("v")}})) == Decoded::improper_list);
        }
    }
}

TEST_CASE("a budget that is just enough is used up, and a smaller one is not") {
    Terms t;
    std::vector<ERL_NIF_TERM> integers, floats;
    for (int i = 0; i < 10; ++i) {
        integers.push_back(t.integer(i));
        floats.push_back(t.floating(i));
    }
    std::vector<ERL_NIF_TERM> mixed = integers;
    mixed.push_back(t.atom("x"));
    mixed.push_back(t.list(floats));
    for (ERL_NIF_TERM term : {t.atom("x"), t.integer(1), t.list({}), t.list(integers), t.list(floats), t.list(mixed),
                              t.tuple(mixed), t.map({{t.atom("k"), t.list(mixed)}, {t.list(floats), t.tuple({})}}),
                              t.list({t.ref(), t.pid(this_node, 1)}), t.improper(integers, t.atom("tail"))}) {
        INFO(printed(term));
        Recorded all{t.env(), term};
        const uint64_t needed = no_budget - all.budget_left();
        Recorded exact{t.env(), term, needed};
        CHECK(exact.result() == all.result());
        CHECK(exact.budget_left() == 0);
        for (uint64_t budget = 0; budget < needed; ++budget) {
            CHECK(Recorded{t.env(), term, budget}.result() == Decoded::over_budget);
        }
    }
}

TEST_CASE("a budget bounds the work, however large the term") {
    Terms t;
    constexpr int many = 100000;
    constexpr uint64_t budget = 1000;
    const std::vector<ERL_NIF_TERM> integers(many, t.integer(1)), floats(many, t.floating(1)), lists(many, t.list({})),
        texts(many, t.binary(std::string(ep::max_inline_binary, 't')));
    for (const auto &elements : {integers, floats, lists, texts}) {
        for (ERL_NIF_TERM term : {t.list(elements), t.tuple(elements), t.list({t.list(elements), t.list(elements)})}) {
            Recorded recorded{t.env(), term, budget};
            CHECK(recorded.result() == Decoded::over_budget);
            // A visit copies 64 bytes, or records a number and its tag.
            CHECK(recorded.flat().bytes.size < budget * 80 + ep::max_inline_binary);
        }
    }
}
