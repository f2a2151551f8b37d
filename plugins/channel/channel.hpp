// A channel: messages from anybody to anybody, one receiver each, in the order of every sender.
#pragma once

#include "plugin.hpp"
#include "queue.hpp"

#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>

namespace ep::channel {

extern const ep_resource_type channel_type;

// Wakers in line. Guarded by the lock of whatever has it.
class Line {
public:
    bool empty() const noexcept { return wakers_.empty(); }
    void add(ep_waker *waker, uint64_t size = 0) { wakers_.push_back({waker, size}); }
    // The first one that waits for no more than that; nullptr: there is none.
    ep_waker *take_first(uint64_t room = UINT64_MAX) noexcept;
    bool take(ep_waker *waker) noexcept;

private:
    struct Entry {
        ep_waker *waker;
        uint64_t size; // of what it waits to send
    };
    std::deque<Entry> wakers_;
};

class Channel {
public:
    // `bytes`: messages are binaries, and the size is theirs; else that of the external term format. `most`: bytes that
    // may be in line; 0: any number.
    Channel(ep_resource &resource, bool bytes, uint64_t most) noexcept
        : resource_(resource), bytes_(bytes), most_(most) {}
    ~Channel();
    Channel(const Channel &) = delete;
    Channel &operator=(const Channel &) = delete;

    // nullptr, when the term is no reference to one.
    static Channel *of(ErlNifEnv *env, ERL_NIF_TERM term);
    bool has_bytes() const noexcept { return bytes_; }

    // Those of the plugin's functions. Any thread.
    ep_status send_term(ep_call &call, ERL_NIF_TERM term);
    ep_status send_bytes(ep_call &call, ERL_NIF_TERM binary);
    ep_status receive(ep_call &call);
    void close(ErlNifEnv *sender);
    ERL_NIF_TERM info(ErlNifEnv *env);
    // Messages go to a process, as many as it has credit for.
    ep_status subscribe(ep_call &call, const ErlNifPid &process, uint32_t credit);
    ep_status unsubscribe(ep_call &call, const ErlNifPid &process);
    ep_status give_credit(ep_call &call, const ErlNifPid &process, uint32_t credit);
    void process_down(ErlNifEnv *env, const ErlNifMonitor &monitor);

    // How much credit a process may have.
    static constexpr uint32_t most_credit = 1000;

private:
    class Lock; // of mutex_; wakes those who are to be woken after it

    bool has_room(uint64_t size) const noexcept { return size <= room(); }
    uint64_t room() const noexcept;
    bool is_others(const ErlNifPid &self, ErlNifEnv *env) const noexcept;
    template <class Push> ep_status send(ep_call &call, uint64_t size, Push push);
    ep_status no_room(ep_call &call, uint64_t size);
    void sent(Lock &lock);
    void taken(Lock &lock);
    bool is_subscribed(const ErlNifPid &process) const noexcept;
    void feed_subscriber(Lock &lock);
    static void receiver_gave_up(void *resource, ep_waker *waker, ErlNifEnv *sender);
    static void sender_gave_up(void *resource, ep_waker *waker, ErlNifEnv *sender);

    struct Subscriber {
        ErlNifPid process{};
        ErlNifMonitor monitor{};
        uint32_t credit = 0;
        bool is_there = false;
    };

    ep_resource &resource_; // which this is a part of
    const bool bytes_;
    const uint64_t most_;
    std::mutex mutex_;
    Queue queue_; // guarded by mutex_, as all that follows
    bool closed_ = false;
    Line receivers_;
    Line senders_;
    // The process that waits; there is one at a time, and still after it was woken, until it has called again. The waker is
    // only compared: it may have been taken out.
    ep_waker *process_waker_ = nullptr;
    ErlNifPid process_{};
    Subscriber subscriber_;
};

// Makes one; a reference to it in `env`.
ERL_NIF_TERM make_channel(ErlNifEnv *env, bool bytes, uint64_t most);

} // namespace ep::channel
