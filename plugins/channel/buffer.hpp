// A buffer: bytes that Erlang writes and Python reads as it reads a file.
#pragma once

#include "plugin.hpp"
#include "storage.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>

namespace ep::channel {

extern const ep_resource_type buffer_type;

// Functions that take a call fill in its result. Python's close() shuts a buffer; what reads is EP_CLOSED from then on.
// Any thread.
class Buffer {
public:
    // `length`: how many bytes will be written, if that is known.
    Buffer(ep_resource &resource, std::optional<size_t> length) noexcept : resource_(resource), length_(length) {}
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;

    // nullptr, when the term is no reference to one.
    static Buffer *of(ErlNifEnv *env, ERL_NIF_TERM term);

    ep_status write(ep_call &call, const ErlNifBinary &data);
    void end(ErlNifEnv *sender);  // nothing more is written
    void shut(ErlNifEnv *sender); // nor read; the memory is given back

    // Up to `most` bytes, less than 0: all. Waits while there are none, or, for all of a known length, for the end.
    ep_status read(ep_call &call, int64_t most);
    // The same of what is there.
    ep_status read_now(ep_call &call, int64_t most);
    // A line with its newline, or what of it there are `most` bytes, or what is left at the end.
    ep_status read_line(ep_call &call, int64_t most);
    // The new position. EP_FAILED: out_of_range, or not_ended.
    ep_status seek(ep_call &call, int64_t offset, int whence);
    // Where bytes are between two places of what has not been read; as bytes.find() of Python. -1: nowhere.
    ep_status find(ep_call &call, const ErlNifBinary &what, int64_t start, int64_t end);
    // What has not been read, to be looked at where it is.
    ep_status view(ep_call &call);
    // {Unread, Position, HasEnded, IsShut}
    ERL_NIF_TERM state(ErlNifEnv *env);

private:
    // Whoever waits, and for what: that so many bytes have been written in all, a newline, the end.
    struct Waiter {
        ep_waker *waker;
        size_t written;
        bool newline;
    };
    using Waiters = std::list<Waiter>;

    size_t unread() const noexcept { return size_ - position_; }
    size_t unread(int64_t most) const noexcept;
    size_t room_for(size_t size) const noexcept;
    StorageRef storage_for(size_t size) const;
    ep_status take(ep_call &call, size_t size);
    ep_status wait(ep_call &call, size_t written, bool newline);
    ep_status read(ep_call &call, int64_t most, bool waits);
    void written(const ErlNifBinary &data, Waiters &woken) noexcept;
    static void wake(Waiters &waiters, ErlNifEnv *sender) noexcept;
    static void gave_up(void *resource, ep_waker *waker, ErlNifEnv *sender);

    ep_resource &resource_; // which this is a part of
    const std::optional<size_t> length_;
    std::mutex mutex_;   // held for microseconds, since schedulers wait for it
    StorageRef storage_; // guarded by mutex_, as all that follows; empty: nothing was written, or it was shut
    size_t size_ = 0;    // bytes that were written
    size_t position_ = 0;
    size_t line_from_ = 0; // there is no newline from here
    size_t line_to_ = 0;   // to here
    bool ended_ = false;
    bool shut_ = false;
    bool writing_ = false; // somebody copies many bytes, without the lock
    std::condition_variable written_;
    Waiters waiters_;
};

// Makes one; a reference to it in `env`.
ERL_NIF_TERM make_buffer(ErlNifEnv *env, std::optional<size_t> length);

} // namespace ep::channel
