// Terms become flat values and terms again, on the VM's threads and on ours: they are what they were.
#include "conversion.hpp"
#include "random_terms.hpp"
#include "terms.hpp"

#include "catch.hpp"

#include <cmath>

namespace {

// In a foreign thread's own environments, as a context thread does it.
ERL_NIF_TERM round_trip_elsewhere(const Terms &terms, ERL_NIF_TERM term, const Terms &back) {
    ERL_NIF_TERM result = 0;
    on_foreign_thread([&] { result = round_trip(terms.env(), term, back.env()); });
    return result;
}

void check(const Terms &terms, ERL_NIF_TERM term) {
    Terms here, there;
    const ERL_NIF_TERM same = round_trip(terms.env(), term, here.env());
    INFO(printed(term) << " came back as " << printed(same));
    CHECK(enif_is_identical(term, same));
    CHECK(enif_is_identical(term, round_trip_elsewhere(terms, term, there)));
}

} // namespace

TEST_CASE("terms of every kind come back as they were") {
    Terms t;
    const ERL_NIF_TERM local = t.pid(this_node, 1), reference = t.ref();
    const std::vector<ERL_NIF_TERM> table{
        t.atom("true"),
        t.atom("false"),
        t.atom("none"),
        t.atom("ok"),
        t.atom(""),
        t.atom("gr\xfcn"),
        t.unicode_atom("κόσμος"),
        t.integer(0),
        t.integer(-1),
        t.integer(INT64_MAX),
        t.integer(INT64_MIN),
        t.integer(false, std::string(9, '\1')),
        t.integer(true, std::string(416, '\7')),
        t.floating(0.0),
        t.floating(-2.5),
        t.floating(5e-324),
        t.floating(1.7976931348623157e308),
        t.binary(""),
        t.binary("text"),
        t.binary(std::string_view{"\0\xff\x80", 3}),
        t.binary(std::string(ep::max_inline_binary, 'x')),
        t.binary(std::string(ep::max_inline_binary + 1, 'x')),
        t.binary(std::string(100000, 'x')),
        t.bitstring("\x80", 1),
        t.bitstring("abc\xfe", 7),
        t.list({}),
        t.list({t.list({}), t.list({t.list({})})}),
        t.tuple({}),
        t.tuple({t.atom("bytes"), t.atom("x")}),
        t.map({}),
        t.map({{t.integer(1), t.atom("integer")}, {t.floating(1), t.atom("float")}}),
        local,
        t.pid(other_node, 7),
        reference,
        t.ref(other_node, 7),
        object_reference(),
        t.port(this_node, 3),
        t.port(other_node, 3),
        t.function("lists", "map", 2),
        t.closure("nowhere", 3, 42),
        t.list({local, reference, t.function("lists", "map", 2), local, reference}),
        t.map({{local, reference}, {reference, local}, {t.bitstring("\x80", 1), t.map({{t.list({}), t.tuple({})}})}}),
    };
    for (ERL_NIF_TERM term : table) {
        check(t, term);
    }
    check(t, t.list(table));
    check(t, t.tuple(table));
}

TEST_CASE("terms with a form of their own come back in the common one") {
    Terms t, back;
    auto returns = [&](ERL_NIF_TERM term, ERL_NIF_TERM other) {
        INFO(printed(term));
        CHECK(enif_is_identical(round_trip(t.env(), term, back.env()), other));
    };
    returns(t.atom("nil"), t.atom("none"));
    returns(t.atom("undefined"), t.atom("none"));
    returns(t.tuple({t.atom("bytes"), t.binary("b")}), t.binary("b"));
    returns(t.tuple({t.atom("memoryview"), t.binary("b")}), t.binary("b"));
    const ERL_NIF_TERM large = t.binary(std::string(1000, 'b'));
    returns(t.tuple({t.atom("bytes"), large}), large);
    returns(t.tuple({t.atom("memoryview"), large}), large);
}

TEST_CASE("the sign of zero comes back") {
    Terms t, back;
    double value = 0;
    REQUIRE(enif_get_double(back.env(), round_trip(t.env(), t.floating(-0.0), back.env()), &value));
    CHECK(std::signbit(value));
    ERL_NIF_TERM head, tail;
    REQUIRE(enif_get_list_cell(back.env(), round_trip(t.env(), t.list({t.floating(-0.0)}), back.env()), &head, &tail));
    REQUIRE(enif_get_double(back.env(), head, &value));
    CHECK(std::signbit(value));
}

TEST_CASE("what is no number to Erlang is an atom") {
    Terms t;
    ep::TermBuilder builder{t.env(), atoms()};
    CHECK(enif_is_identical(builder.floating(std::nan("")), t.atom("nan")));
    CHECK(enif_is_identical(builder.floating(INFINITY), t.atom("infinity")));
    CHECK(enif_is_identical(builder.floating(-INFINITY), t.atom("neg_infinity")));
}

TEST_CASE("what comes back does not need what went") {
    Terms back;
    ERL_NIF_TERM term = 0;
    std::string before;
    {
        Terms t;
        const ERL_NIF_TERM original = t.list({t.binary(std::string(50, 'x')), t.binary(std::string(1000, 'y')),
                                              t.pid(other_node, 1), t.ref(other_node, 1), t.bitstring("z\x80", 1)});
        term = round_trip(t.env(), original, back.env());
        before = printed(original);
    }
    CHECK(printed(term) == before);
}

TEST_CASE("random terms come back as they were") {
    for (uint32_t seed = 1; seed <= 1000; ++seed) {
        Terms terms, here, there;
        const ERL_NIF_TERM term = RandomTerms{terms, seed}.term();
        INFO("seed " << seed << ": " << printed(term));
        CHECK(enif_is_identical(term, round_trip(terms.env(), term, here.env())));
        if (seed % 10 == 0) {
            CHECK(enif_is_identical(term, round_trip_elsewhere(terms, term, there)));
        }
    }
}
