// Decimal digits of large integers, against values that others computed.
#include <erlang_python/convert/decimal.hpp>

#include "catch.hpp"

#include <cstring>
#include <vector>

namespace {

std::string digits(std::vector<unsigned char> bytes, bool negative = false) {
    return ep::decimal_digits(negative, bytes.data(), bytes.size());
}

} // namespace

TEST_CASE("64-bit values have the digits the standard library gives them") {
    for (uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{999'999'999}, uint64_t{1'000'000'000}, uint64_t{4294967296},
                           uint64_t{1'000'000'000'000'000'000}, UINT64_MAX}) {
        unsigned char bytes[8];
        for (size_t i = 0; i < sizeof bytes; ++i) {
            bytes[i] = static_cast<unsigned char>(value >> (8 * i));
        }
        CHECK(ep::decimal_digits(false, bytes, sizeof bytes) == std::to_string(value));
    }
}

TEST_CASE("powers of two beyond 64 bits") {
    std::vector<unsigned char> bytes(13, 0);
    bytes[12] = 16; // 2^100
    CHECK(digits(bytes) == "1267650600228229401496703205376");
    CHECK(digits(bytes, true) == "-1267650600228229401496703205376");
    CHECK(digits({0, 0, 0, 0, 0, 0, 0, 0, 1}) == "18446744073709551616");
}

TEST_CASE("groups of zeros keep their place") {
    // 10^27 = 0x033B2E3C9FD0803CE8000000
    CHECK(digits({0x00, 0x00, 0x00, 0xE8, 0x3C, 0x80, 0xD0, 0x9F, 0x3C, 0x2E, 0x3B, 0x03}) ==
          "1000000000000000000000000000");
    CHECK(digits({}) == "0");
}
