// Requests in a row.
#pragma once

#include "request.hpp"

namespace ep {

// Linked through Message::next; a request is in one list at most. Not for several threads at once.
class RequestList {
public:
    bool empty() const noexcept { return first_ == nullptr; }
    void append(Request *request) noexcept {
        request->next = nullptr;
        (last_ != nullptr ? last_->next : first_) = request;
        last_ = request;
    }
    Request *pop() noexcept {
        return pop_if([](const Request *) { return true; });
    }
    // Takes the first one that matches out; nullptr when none does.
    template <class Matches> Request *pop_if(Matches matches) noexcept {
        Message *previous = nullptr;
        for (Message *message = first_; message != nullptr; previous = message, message = message->next) {
            auto *request = static_cast<Request *>(message);
            if (matches(request)) {
                (previous != nullptr ? previous->next : first_) = message->next;
                if (last_ == message) {
                    last_ = previous;
                }
                return request;
            }
        }
        return nullptr;
    }
    template <class Matches> bool any(Matches matches) const noexcept {
        for (const Message *message = first_; message != nullptr; message = message->next) {
            if (matches(static_cast<const Request *>(message))) {
                return true;
            }
        }
        return false;
    }
    RequestList take_all() noexcept {
        RequestList all = *this;
        first_ = last_ = nullptr;
        return all;
    }

private:
    Message *first_ = nullptr;
    Message *last_ = nullptr;
};

} // namespace ep
