// An inbox whose owner waits for files as well.
#include "plain/inbox.hpp"
#include "together.hpp"

#include "catch.hpp"

#include <atomic>
#include <poll.h>
#include <thread>
#include <unistd.h>
#include <vector>

using ep::Inbox;
using ep::Message;
using ep::WakeFd;

namespace {

bool readable(int fd, int milliseconds = 0) {
    pollfd file{fd, POLLIN, 0};
    return poll(&file, 1, milliseconds) == 1;
}

// What an event loop does: true when there may be something to take.
bool wait(Inbox &inbox, WakeFd &wake, int milliseconds) {
    const bool sleeps = inbox.begin_poll(wake);
    const bool woken = !sleeps || readable(wake.fd(), milliseconds);
    inbox.end_poll();
    if (woken && sleeps) {
        wake.drain();
    }
    return woken;
}

} // namespace

TEST_CASE("a file descriptor to wake is made once, and is readable from a signal until it is drained") {
    WakeFd wake;
    CHECK(wake.fd() == -1);
    REQUIRE(wake.open());
    const int fd = wake.fd();
    REQUIRE(wake.open());
    CHECK(wake.fd() == fd);
    CHECK_FALSE(readable(fd));
    for (int i = 0; i < 100'000; ++i) { // more than a pipe holds
        wake.signal();
    }
    CHECK(readable(fd));
    wake.drain();
    CHECK_FALSE(readable(fd));
}

TEST_CASE("there is nothing to sleep for when there is something to take, or never will be") {
    WakeFd wake;
    REQUIRE(wake.open());
    Inbox inbox;
    Message message;
    CHECK(inbox.empty());
    REQUIRE(inbox.push(&message));
    CHECK_FALSE(inbox.empty());
    CHECK_FALSE(inbox.begin_poll(wake));
    inbox.end_poll();
    CHECK(inbox.take() == &message);
    inbox.close();
    CHECK_FALSE(inbox.empty());
    CHECK_FALSE(inbox.begin_poll(wake));
    inbox.end_poll();
    CHECK(inbox.closed());
    CHECK_FALSE(readable(wake.fd()));
}

TEST_CASE("whoever pushes or closes wakes an owner that polls, and no other") {
    WakeFd wake;
    REQUIRE(wake.open());
    Inbox inbox;
    Message first, second;
    REQUIRE(inbox.begin_poll(wake));
    REQUIRE(inbox.push(&first));
    CHECK(readable(wake.fd()));
    wake.drain();
    REQUIRE(inbox.push(&second)); // it has been woken
    CHECK_FALSE(readable(wake.fd()));
    inbox.end_poll();
    Message *taken = inbox.take();
    REQUIRE(taken == &first);
    CHECK(taken->next == &second);
    SECTION("one that does not sleep is not woken") {
        REQUIRE(inbox.push(&first));
        CHECK_FALSE(readable(wake.fd()));
    }
    SECTION("closing wakes, too") {
        REQUIRE(inbox.begin_poll(wake));
        CHECK(inbox.close() == nullptr);
        CHECK(readable(wake.fd()));
        inbox.end_poll();
        CHECK(inbox.closed());
    }
    SECTION("nothing is left of a sleep that nobody ended") {
        REQUIRE(inbox.begin_poll(wake));
        inbox.end_poll();
        CHECK(inbox.take() == nullptr);
        CHECK(inbox.empty());
    }
}

TEST_CASE("an owner that waits now for files and now without them misses nothing") {
    constexpr int senders = 4;
    constexpr int each = 5000;
    WakeFd wake;
    REQUIRE(wake.open());
    Inbox inbox;
    std::vector<Message> letters(size_t{senders} * each);
    std::atomic<bool> missed{false};
    int received = 0;
    together(senders + 1, [&](int i) {
        if (i < senders) {
            for (int letter = 0; letter < each; ++letter) {
                inbox.push(&letters[size_t(i) * each + size_t(letter)]);
            }
            return;
        }
        for (int turn = 0; received < senders * each && !missed; ++turn) {
            if (turn % 3 == 0) {
                inbox.wait(std::chrono::steady_clock::now() + std::chrono::seconds{20});
            } else if (!wait(inbox, wake, turn % 3 == 1 ? 20'000 : 0) && turn % 3 == 1) {
                missed = true;
            }
            for (Message *message = inbox.take(); message != nullptr; message = message->next) {
                ++received;
            }
        }
    });
    CHECK_FALSE(missed);
    CHECK(received == senders * each);
}

TEST_CASE("a ball goes to and fro between owners that poll") {
    WakeFd wake_to, wake_fro;
    REQUIRE(wake_to.open());
    REQUIRE(wake_fro.open());
    Inbox to, fro;
    Message ball;
    constexpr int rounds = 5000;
    auto receive = [](Inbox &inbox, WakeFd &wake) {
        Message *message = nullptr;
        while ((message = inbox.take()) == nullptr && wait(inbox, wake, 20'000)) {
        }
        return message;
    };
    std::jthread partner{[&] {
        for (int i = 0; i < rounds; ++i) {
            if (Message *message = receive(to, wake_to)) {
                fro.push(message);
            }
        }
    }};
    int returned = 0;
    for (int i = 0; i < rounds; ++i) {
        to.push(&ball);
        returned += receive(fro, wake_fro) == &ball ? 1 : 0;
    }
    CHECK(returned == rounds);
}
