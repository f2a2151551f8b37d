// The inbox of a thread: any thread pushes, one takes.
#pragma once

#include "parker.hpp"
#include "spin.hpp"
#include "wake_fd.hpp"

#include <atomic>
#include <cstdint>

namespace ep {

// What an inbox holds. Whoever pushed a message successfully has given it away.
struct Message {
    Message *next = nullptr; // guarded by being in one list at a time
    uint32_t kind = 0;       // set before push, read by the taker
};

// A lock-free stack that the owner empties in one exchange and turns around, so that messages of one sender stay in
// order. Two values of the head are no messages: `sleeping` says that the owner waits in the kernel, which lets push
// know from the same exchange whether to wake it; `closed` refuses what comes.
class Inbox {
public:
    Inbox() = default;
    Inbox(const Inbox &) = delete;
    Inbox &operator=(const Inbox &) = delete;

    // False when the inbox is closed; the message is still the caller's then. Any thread.
    bool push(Message *message) noexcept {
        Message *head = head_.load(std::memory_order_relaxed); // the exchange below validates it
        do {
            if (head == closed_mark()) {
                return false;
            }
            message->next = head == sleeping_mark() ? nullptr : head;
        } while (!head_.compare_exchange_weak(head, message));
        if (head == sleeping_mark()) {
            wake_owner();
        }
        return true;
    }

    // Everything there is, oldest first, or nullptr. The owner only.
    Message *take() noexcept {
        Message *head = head_.load(std::memory_order_relaxed); // only to leave the line alone when it is empty
        if (head == nullptr || head == closed_mark()) {
            return nullptr;
        }
        // Closing may come in between, and must stay.
        while (!head_.compare_exchange_weak(head, nullptr)) {
            if (head == closed_mark()) {
                return nullptr;
            }
        }
        return turn_around(head);
    }

    // Refuses what comes from now on and returns what was still there, oldest first. Any thread, once.
    Message *close() noexcept {
        Message *head = head_.exchange(closed_mark());
        if (head == sleeping_mark()) {
            wake_owner();
            return nullptr;
        }
        return head == closed_mark() ? nullptr : turn_around(head);
    }

    // Whether there is nothing to take, at this moment; false when it is closed. The owner only.
    bool empty() const noexcept { return head_.load(std::memory_order_acquire) == nullptr; }

    bool closed() const noexcept { return head_.load() == closed_mark(); }

    // Waits for some microseconds, without the kernel. True when there is something to take, or it was closed. The owner
    // only.
    bool spin() const noexcept {
        return ep::spin([this] { return !empty(); });
    }

    // Returns when there is something to take, the inbox was closed or the deadline is over. The owner only.
    void wait(const Parker::Deadline &deadline = std::nullopt) noexcept {
        if (spin()) {
            return;
        }
        Message *head = nullptr;
        if (!head_.compare_exchange_strong(head, sleeping_mark())) {
            return;
        }
        parker_.park(deadline);
        head = sleeping_mark();
        head_.compare_exchange_strong(head, nullptr);
    }

    // The same for an owner that waits for files, too: between the two it sleeps in poll() or the like, which `wake` ends
    // when there is something to take. False when there is something already. Whoever pushes may still use `wake` a
    // moment after end_poll(). The owner only.
    bool begin_poll(WakeFd &wake) noexcept {
        polling_.store(&wake);
        Message *head = nullptr;
        return head_.compare_exchange_strong(head, sleeping_mark());
    }
    void end_poll() noexcept {
        Message *head = sleeping_mark();
        head_.compare_exchange_strong(head, nullptr);
        polling_.store(nullptr);
    }

private:
    // A sender that was slow may wake an owner that waits in the other way by now, or not at all: once too often.
    void wake_owner() noexcept {
        if (WakeFd *wake = polling_.load()) {
            wake->signal();
        } else {
            parker_.unpark();
        }
    }

    static Message *turn_around(Message *head) noexcept {
        Message *first = nullptr;
        while (head != nullptr) {
            Message *next = head->next;
            head->next = first;
            first = head;
            head = next;
        }
        return first;
    }

    static Message *sleeping_mark() noexcept { return &marks_[0]; }
    static Message *closed_mark() noexcept { return &marks_[1]; }
    inline static Message marks_[2];

    std::atomic<Message *> head_{nullptr};
    std::atomic<WakeFd *> polling_{nullptr}; // while the owner waits for files, too
    Parker parker_;
};

} // namespace ep
