// What every kind of term is to another language.
#include "conversion.hpp"
#include "terms.hpp"
#include "text_builder.hpp"

#include "catch.hpp"

namespace {

std::string read(const Terms &terms, ERL_NIF_TERM term) {
    Recorded recorded{terms.env(), term};
    REQUIRE(recorded.result() == ep::Decoded::ok);
    ep::FlatReader reader{recorded.flat()};
    TextBuilder builder{terms.env()};
    const std::string text = ep::replay(reader, builder);
    CHECK(reader.at_end());
    return text;
}

} // namespace

TEST_CASE("atoms are text, but for those that are values") {
    Terms t;
    CHECK(read(t, t.atom("true")) == "true");
    CHECK(read(t, t.atom("false")) == "false");
    for (const char *nothing : {"none", "nil", "undefined"}) {
        CHECK(read(t, t.atom(nothing)) == "none");
    }
    for (const char *text : {"ok", "True", "null", "", "two words"}) {
        CHECK(read(t, t.atom(text)) == std::string{"atom("} + text + ")");
    }
    CHECK(read(t, t.unicode_atom("grün")) == "atom(grün)");
    CHECK(read(t, t.unicode_atom("λ日本")) == "atom(λ日本)");
}

TEST_CASE("numbers") {
    Terms t;
    CHECK(read(t, t.integer(0)) == "0");
    CHECK(read(t, t.integer(INT64_MIN)) == "-9223372036854775808");
    CHECK(read(t, t.floating(0.1)) == "0.10000000000000001f");
    CHECK(read(t, t.floating(-0.0)) == "-0f");
    CHECK(read(t, t.floating(1.7976931348623157e308)) == "1.7976931348623157e+308f");
}

TEST_CASE("binaries are text, {bytes, B} bytes, {memoryview, B} a view; large ones cross by reference") {
    Terms t;
    const std::string small(ep::max_inline_binary, 's'), large(ep::max_inline_binary + 1, 'l');
    CHECK(read(t, t.binary("")) == "text()");
    CHECK(read(t, t.binary(small)) == "text(" + small + ")");
    CHECK(read(t, t.binary(large)) == "big text(" + large + ")");
    CHECK(read(t, t.tuple({t.atom("bytes"), t.binary("")})) == "bytes()");
    CHECK(read(t, t.tuple({t.atom("bytes"), t.binary(small)})) == "bytes(" + small + ")");
    CHECK(read(t, t.tuple({t.atom("bytes"), t.binary(large)})) == "big bytes(" + large + ")");
    CHECK(read(t, t.tuple({t.atom("memoryview"), t.binary("v")})) == "view(v)");
    CHECK(read(t, t.tuple({t.atom("memoryview"), t.binary(large)})) == "view(" + large + ")");
    CHECK(read(t, t.binary(std::string_view{"\0\xff", 2})) == std::string{"text(\0\xff)", 8});
}

TEST_CASE("tuples that only look like bytes or a view are tuples") {
    Terms t;
    CHECK(read(t, t.tuple({t.atom("bytes")})) == "{atom(bytes)}");
    CHECK(read(t, t.tuple({t.atom("bytes"), t.integer(1)})) == "{atom(bytes), 1}");
    CHECK(read(t, t.tuple({t.atom("bytes"), t.binary("b"), t.integer(1)})) == "{atom(bytes), text(b), 1}");
    CHECK(read(t, t.tuple({t.atom("bytes"), t.bitstring("\xc0", 2)})) == "{atom(bytes), term}");
    CHECK(read(t, t.tuple({t.atom("memoryview"), t.list({})})) == "{atom(memoryview), []}");
}

TEST_CASE("containers") {
    Terms t;
    const auto one = t.integer(1), x = t.atom("x");
    CHECK(read(t, t.list({})) == "[]");
    CHECK(read(t, t.list({x, one})) == "[atom(x), 1]");
    CHECK(read(t, t.list({one, x})) == "[1, atom(x)]");
    CHECK(read(t, t.list({one, one})) == "[1, 1]");
    CHECK(read(t, t.tuple({})) == "{}");
    CHECK(read(t, t.tuple({one, t.tuple({x})})) == "{1, {atom(x)}}");
    CHECK(read(t, t.map({})) == "#{}");
    CHECK(read(t, t.map({{one, x}, {x, t.map({{t.list({}), t.binary("v")}})}})) ==
          "#{1: atom(x), atom(x): #{[]: text(v)}}");
}

TEST_CASE("pids, references, and what has no form") {
    Terms t;
    CHECK(read(t, t.pid(this_node, 1)) == "pid");
    CHECK(read(t, t.pid(other_node, 1)) == "remote pid");
    CHECK(read(t, t.ref()) == "ref");
    CHECK(read(t, t.ref(other_node, 1)) == "ref");
    CHECK(read(t, object_reference()) == "object");
    CHECK(read(t, t.list({object_reference(), t.ref()})) == "[object, ref]");
    CHECK(read(t, t.bitstring("\x80", 1)) == "term");
    CHECK(read(t, t.function("lists", "map", 2)) == "term");
    CHECK(read(t, t.closure("nowhere", 1, 5)) == "term");
    CHECK(read(t, t.port(other_node, 1)) == "term");
}
