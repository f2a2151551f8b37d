// Integers that a machine word cannot hold.
#include "conversion.hpp"
#include "terms.hpp"
#include "text_builder.hpp"

#include "catch.hpp"

#include <algorithm>

namespace {

// "0x1ff" -> the bytes ff 01.
std::string magnitude(std::string hex) {
    std::string bytes;
    hex = hex.substr(2);
    if (hex.size() % 2 == 1) {
        hex = "0" + hex;
    }
    for (size_t i = 0; i < hex.size(); i += 2) {
        bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    std::reverse(bytes.begin(), bytes.end());
    return bytes;
}

std::string read(const Recorded &recorded, ErlNifEnv *env) {
    ep::FlatReader reader{recorded.flat()};
    TextBuilder builder{env};
    return ep::replay(reader, builder);
}

ep_slice slice(const std::string &bytes) {
    return {reinterpret_cast<const unsigned char *>(bytes.data()), bytes.size()};
}

} // namespace

TEST_CASE("integers around the ends of 64 bits are exact, in both directions") {
    const auto [negative, hex, text] = GENERATE(table<bool, std::string, std::string>({
        {false, "0x7ffffffffffffffe", "9223372036854775806"},
        {false, "0x7fffffffffffffff", "9223372036854775807"},
        {false, "0x8000000000000000", "0x8000000000000000"},
        {false, "0x8000000000000001", "0x8000000000000001"},
        {false, "0xfffffffffffffffe", "0xfffffffffffffffe"},
        {false, "0xffffffffffffffff", "0xffffffffffffffff"},
        {false, "0x010000000000000000", "0x010000000000000000"},
        {false, "0x010000000000000001", "0x010000000000000001"},
        {true, "0x7fffffffffffffff", "-9223372036854775807"},
        {true, "0x8000000000000000", "-9223372036854775808"},
        {true, "0x8000000000000001", "-0x8000000000000001"},
        {true, "0xfffffffffffffffe", "-0xfffffffffffffffe"},
        {true, "0xffffffffffffffff", "-0xffffffffffffffff"},
        {true, "0x010000000000000000", "-0x010000000000000000"},
        {true, "0x010000000000000001", "-0x010000000000000001"},
    }));
    INFO((negative ? "-" : "") << hex);
    Terms terms, back;
    const ERL_NIF_TERM term = terms.integer(negative, magnitude(hex));
    Recorded recorded{terms.env(), term};
    CHECK(read(recorded, terms.env()) == text);
    CHECK(enif_is_identical(term, built(back.env(), recorded.flat())));
}

TEST_CASE("integers of any length are exact, in both directions") {
    // 255 and 256 bytes: where the VM's external format changes. 416: a thousand digits.
    for (size_t size : {9, 16, 17, 100, 254, 255, 256, 257, 416, 10000}) {
        for (bool negative : {false, true}) {
            std::string bytes(size, '\xab');
            bytes.front() = 1;
            bytes.back() = 2;
            Terms terms, back;
            const ERL_NIF_TERM term = terms.integer(negative, bytes);
            Recorded recorded{terms.env(), term};
            REQUIRE(recorded.tag() == EP_TAG_BIGINT);
            INFO(size << " bytes");
            std::string expected = negative ? "-0x02" : "0x02";
            for (size_t i = 0; i < size - 2; ++i) {
                expected += "ab";
            }
            CHECK(read(recorded, terms.env()) == expected + "01");
            CHECK(enif_is_identical(term, built(back.env(), recorded.flat())));
        }
    }
}

TEST_CASE("an integer that comes with more bytes than it needs is the same integer") {
    Terms terms;
    ep::TermBuilder builder{terms.env(), atoms()};
    for (size_t size = 1; size < 20; ++size) {
        INFO(size << " bytes");
        std::string bytes(size, '\0');
        bytes.front() = 5;
        CHECK(enif_is_identical(builder.big_integer(false, slice(bytes)), terms.integer(5)));
        CHECK(enif_is_identical(builder.big_integer(true, slice(bytes)), terms.integer(-5)));
    }
    const std::string most = magnitude("0x8000000000000000") + std::string(1, '\0');
    CHECK(enif_is_identical(builder.big_integer(true, slice(most)), terms.integer(INT64_MIN)));
    CHECK(enif_is_identical(builder.big_integer(false, slice("")), terms.integer(0)));
    CHECK(enif_is_identical(builder.big_integer(true, slice("")), terms.integer(0)));
    CHECK(enif_is_identical(builder.big_integer(true, slice(std::string(9, '\0'))), terms.integer(0)));
}

TEST_CASE("an integer larger than the VM's can be has no form, and nothing else is lost") {
    const std::string huge(16 << 20, '\xff');
    Terms terms;
    ep::TermBuilder builder{terms.env(), atoms()};
    try {
        const ERL_NIF_TERM term = builder.big_integer(false, slice(huge));
        // Some release of OTP may have room for it.
        CHECK(enif_is_identical(term, terms.integer(false, huge)));
    } catch (const ep::NoForm &) {
        SUCCEED("refused");
    }
    CHECK(enif_is_identical(builder.integer(1), terms.integer(1)));
}
