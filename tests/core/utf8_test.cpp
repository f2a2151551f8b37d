// Whether bytes are text, against the definition read backwards: text is what some code points encode to.
#include <erlang_python/convert/utf8.hpp>

#include "catch.hpp"

#include <set>
#include <string>

namespace {

ep::TextKind kind(const std::string &bytes) {
    return ep::text_kind(reinterpret_cast<const unsigned char *>(bytes.data()), bytes.size());
}

std::string encode(uint32_t point) {
    const auto tail = [point](int shift) { return static_cast<char>(0x80 | ((point >> shift) & 0x3F)); };
    if (point < 0x80) {
        return {static_cast<char>(point)};
    }
    if (point < 0x800) {
        return {static_cast<char>(0xC0 | point >> 6), tail(0)};
    }
    if (point < 0x10000) {
        return {static_cast<char>(0xE0 | point >> 12), tail(6), tail(0)};
    }
    return {static_cast<char>(0xF0 | point >> 18), tail(12), tail(6), tail(0)};
}

} // namespace

TEST_CASE("every character is text, alone and at any place of eight bytes") {
    size_t wrong = 0;
    for (uint32_t point = 0; point < 0x110000; ++point) {
        const bool surrogate = point >= 0xD800 && point < 0xE000;
        const ep::TextKind expected = surrogate      ? ep::TextKind::none
                                      : point < 0x80 ? ep::TextKind::ascii
                                                     : ep::TextKind::utf8;
        const std::string character = encode(point);
        wrong += kind(character) != expected;
        wrong += kind(std::string(point % 11, 'x') + character + std::string(point % 9, 'y')) != expected;
    }
    CHECK(wrong == 0);
}

TEST_CASE("of all sequences of up to three bytes, those are text that characters encode to") {
    std::set<std::string> characters;
    for (uint32_t point = 0; point < 0x10000; ++point) {
        if (point < 0xD800 || point >= 0xE000) {
            characters.insert(encode(point));
        }
    }
    const auto is_text = [&](const std::string &bytes) {
        for (size_t at = 0; at < bytes.size();) {
            size_t length = 1;
            while (length <= 3 && !characters.contains(bytes.substr(at, length))) {
                ++length;
            }
            if (length > 3 || at + length > bytes.size()) {
                return false;
            }
            at += length;
        }
        return true;
    };
    size_t wrong = 0;
    for (unsigned first = 0; first < 256; first += first < 0x7F ? 0x7F : 1) { // one ASCII byte stands for all
        for (unsigned second = 0; second < 256; second += 3) {
            for (unsigned third = 0; third < 256; third += 5) {
                const std::string bytes{static_cast<char>(first), static_cast<char>(second), static_cast<char>(third)};
                wrong += (kind(bytes) != ep::TextKind::none) != is_text(bytes);
                wrong += (kind(bytes.substr(0, 2)) != ep::TextKind::none) != is_text(bytes.substr(0, 2));
            }
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("characters of four bytes are in their shortest form, within Unicode, and whole") {
    CHECK(kind("\xF0\x8F\xBF\xBF") == ep::TextKind::none); // U+FFFF in four
    CHECK(kind("\xF4\x90\x80\x80") == ep::TextKind::none); // U+110000
    CHECK(kind("\xF5\x80\x80\x80") == ep::TextKind::none);
    CHECK(kind("\xF0\x9F\x98") == ep::TextKind::none); // cut off
    CHECK(kind("\xF0\x9F\x98\x80") == ep::TextKind::utf8);
    CHECK(kind("") == ep::TextKind::ascii);
}
