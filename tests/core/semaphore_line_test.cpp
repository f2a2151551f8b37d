// A semaphore and its line, as one thread sees them.
#include "waiters.hpp"

#include "catch.hpp"

using ep::Semaphore;

namespace {

// A semaphore all of whose slots are taken.
void fill(Semaphore &semaphore, std::string &record) {
    Named first{"!", record};
    while (semaphore.current() < semaphore.max()) {
        REQUIRE(semaphore.acquire(first));
    }
}

} // namespace

TEST_CASE("slots below the limit are taken at once, the rest wait") {
    Semaphore semaphore{2};
    std::string record;
    Named a{"a", record}, b{"b", record}, c{"c", record};
    CHECK(semaphore.acquire(a));
    CHECK(semaphore.acquire(b));
    CHECK_FALSE(semaphore.acquire(c));
    CHECK(semaphore.current() == 2);
    CHECK(semaphore.max() == 2);
    CHECK(record.empty());
}

TEST_CASE("a slot goes to the first in line, with what it was released with") {
    Semaphore semaphore{1};
    std::string record;
    fill(semaphore, record);
    Named a{"a", record}, b{"b", record};
    semaphore.acquire(a);
    semaphore.acquire(b);
    int environment = 0;
    semaphore.release(&environment);
    CHECK(record == "a");
    CHECK(a.environment == &environment);
    CHECK(semaphore.current() == 1);
    semaphore.release(nullptr);
    CHECK(record == "ab");
    semaphore.release(nullptr);
    CHECK(record == "ab");
    CHECK(semaphore.current() == 0);
}

TEST_CASE("who was granted a slot can wait again, behind the others") {
    Semaphore semaphore{1};
    std::string record;
    fill(semaphore, record);
    Named a{"a", record}, b{"b", record};
    semaphore.acquire(a);
    semaphore.acquire(b);
    semaphore.release(nullptr);
    semaphore.acquire(a);
    semaphore.release(nullptr);
    semaphore.release(nullptr);
    semaphore.release(nullptr);
    CHECK(record == "aba");
    CHECK(semaphore.current() == 0);
}

TEST_CASE("who withdraws is passed over, wherever it stood in line") {
    Semaphore semaphore{1};
    std::string record;
    fill(semaphore, record);
    Named a{"a", record}, b{"b", record}, c{"c", record}, d{"d", record};
    for (Named *waiter : {&a, &b, &c, &d}) {
        REQUIRE_FALSE(semaphore.acquire(*waiter));
    }
    std::string expected;
    SECTION("first") {
        CHECK(semaphore.withdraw(a));
        CHECK_FALSE(semaphore.withdraw(a));
        expected = "bcd";
    }
    SECTION("in the middle") {
        CHECK(semaphore.withdraw(b));
        CHECK(semaphore.withdraw(c));
        expected = "ad";
    }
    SECTION("last, with somebody behind it by then") {
        CHECK(semaphore.withdraw(d));
        REQUIRE_FALSE(semaphore.acquire(d));
        CHECK(semaphore.withdraw(c));
        expected = "abd";
    }
    SECTION("all of them") {
        for (Named *waiter : {&c, &a, &d, &b}) {
            CHECK(semaphore.withdraw(*waiter));
        }
    }
    while (semaphore.current() > 0) {
        semaphore.release(nullptr);
    }
    CHECK(record == expected);
}

TEST_CASE("withdrawing comes too late for a slot that was granted, or was never waited for") {
    Semaphore semaphore{1};
    std::string record;
    Named a{"a", record}, b{"b", record};
    REQUIRE(semaphore.acquire(a));
    CHECK_FALSE(semaphore.withdraw(a));
    REQUIRE_FALSE(semaphore.acquire(b));
    semaphore.release(nullptr);
    CHECK_FALSE(semaphore.withdraw(b));
    CHECK(record == "b");
    semaphore.release(nullptr);
    CHECK(semaphore.current() == 0);
}

TEST_CASE("a slot nobody in front wants goes to the next who does") {
    Semaphore semaphore{1};
    std::string record;
    fill(semaphore, record);
    Named a{"a", record, false}, b{"b", record, false}, c{"c", record};
    for (Named *waiter : {&a, &b, &c}) {
        semaphore.acquire(*waiter);
    }
    semaphore.release(nullptr);
    CHECK(record == "-a-bc");
    CHECK(semaphore.current() == 1);
    semaphore.release(nullptr);
    CHECK(semaphore.current() == 0);
}

TEST_CASE("a slot nobody in line wants is given back") {
    Semaphore semaphore{1};
    std::string record;
    fill(semaphore, record);
    Named a{"a", record, false}, b{"b", record, false};
    semaphore.acquire(a);
    semaphore.acquire(b);
    semaphore.release(nullptr);
    CHECK(record == "-a-b");
    CHECK(semaphore.current() == 0);
    CHECK(semaphore.acquire(a));
}

TEST_CASE("a higher limit lets in as many of the line as fit") {
    Semaphore semaphore{1};
    std::string record;
    fill(semaphore, record);
    Named a{"a", record}, b{"b", record, false}, c{"c", record}, d{"d", record};
    for (Named *waiter : {&a, &b, &c, &d}) {
        semaphore.acquire(*waiter);
    }
    int environment = 0;
    semaphore.set_max(3, &environment);
    CHECK(record == "a-bc"); // b's goes on
    CHECK(c.environment == &environment);
    CHECK(semaphore.current() == 3);
    CHECK(semaphore.max() == 3);
    for (int i = 0; i < 4; ++i) {
        semaphore.release(nullptr);
    }
    CHECK(record == "a-bcd");
    CHECK(semaphore.current() == 0);
}

TEST_CASE("a lower limit takes nothing away, and the line moves again when enough was released") {
    Semaphore semaphore{3};
    std::string record;
    fill(semaphore, record);
    Named a{"a", record}, b{"b", record};
    semaphore.acquire(a);
    semaphore.acquire(b);
    semaphore.set_max(1, nullptr);
    CHECK(semaphore.current() == 3);
    semaphore.release(nullptr);
    semaphore.release(nullptr);
    CHECK(record.empty());
    CHECK(semaphore.current() == 1);
    semaphore.release(nullptr);
    CHECK(record == "a");
    semaphore.release(nullptr);
    CHECK(record == "ab");
    semaphore.release(nullptr);
    CHECK(semaphore.current() == 0);
}

TEST_CASE("a slot is taken again above the limit, and the line waits until it is below") {
    Semaphore semaphore{1};
    std::string record;
    fill(semaphore, record);
    Named a{"a", record};
    semaphore.acquire(a);
    semaphore.retake();
    CHECK(semaphore.current() == 2);
    semaphore.release(nullptr);
    CHECK(record.empty());
    CHECK(semaphore.current() == 1);
    semaphore.release(nullptr);
    CHECK(record == "a");
    semaphore.release(nullptr);
    CHECK(semaphore.current() == 0);
}

TEST_CASE("who comes while others wait waits behind them") {
    Semaphore semaphore{2};
    std::string record;
    fill(semaphore, record);
    Named a{"a", record}, b{"b", record};
    semaphore.acquire(a);
    semaphore.retake(); // three are taken, so that the next release grants nothing
    semaphore.release(nullptr);
    CHECK_FALSE(semaphore.acquire(b));
    semaphore.release(nullptr);
    semaphore.release(nullptr);
    CHECK(record == "ab");
}

TEST_CASE("who comes while a higher limit lets the line in waits behind it") {
    // Comes when the first in line is granted its slot, as another thread might.
    struct Visitor : Semaphore::Waiter {
        Semaphore *semaphore = nullptr;
        Named *latecomer = nullptr;
        bool overtook = false;
    };
    Semaphore semaphore{1};
    std::string record;
    fill(semaphore, record);
    Named b{"b", record}, c{"c", record};
    Visitor a;
    a.semaphore = &semaphore;
    a.latecomer = &c;
    a.granted = [](Semaphore::Waiter *waiter, void *) {
        auto *self = static_cast<Visitor *>(waiter);
        self->overtook = self->semaphore->acquire(*self->latecomer);
        return true;
    };
    semaphore.acquire(a);
    semaphore.acquire(b);
    semaphore.set_max(3, nullptr);
    CHECK_FALSE(a.overtook);
    CHECK(record == "b");
    CHECK(semaphore.current() == 3);
    for (int i = 0; i < 4; ++i) {
        semaphore.release(nullptr);
    }
    CHECK(record == "bc");
    CHECK(semaphore.current() == 0);
}
