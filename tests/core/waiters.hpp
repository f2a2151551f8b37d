// Who waits in the line of a semaphore in these tests.
#pragma once

#include "plain/parker.hpp"
#include "plain/semaphore.hpp"

#include <atomic>
#include <string>

// Writes its name to a record when it is granted its slot, or "-name" when it has no use for it.
class Named : public ep::Semaphore::Waiter {
public:
    Named(std::string name, std::string &record, bool accepts = true)
        : name_(std::move(name)), record_(record), accepts_(accepts) {
        granted = [](Waiter *waiter, void *environment) {
            auto *self = static_cast<Named *>(waiter);
            self->record_ += (self->accepts_ ? "" : "-") + self->name_;
            self->environment = environment;
            return self->accepts_;
        };
    }

    void *environment = nullptr; // what it was granted with

private:
    std::string name_;
    std::string &record_;
    bool accepts_;
};

// Sleeps until its turn has come. Has to outlive the threads that release slots: one of them may still be waking it.
class Sleeper : public ep::Semaphore::Waiter {
public:
    Sleeper() {
        granted = [](Waiter *waiter, void *) { return static_cast<Sleeper *>(waiter)->turn(); };
    }

    // Whether it took the slot that was its turn.
    bool wait() {
        while (turn_.load() == Turn::none) {
            parker_.park();
        }
        return turn_.exchange(Turn::none) == Turn::taken;
    }
    // Whether it will take a slot when its turn comes.
    std::atomic<bool> wants{true};

private:
    enum class Turn { none, taken, refused };

    bool turn() {
        const bool takes = wants.load();
        turn_.store(takes ? Turn::taken : Turn::refused);
        parker_.unpark();
        return takes;
    }

    ep::Parker parker_;
    std::atomic<Turn> turn_{Turn::none};
};
