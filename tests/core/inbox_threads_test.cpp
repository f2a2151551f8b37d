// An inbox with many senders: nothing is lost, doubled or overtaken, whenever the owner sleeps or somebody closes it.
#include "no_spinning.hpp"
#include "plain/inbox.hpp"
#include "together.hpp"

#include "catch.hpp"

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using ep::Inbox;
using ep::Message;

namespace {

constexpr int senders = 4;
constexpr int each = 5000;

struct Letter : Message {
    int sender = 0;
    int number = 0;
};

// Every sender's letters, written before they are sent.
class Post {
public:
    Post() : letters_(senders, std::vector<Letter>(each)) {
        for (int sender = 0; sender < senders; ++sender) {
            for (int number = 0; number < each; ++number) {
                letters_[sender][number].sender = sender;
                letters_[sender][number].number = number;
            }
        }
    }
    // How many were accepted.
    int send(int sender, Inbox &inbox) {
        for (int number = 0; number < each; ++number) {
            if (!inbox.push(&letters_[sender][number])) {
                return number;
            }
        }
        return each;
    }

private:
    std::vector<std::vector<Letter>> letters_;
};

// What arrived, in its order. Used by one thread at a time.
class Arrivals {
public:
    void add(Message *message) {
        for (; message != nullptr; message = message->next) {
            auto *letter = static_cast<Letter *>(message);
            in_order_ = in_order_ && letter->number == next_[letter->sender];
            next_[letter->sender] = letter->number + 1;
            ++count_;
        }
    }
    int count() const { return count_; }
    int of(int sender) const { return next_[sender]; }
    bool in_order() const { return in_order_; }

private:
    std::vector<int> next_ = std::vector<int>(senders);
    int count_ = 0;
    bool in_order_ = true;
};

void receive_everything(Inbox &inbox, Arrivals &arrivals, std::optional<std::chrono::microseconds> patience) {
    while (arrivals.count() < senders * each) {
        ep::Parker::Deadline deadline;
        if (patience) {
            deadline = std::chrono::steady_clock::now() + *patience;
        }
        inbox.wait(deadline);
        arrivals.add(inbox.take());
    }
}

void check_that_everything_arrives(std::optional<std::chrono::microseconds> patience) {
    Inbox inbox;
    Post post;
    Arrivals arrivals;
    together(senders + 1, [&](int i) {
        if (i == senders) {
            receive_everything(inbox, arrivals, patience);
        } else {
            post.send(i, inbox);
        }
    });
    CHECK(arrivals.count() == senders * each);
    CHECK(arrivals.in_order());
    CHECK(inbox.take() == nullptr);
}

} // namespace

TEST_CASE("what many senders push arrives once, each sender's in its order") {
    SECTION("to an owner that spins before it sleeps") {
        check_that_everything_arrives({});
    }
    SECTION("to an owner that sleeps at once") {
        NoSpinning none;
        check_that_everything_arrives({});
    }
    SECTION("to an owner whose deadlines are over all the time") {
        NoSpinning none;
        check_that_everything_arrives(1us);
    }
}

TEST_CASE("every push wakes an owner that sleeps") {
    NoSpinning none;
    Inbox to, fro;
    Message ball;
    int returned = 0;
    constexpr int rounds = 5000;
    std::jthread partner{[&] {
        for (int i = 0; i < rounds; ++i) {
            to.wait();
            fro.push(to.take());
        }
    }};
    for (int i = 0; i < rounds; ++i) {
        to.push(&ball);
        fro.wait();
        returned += fro.take() == &ball ? 1 : 0;
    }
    CHECK(returned == rounds);
}

TEST_CASE("closing wakes an owner that sleeps or is about to") {
    NoSpinning none;
    constexpr int rounds = 500;
    int woken = 0;
    for (int i = 0; i < rounds; ++i) {
        Inbox inbox;
        std::jthread owner{[&] {
            while (!inbox.closed()) {
                inbox.wait();
            }
        }};
        if (i % 2 == 0) {
            std::this_thread::yield();
        }
        woken += inbox.close() == nullptr ? 1 : 0;
    }
    CHECK(woken == rounds);
}

TEST_CASE("closed under load, a message was taken, is handed back or was refused") {
    for (int round = 0; round < 20; ++round) {
        Inbox inbox;
        Post post;
        Arrivals arrivals;
        Message *left = nullptr;
        std::atomic<int> taken{0};
        std::vector<int> accepted(senders);
        together(senders + 2, [&](int i) {
            if (i < senders) {
                accepted[i] = post.send(i, inbox);
            } else if (i == senders) {
                while (!inbox.closed()) {
                    inbox.wait();
                    arrivals.add(inbox.take());
                    taken.store(arrivals.count());
                }
            } else {
                while (taken.load() < each / 4) {
                    std::this_thread::yield();
                }
                left = inbox.close();
            }
        });
        arrivals.add(left); // they are newer than all that was taken
        CHECK(arrivals.in_order());
        for (int sender = 0; sender < senders; ++sender) {
            CHECK(arrivals.of(sender) == accepted[sender]);
        }
    }
}

TEST_CASE("closing races taking: the message is one's or the other's, and the inbox stays closed") {
    std::optional<Inbox> inbox;
    Message message, late;
    Message *taken = nullptr, *left = nullptr;
    int wrong = 0;
    duel(
        20000,
        [&] {
            inbox.emplace();
            inbox->push(&message);
        },
        [&] { left = inbox->close(); }, [&] { taken = inbox->take(); },
        [&] {
            const bool once = (taken == &message) != (left == &message);
            wrong += once && inbox->closed() && !inbox->push(&late) ? 0 : 1;
        });
    CHECK(wrong == 0);
}

TEST_CASE("closing races pushing: a message is accepted and handed back, or refused") {
    std::optional<Inbox> inbox;
    Message message;
    Message *left = nullptr;
    bool accepted = false;
    int wrong = 0;
    duel(
        20000, [&] { inbox.emplace(); }, [&] { left = inbox->close(); }, [&] { accepted = inbox->push(&message); },
        [&] { wrong += left == (accepted ? &message : nullptr) && inbox->closed() ? 0 : 1; });
    CHECK(wrong == 0);
}
