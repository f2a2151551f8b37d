#include "channel.hpp"

#include "term_size.hpp"

#include <algorithm>
#include <system_error>
#include <thread>
#include <utility>

namespace ep::channel {

namespace {

// How many terms are measured and copied on a scheduler.
constexpr uint64_t scheduler_budget = 20'000;
// Up to this size messages share environments, and their binaries are copied: they might be parts of larger ones.
constexpr uint64_t largest_copy = 2048;
// From so many messages on a channel that nobody refers to is not emptied by whoever happened to let go of it.
constexpr uint64_t many = 1000;
// How many terms a process may copy for a percent of its timeslice.
constexpr uint64_t terms_of_one = 400;

struct ChannelResource {
    ep_resource base;
    Channel channel;
};

Channel &channel_of(void *resource) noexcept {
    return static_cast<ChannelResource *>(resource)->channel;
}

// What makes no percent by itself is kept, for whoever runs on the thread next.
void spend_for(const ep_call &call, uint64_t terms) noexcept {
    thread_local uint64_t left = 0;
    left += terms;
    if (left >= terms_of_one) {
        spend(call, left / terms_of_one);
        left %= terms_of_one;
    }
}

void destroy(ErlNifEnv *, void *resource) {
    channel_of(resource).~Channel();
}

void down(ErlNifEnv *env, void *resource, ErlNifPid *, ErlNifMonitor *monitor) {
    channel_of(resource).process_down(env, *monitor);
}

} // namespace

const ep_resource_type channel_type{
    sizeof(ep_resource_type), sizeof(ChannelResource), "channel", nullptr, destroy, down, nullptr,
};

ERL_NIF_TERM make_channel(ErlNifEnv *env, bool bytes, uint64_t most) {
    auto *resource = static_cast<ChannelResource *>(host().resource_new(&channel_type));
    new (&resource->channel) Channel{resource->base, bytes, most};
    ERL_NIF_TERM term = enif_make_resource(env, resource);
    enif_release_resource(resource);
    return term;
}

Channel *Channel::of(ErlNifEnv *env, ERL_NIF_TERM term) {
    void *resource = nullptr;
    return host().resource_of(env, term, &channel_type, &resource) == EP_OK ? &channel_of(resource) : nullptr;
}

// Nobody refers to it, so nobody waits.
Channel::~Channel() {
    if (queue_.count() > many) {
        auto *rest = new Queue{std::move(queue_)};
        try {
            std::thread{[rest] { delete rest; }}.detach();
        } catch (const std::system_error &) { // no thread is to be had
            delete rest;
        }
    }
}

ep_waker *Line::take_first(uint64_t room) noexcept {
    auto found = std::find_if(wakers_.begin(), wakers_.end(), [=](const Entry &one) { return one.size <= room; });
    if (found == wakers_.end()) {
        return nullptr;
    }
    ep_waker *waker = found->waker;
    wakers_.erase(found);
    return waker;
}

bool Line::take(ep_waker *waker) noexcept {
    auto found = std::find_if(wakers_.begin(), wakers_.end(), [=](const Entry &one) { return one.waker == waker; });
    if (found == wakers_.end()) {
        return false;
    }
    wakers_.erase(found);
    return true;
}

// Of those that wait on one side one is woken at a time, and passes on what it leaves: as many as can go on do, and no
// more are woken than that.
class Channel::Lock {
public:
    Lock(Channel &channel, ErlNifEnv *sender) : channel_(channel), sender_(sender), lock_(channel.mutex_) {}
    ~Lock() {
        for (;;) {
            ep_waker *receiver = wake_receiver_ ? channel_.receivers_.take_first() : nullptr;
            ep_waker *sender = wake_sender_ ? channel_.senders_.take_first(channel_.room()) : nullptr;
            lock_.unlock();
            wake_receiver_ = receiver != nullptr && host().waker_wake(receiver, sender_) == 0;
            wake_sender_ = sender != nullptr && host().waker_wake(sender, sender_) == 0;
            if (!wake_receiver_ && !wake_sender_) {
                return;
            }
            lock_.lock();
            wake_receiver_ = wake_receiver_ && !channel_.queue_.empty();
        }
    }
    Lock(const Lock &) = delete;
    Lock &operator=(const Lock &) = delete;

    ErlNifEnv *sender() const noexcept { return sender_; }
    void wake_receiver() noexcept { wake_receiver_ = true; }
    void wake_sender() noexcept { wake_sender_ = true; }

private:
    Channel &channel_;
    ErlNifEnv *sender_;
    std::unique_lock<std::mutex> lock_;
    bool wake_receiver_ = false;
    bool wake_sender_ = false;
};

uint64_t Channel::room() const noexcept {
    return most_ == 0 ? UINT64_MAX : most_ - std::min(most_, queue_.bytes());
}

// Whether another process waits.
bool Channel::is_others(const ErlNifPid &self, ErlNifEnv *env) const noexcept {
    ErlNifPid process = process_;
    return process_waker_ != nullptr && enif_compare_pids(&process, &self) != 0 &&
           enif_is_process_alive(env, &process) != 0;
}

// What becomes of a message that does not fit now.
ep_status Channel::no_room(ep_call &call, uint64_t size) {
    if (call.waker == nullptr) {
        return EP_PENDING;
    }
    if (size > most_) {
        call.result = atoms().too_large;
        return EP_FAILED;
    }
    senders_.add(call.waker, size);
    host().waker_keep(call.waker, &resource_, sender_gave_up);
    return EP_PENDING;
}

void Channel::sent(Lock &lock) {
    if (subscriber_.is_there) {
        feed_subscriber(lock);
    }
    if (!queue_.empty()) {
        lock.wake_receiver();
    }
    if (!senders_.empty()) {
        lock.wake_sender();
    }
}

void Channel::taken(Lock &lock) {
    if (!queue_.empty()) {
        lock.wake_receiver();
    } else if (closed_) {
        feed_subscriber(lock); // it is told that this was the last one
    }
    lock.wake_sender();
}

template <class Push> ep_status Channel::send(ep_call &call, uint64_t size, Push push) {
    Lock lock{*this, call.sender};
    if (closed_) {
        return EP_CLOSED;
    }
    if (!has_room(size)) {
        return no_room(call, size);
    }
    push();
    sent(lock);
    return EP_OK;
}

ep_status Channel::send_term(ep_call &call, ERL_NIF_TERM term) {
    const TermSize size = measure(call.env, term, on_scheduler() ? scheduler_budget : UINT64_MAX);
    if (size.too_long) {
        return EP_TOO_LONG;
    }
    spend_for(call, size.visited);
    if (!size.pins && size.bytes <= largest_copy) {
        return send(call, size.bytes, [&] {
            queue_.push_copy(size.bytes, size.visited, [&](ErlNifEnv *env) {
                return size.binaries ? copy_with_binaries(env, call.env, term) : enif_make_copy(env, term);
            });
        });
    }
    HostEnv env;
    ERL_NIF_TERM copy = enif_make_copy(env.get(), term);
    return send(call, size.bytes, [&] { queue_.push(env.release(), copy, size.bytes, size.visited); });
}

ep_status Channel::send_bytes(ep_call &call, ERL_NIF_TERM binary) {
    ErlNifBinary data;
    if (!enif_inspect_binary(call.env, binary, &data)) {
        return EP_WRONG_KIND;
    }
    if (data.size <= largest_copy) {
        return send(call, data.size, [&] {
            queue_.push_copy(data.size, 1, [&](ErlNifEnv *env) { return copy_with_binaries(env, call.env, binary); });
        });
    }
    HostEnv env;
    ERL_NIF_TERM copy = enif_make_copy(env.get(), binary);
    return send(call, data.size, [&] { queue_.push(env.release(), copy, data.size, 1); });
}

ep_status Channel::receive(ep_call &call) {
    Lock lock{*this, call.sender};
    ErlNifPid self;
    const bool is_process = call.from == EP_FROM_ERLANG && enif_self(call.env, &self) != nullptr;
    if (!queue_.empty()) {
        const uint64_t work = queue_.next_work();
        if (is_process && work > scheduler_budget && on_scheduler()) {
            return EP_TOO_LONG;
        }
        if (is_process && process_waker_ != nullptr && enif_compare_pids(&process_, &self) == 0) {
            process_waker_ = nullptr;
        }
        const Taken message = queue_.pop();
        call.result = message.term;
        call.owner = message.owner;
        call.release = message.give_back;
        taken(lock);
        spend_for(call, work);
        return EP_OK;
    }
    if (closed_) {
        return EP_CLOSED;
    }
    if (call.waker == nullptr) {
        return EP_PENDING;
    }
    if (is_process && (subscriber_.is_there || is_others(self, call.sender))) {
        call.result = atoms().waiter_exists;
        return EP_FAILED;
    }
    receivers_.add(call.waker);
    if (is_process) {
        process_waker_ = call.waker;
        process_ = self;
    }
    host().waker_keep(call.waker, &resource_, receiver_gave_up);
    return EP_PENDING;
}

void Channel::receiver_gave_up(void *resource, ep_waker *waker, ErlNifEnv *sender) {
    Channel &channel = channel_of(resource);
    Lock lock{channel, sender};
    if (channel.process_waker_ == waker) {
        channel.process_waker_ = nullptr;
    }
    if (channel.receivers_.take(waker)) {
        host().waker_drop(waker);
    } else if (!channel.queue_.empty()) {
        lock.wake_receiver();
    }
}

void Channel::sender_gave_up(void *resource, ep_waker *waker, ErlNifEnv *sender) {
    Channel &channel = channel_of(resource);
    Lock lock{channel, sender};
    if (channel.senders_.take(waker)) {
        host().waker_drop(waker);
    } else {
        lock.wake_sender();
    }
}

void Channel::close(ErlNifEnv *sender) {
    {
        Lock lock{*this, sender};
        if (closed_) {
            return;
        }
        closed_ = true;
        process_waker_ = nullptr;
        feed_subscriber(lock);
    }
    for (;;) { // one at a time: there may be many, and nobody joins them any more
        std::unique_lock lock{mutex_};
        ep_waker *waker = receivers_.take_first();
        waker = waker != nullptr ? waker : senders_.take_first();
        lock.unlock();
        if (waker == nullptr) {
            return;
        }
        host().waker_wake(waker, sender);
    }
}

ERL_NIF_TERM Channel::info(ErlNifEnv *env) {
    std::lock_guard lock{mutex_};
    ERL_NIF_TERM keys[] = {atoms().size, atoms().max_size, atoms().closed};
    ERL_NIF_TERM values[] = {enif_make_uint64(env, queue_.bytes()), enif_make_uint64(env, most_),
                             closed_ ? atoms().true_ : atoms().false_};
    ERL_NIF_TERM map;
    enif_make_map_from_arrays(env, keys, values, 3, &map);
    return map;
}

// Sends what there is credit for, and the end. Under the lock, or two that do that could change places.
void Channel::feed_subscriber(Lock &lock) {
    if (!subscriber_.is_there) {
        return;
    }
    HostEnv env;
    auto send = [&](ErlNifEnv *in, ERL_NIF_TERM message) {
        enif_send(lock.sender(), &subscriber_.process, in, message); // whoever is dead is gone soon
        enif_clear_env(in);
    };
    if (!enif_is_process_alive(lock.sender(), &subscriber_.process)) { // what it was sent would be lost
        subscriber_.is_there = false;
        lock.wake_receiver();
        return;
    }
    bool fed = false;
    while (subscriber_.credit > 0 && !queue_.empty()) {
        const Taken message = queue_.pop();
        // A large message is sent as it is: to copy it here takes long.
        ErlNifEnv *in = message.own != nullptr ? message.own : env.get();
        ERL_NIF_TERM term = message.own != nullptr ? message.term : enif_make_copy(in, message.term);
        --subscriber_.credit;
        send(in, enif_make_tuple3(in, atoms().py_channel_message, enif_make_resource(in, &resource_), term));
        message.give_back(message.owner);
        fed = true;
    }
    if (queue_.empty() && closed_) {
        subscriber_.is_there = false;
        send(env.get(),
             enif_make_tuple2(env.get(), atoms().py_channel_closed, enif_make_resource(env.get(), &resource_)));
        enif_demonitor_process(lock.sender(), &resource_, &subscriber_.monitor);
    }
    if (fed) {
        lock.wake_sender();
    }
}

ep_status Channel::subscribe(ep_call &call, const ErlNifPid &process, uint32_t credit) {
    Lock lock{*this, call.sender};
    if (subscriber_.is_there || is_others(process, call.sender)) {
        call.result = atoms().waiter_exists;
        return EP_FAILED;
    }
    if (closed_ && queue_.empty()) {
        return EP_CLOSED;
    }
    subscriber_.process = process;
    if (enif_monitor_process(call.env, &resource_, &process, &subscriber_.monitor) != 0) {
        return EP_WRONG_KIND; // it is dead, and not the one that calls
    }
    subscriber_.is_there = true;
    subscriber_.credit = credit;
    feed_subscriber(lock);
    return EP_OK;
}

bool Channel::is_subscribed(const ErlNifPid &process) const noexcept {
    return subscriber_.is_there && enif_compare_pids(&subscriber_.process, &process) == 0;
}

ep_status Channel::unsubscribe(ep_call &call, const ErlNifPid &process) {
    Lock lock{*this, call.sender};
    if (!is_subscribed(process)) {
        call.result = atoms().not_subscribed;
        return EP_FAILED;
    }
    subscriber_.is_there = false;
    enif_demonitor_process(call.env, &resource_, &subscriber_.monitor);
    if (!queue_.empty()) {
        lock.wake_receiver();
    }
    return EP_OK;
}

ep_status Channel::give_credit(ep_call &call, const ErlNifPid &process, uint32_t credit) {
    Lock lock{*this, call.sender};
    if (!is_subscribed(process)) {
        call.result = atoms().not_subscribed;
        return EP_FAILED;
    }
    subscriber_.credit = std::min(subscriber_.credit + credit, most_credit);
    feed_subscriber(lock);
    return EP_OK;
}

void Channel::process_down(ErlNifEnv *env, const ErlNifMonitor &monitor) {
    Lock lock{*this, env};
    if (subscriber_.is_there && enif_compare_monitors(&subscriber_.monitor, &monitor) == 0) {
        subscriber_.is_there = false;
        if (!queue_.empty()) {
            lock.wake_receiver();
        }
    }
}

} // namespace ep::channel
