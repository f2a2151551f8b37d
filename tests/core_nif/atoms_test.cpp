// Atoms of any text, which erl_nif's functions of OTP 25 do not know.
#include "terms.hpp"

#include <erlang_python/convert/decode.hpp>

#include "catch.hpp"

namespace {

const std::string e_acute = "\xc3\xa9", lambda = "\xce\xbb", smile = "\xf0\x9f\x98\x80";

std::string repeated(const std::string &text, int n) {
    std::string all;
    for (; n > 0; --n) {
        all += text;
    }
    return all;
}

} // namespace

TEST_CASE("the text of an atom is its UTF-8") {
    const std::string text = GENERATE(std::string{}, std::string{"ok"}, std::string{"two words"}, e_acute, lambda,
                                      smile, "x" + e_acute + lambda + smile, repeated("a", 255), repeated(e_acute, 255),
                                      repeated(lambda, 255), repeated(smile, 255), std::string("a\0b", 3));
    Terms t;
    CHECK(ep::atom_text(t.env(), t.unicode_atom(text)) == text);
    const auto made = ep::make_atom(t.env(), text);
    REQUIRE(made);
    CHECK(enif_is_identical(*made, t.unicode_atom(text)));
    CHECK(ep::atom_text(t.env(), *made) == text);
}

TEST_CASE("every character of Latin-1 is itself in an atom") {
    Terms t;
    for (int character = 1; character < 256; ++character) {
        const char latin1[] = {static_cast<char>(character), '\0'};
        const std::string utf8 = character < 0x80 ? std::string{latin1}
                                                  : std::string{static_cast<char>(0xc0 | character >> 6),
                                                                static_cast<char>(0x80 | (character & 0x3f))};
        INFO(character);
        CHECK(ep::atom_text(t.env(), t.atom(latin1)) == utf8);
        CHECK(enif_is_identical(ep::make_atom(t.env(), utf8).value(), t.atom(latin1)));
    }
}

TEST_CASE("an atom has at most 255 characters, however many bytes") {
    Terms t;
    for (const std::string &character : {std::string{"a"}, e_acute, lambda, smile}) {
        INFO(character);
        CHECK(ep::make_atom(t.env(), repeated(character, 255)));
        CHECK_FALSE(ep::make_atom(t.env(), repeated(character, 256)));
        CHECK_FALSE(ep::make_atom(t.env(), repeated(character, 100000)));
    }
}

TEST_CASE("what is not UTF-8 is no atom") {
    Terms t;
    for (const char *text :
         {"\x80", "\xff", "\xc3", "a\xc3", "\xc3(", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xc0\x80"}) {
        INFO(printed(t.binary(text)));
        CHECK_FALSE(ep::make_atom(t.env(), text));
    }
}

TEST_CASE("an atom that must exist already is not made") {
    Terms t;
    const std::string known = "an atom of this test", unknown = "no atom of this test";
    const ERL_NIF_TERM atom = t.unicode_atom(known);
    const auto found = ep::make_atom(t.env(), known, ERL_NIF_BIN2TERM_SAFE);
    REQUIRE(found);
    CHECK(enif_is_identical(*found, atom));
    CHECK_FALSE(ep::make_atom(t.env(), unknown, ERL_NIF_BIN2TERM_SAFE));
    CHECK_FALSE(ep::make_atom(t.env(), unknown + lambda, ERL_NIF_BIN2TERM_SAFE));
    ERL_NIF_TERM term;
    CHECK_FALSE(enif_make_existing_atom(t.env(), unknown.c_str(), &term, ERL_NIF_LATIN1));
}
