// A dictionary: every function does what it does at one moment, and the limit holds.
#include "plain/dictionary.hpp"
#include "together.hpp"

#include "catch.hpp"

#include <set>
#include <string>

using ep::Dictionary;
using Names = Dictionary<std::string>;

namespace {

Names::Shared shared(const char *text) {
    return std::make_shared<const std::string>(text);
}

} // namespace

TEST_CASE("what was stored is found, until it is removed") {
    Names names;
    CHECK_FALSE(names.find("a"));
    CHECK(names.store("a", shared("first"), 10) == Names::Stored::ok);
    CHECK(names.store("a", shared("second"), 10) == Names::Stored::ok);
    CHECK(*std::get<Names::Shared>(*names.find("a")) == "second");
    CHECK(names.size() == 1);
    CHECK(names.remove("a"));
    CHECK_FALSE(names.remove("a"));
    CHECK_FALSE(names.find("a"));
    CHECK(names.size() == 0);
}

TEST_CASE("keys are bytes") {
    Names names;
    const std::string zero{"\0", 1};
    names.store(zero, shared("zero"), 10);
    names.store("", shared("empty"), 10);
    CHECK(*std::get<Names::Shared>(*names.find(zero)) == "zero");
    CHECK(*std::get<Names::Shared>(*names.find("")) == "empty");
}

TEST_CASE("a full dictionary takes no new keys, and still replaces") {
    Names names;
    CHECK(names.store("a", shared("1"), 2) == Names::Stored::ok);
    CHECK(names.store("b", shared("2"), 2) == Names::Stored::ok);
    CHECK(names.store("c", shared("3"), 2) == Names::Stored::full);
    int64_t sum = 0;
    CHECK(names.add("c", 1, 2, sum) == Names::Added::full);
    CHECK(names.store("a", shared("4"), 2) == Names::Stored::ok);
    CHECK(names.remove("b"));
    CHECK(names.store("c", shared("3"), 2) == Names::Stored::ok);
}

TEST_CASE("replacing makes no new keys") {
    Names names;
    CHECK(names.store("a", shared("1"), std::nullopt) == Names::Stored::absent);
    CHECK(names.size() == 0);
    names.store("a", shared("1"), 1);
    CHECK(names.store("a", shared("2"), std::nullopt) == Names::Stored::ok);
    CHECK(*std::get<Names::Shared>(*names.find("a")) == "2");
}

TEST_CASE("counters count, and nothing else does") {
    Names names;
    int64_t sum = 0;
    CHECK(names.add("n", 5, std::nullopt, sum) == Names::Added::absent);
    CHECK(names.add("n", 5, 10, sum) == Names::Added::ok);
    CHECK(sum == 5);
    CHECK(names.add("n", -7, std::nullopt, sum) == Names::Added::ok);
    CHECK(sum == -2);
    CHECK(std::get<int64_t>(*names.find("n")) == -2);
    names.store("text", shared("five"), 10);
    CHECK(names.add("text", 1, 10, sum) == Names::Added::no_counter);
    names.store("most", INT64_MAX, 10);
    CHECK(names.add("most", 1, 10, sum) == Names::Added::out_of_range);
    CHECK(std::get<int64_t>(*names.find("most")) == INT64_MAX);
}

TEST_CASE("what a reader holds outlives its removal") {
    Names names;
    names.store("a", shared("kept"), 10);
    auto held = std::get<Names::Shared>(*names.find("a"));
    names.clear();
    CHECK(*held == "kept");
    CHECK(names.keys().empty());
}

TEST_CASE("a limit of nothing is one") {
    Names names;
    int64_t sum = 0;
    CHECK(names.store("a", shared("1"), 0) == Names::Stored::full);
    CHECK(names.add("a", 1, 0, sum) == Names::Added::full);
}

TEST_CASE("nothing gets into a closed dictionary") {
    Names names;
    names.store("a", shared("1"), 10);
    names.close();
    int64_t sum = 0;
    CHECK(names.closed());
    CHECK(names.store("a", shared("1"), 10) == Names::Stored::closed);
    CHECK(names.add("b", 1, 10, sum) == Names::Added::closed);
    CHECK(names.size() == 0);
}

TEST_CASE("whoever stores while it is closed leaves nothing behind") {
    for (int round = 0; round < 200; ++round) {
        Names names;
        together(3, [&](int thread) {
            if (thread == 0) {
                names.close();
                return;
            }
            for (int i = 0; i < 20; ++i) {
                names.store(std::to_string(thread * 100 + i), shared("x"), 1000);
            }
        });
        REQUIRE(names.size() == 0);
        REQUIRE(names.keys().empty());
    }
}

TEST_CASE("threads count together, and the limit holds") {
    Names names;
    together(4, [&](int thread) {
        int64_t sum = 0;
        for (int i = 0; i < 5000; ++i) {
            names.add("hits", 1, 100, sum);
            names.store("key " + std::to_string(thread) + " " + std::to_string(i % 50), shared("x"), 100);
            if (i % 64 == 0) {
                names.keys();
            }
        }
    });
    CHECK(std::get<int64_t>(*names.find("hits")) == 20'000);
    CHECK(names.size() == 100);
    const auto keys = names.keys();
    CHECK(std::set<std::string>(keys.begin(), keys.end()).size() == 100);
}
