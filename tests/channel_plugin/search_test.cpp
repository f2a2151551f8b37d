#include <search.hpp>

#include <catch.hpp>
#include <random>
#include <string>
#include <string_view>

namespace {

size_t found_at(std::string_view data, std::string_view what) {
    const auto *begin = reinterpret_cast<const unsigned char *>(data.data());
    const auto *found =
        ep::channel::find_bytes(begin, data.size(), reinterpret_cast<const unsigned char *>(what.data()), what.size());
    return found != nullptr ? static_cast<size_t>(found - begin) : std::string_view::npos;
}

} // namespace

TEST_CASE("bytes are found where the standard library finds them") {
    std::mt19937 random{1};
    auto text = [&](size_t most) {
        std::string some(random() % (most + 1), 'a');
        for (char &c : some) {
            c = "ab"[random() % 2];
        }
        return some;
    };
    for (int i = 0; i < 100'000; ++i) {
        const std::string data = text(40);
        const std::string what = text(5);
        REQUIRE(found_at(data, what) == data.find(what));
    }
}

TEST_CASE("what is longer, empty, or not there is no trouble") {
    CHECK(found_at("", "") == 0);
    CHECK(found_at("", "a") == std::string_view::npos);
    CHECK(found_at("ab", "abc") == std::string_view::npos);
    CHECK(found_at("ab", "") == 0);
    CHECK(found_at(std::string(1'000'000, 'a'), std::string(1000, 'a') + "b") == std::string_view::npos);
}
