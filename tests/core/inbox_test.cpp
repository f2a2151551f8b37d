// An inbox as one thread sees it.
#include "no_spinning.hpp"
#include "plain/inbox.hpp"

#include "catch.hpp"

#include <chrono>
#include <vector>

using namespace std::chrono_literals;
using ep::Inbox;
using ep::Message;

namespace {

std::vector<const Message *> in_order(const Message *message) {
    std::vector<const Message *> all;
    for (; message != nullptr; message = message->next) {
        all.push_back(message);
    }
    return all;
}

} // namespace

TEST_CASE("a new inbox is open and has nothing to take") {
    Inbox inbox;
    CHECK(inbox.take() == nullptr);
    CHECK_FALSE(inbox.closed());
}

TEST_CASE("messages are taken oldest first, all at once") {
    Inbox inbox;
    Message a, b, c;
    REQUIRE(inbox.push(&a));
    REQUIRE(inbox.push(&b));
    REQUIRE(inbox.push(&c));
    CHECK(in_order(inbox.take()) == std::vector<const Message *>{&a, &b, &c});
    CHECK(inbox.take() == nullptr);
}

TEST_CASE("a message that was taken can be pushed again") {
    Inbox inbox;
    Message message;
    for (int i = 0; i < 3; ++i) {
        REQUIRE(inbox.push(&message));
        CHECK(in_order(inbox.take()) == std::vector<const Message *>{&message});
    }
}

TEST_CASE("closing returns what was left, oldest first, and refuses the rest") {
    Inbox inbox;
    Message a, b, late;
    REQUIRE(inbox.push(&a));
    REQUIRE(inbox.push(&b));
    CHECK(in_order(inbox.close()) == std::vector<const Message *>{&a, &b});
    CHECK(inbox.closed());
    CHECK_FALSE(inbox.push(&late));
    CHECK(inbox.take() == nullptr);
    CHECK(inbox.closed());
}

TEST_CASE("waiting for an inbox that has a message or is closed returns at once") {
    Inbox inbox;
    Message message;
    SECTION("with a message") {
        REQUIRE(inbox.push(&message));
        inbox.wait();
        CHECK(inbox.take() == &message);
    }
    SECTION("closed") {
        inbox.close();
        inbox.wait();
        CHECK(inbox.closed());
    }
    SECTION("with a message, without spinning") {
        NoSpinning none;
        REQUIRE(inbox.push(&message));
        inbox.wait();
        CHECK(inbox.take() == &message);
    }
    SECTION("closed, without spinning") {
        NoSpinning none;
        inbox.close();
        inbox.wait();
        CHECK(inbox.closed());
    }
}

TEST_CASE("waiting ends with the deadline, and the inbox is as before") {
    Inbox inbox;
    Message message;
    for (auto patience : {-1ms, 0ms, 3ms}) {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        inbox.wait(deadline);
        CHECK(std::chrono::steady_clock::now() >= deadline);
        CHECK(inbox.take() == nullptr);
        REQUIRE(inbox.push(&message));
        CHECK(inbox.take() == &message);
    }
}
