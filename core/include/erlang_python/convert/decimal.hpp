// Large integers as decimal digits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ep {

// The digits of an integer whose bytes are given, least significant first. Takes a time that grows with the square of
// the size: about half a second for 200,000 digits.
inline std::string decimal_digits(bool negative, const unsigned char *bytes, size_t size) {
    constexpr uint64_t base = 1'000'000'000; // nine digits: base * 2^32 fits
    std::vector<uint32_t> limbs;             // least significant first
    for (size_t words = (size + 3) / 4; words-- > 0;) {
        uint64_t carry = 0;
        for (size_t i = 4; i-- > 0;) {
            const size_t at = words * 4 + i;
            carry = carry << 8 | (at < size ? bytes[at] : 0u);
        }
        for (uint32_t &limb : limbs) {
            const uint64_t value = (static_cast<uint64_t>(limb) << 32) + carry;
            limb = static_cast<uint32_t>(value % base);
            carry = value / base;
        }
        for (; carry != 0; carry /= base) {
            limbs.push_back(static_cast<uint32_t>(carry % base));
        }
    }
    std::string text = negative ? "-" : "";
    if (limbs.empty()) {
        return "0";
    }
    text += std::to_string(limbs.back());
    for (size_t i = limbs.size() - 1; i-- > 0;) {
        const std::string digits = std::to_string(limbs[i]);
        text.append(9 - digits.size(), '0').append(digits);
    }
    return text;
}

} // namespace ep
