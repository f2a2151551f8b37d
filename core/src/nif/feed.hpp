// Messages from Python to one process, of which a bounded number may be unread: log records, spans.
#pragma once

#include <erlang_python/abi.h>

#include <atomic>
#include <cstdint>
#include <erl_nif.h>
#include <mutex>

namespace ep {

// Nobody ever waits: a message that would be one too many is dropped and counted. Every function: any thread.
class Feed {
public:
    // The process reads from now on, and nothing is unread.
    void open(const ErlNifPid &reader, uint32_t most) noexcept;
    void close() noexcept;
    bool is_open() const noexcept { return open_.load(std::memory_order_relaxed); } // a hint
    // EP_FAILED: dropped. EP_NOT_RUNNING: nobody reads. The environment is the caller's, as with enif_send.
    ep_status offer(ErlNifEnv *env, ERL_NIF_TERM message) noexcept;
    // The reader has read so many. Gives how many were dropped since this was asked last.
    uint64_t taken(uint32_t count) noexcept;

private:
    std::mutex mutex_;
    ErlNifPid reader_{}; // guarded by mutex_
    std::atomic<bool> open_{false};
    uint32_t most_ = 0;    // guarded by mutex_
    uint32_t unread_ = 0;  // guarded by mutex_
    uint64_t dropped_ = 0; // guarded by mutex_
};

// ep_host's function.
ep_status feed(uint32_t feed, ErlNifEnv *env, ERL_NIF_TERM message) noexcept;
int32_t feed_is_open(uint32_t feed) noexcept;

} // namespace ep
