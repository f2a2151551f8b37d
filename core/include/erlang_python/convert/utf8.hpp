// Whether bytes are text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ep {

enum class TextKind : uint8_t { ascii, utf8, none };

// How many bytes the character that begins at `at` has, 0 when none does. The Unicode Standard 15.0, table 3-7:
// shortest forms only, no surrogates, nothing beyond U+10FFFF.
inline size_t utf8_length(const unsigned char *at, size_t left) noexcept {
    const auto between = [](unsigned char byte, unsigned low, unsigned high) { return byte >= low && byte <= high; };
    const unsigned char first = at[0];
    if (first < 0x80) {
        return 1;
    }
    if (between(first, 0xC2, 0xDF)) {
        return left >= 2 && between(at[1], 0x80, 0xBF) ? 2 : 0;
    }
    if (between(first, 0xE0, 0xEF)) {
        const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
        const unsigned high = first == 0xED ? 0x9F : 0xBF;
        return left >= 3 && between(at[1], low, high) && between(at[2], 0x80, 0xBF) ? 3 : 0;
    }
    if (between(first, 0xF0, 0xF4)) {
        const unsigned low = first == 0xF0 ? 0x90 : 0x80;
        const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
        const bool fits = left >= 4 && between(at[1], low, high);
        return fits && between(at[2], 0x80, 0xBF) && between(at[3], 0x80, 0xBF) ? 4 : 0;
    }
    return 0;
}

// Decoding and failing would cost a copy of everything, and an exception.
inline TextKind text_kind(const unsigned char *data, size_t size) noexcept {
    TextKind kind = TextKind::ascii;
    for (size_t i = 0; i < size;) {
        uint64_t eight = 0;
        if (size - i >= sizeof eight) {
            std::memcpy(&eight, data + i, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        const size_t length = utf8_length(data + i, size - i);
        if (length == 0) {
            return TextKind::none;
        }
        if (length > 1) {
            kind = TextKind::utf8;
        }
        i += length;
    }
    return kind;
}

} // namespace ep
