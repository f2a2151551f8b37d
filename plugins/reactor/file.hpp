// A file descriptor that ends with a process, and is read and written by Python.
#pragma once

#include "plugin.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <sys/socket.h>
#include <sys/stat.h>

namespace ep::reactor {

extern const ep_resource_type file_type;

// It is a copy of somebody's descriptor, so that he may close his. Since Python code knows its number, and may close it all
// the same, every use looks first whether it still stands for the same file.
//
// The memory is a NIF resource. Nothing here waits: sockets are read and written with MSG_DONTWAIT, because the flag
// O_NONBLOCK is shared with the descriptor that was copied; anything else, which has no such call, gets that flag, and
// gets it again if somebody takes it away.
class File {
public:
    // A copy of `fd`. Throws PosixError.
    File(ep_resource &resource, int fd);
    ~File();
    File(const File &) = delete;
    File &operator=(const File &) = delete;

    // nullptr, when the term is no reference to one.
    static File *of(ErlNifEnv *env, ERL_NIF_TERM term);

    int fd() const noexcept { return fd_; }
    uint64_t id() const noexcept { return id_; } // never used again

    // It is closed when that process ends, however it ends. False: it has. Once. `env` as for enif_send.
    bool close_with(ErlNifEnv *env, const ErlNifPid &process) noexcept;
    // What there is for a protocol. Counted. Any thread.
    ep_status read(ep_call &call);
    uint64_t reads() const noexcept { return reads_.load(std::memory_order_relaxed); }
    // What there is, up to `most` bytes, 0: as many as make sense; or one whole message. Any thread.
    ep_status read(ep_call &call, size_t most);
    // Returns how many bytes were written; 0: there is no room now. Any thread.
    ep_status write(ep_call &call, ERL_NIF_TERM binary);
    // Any number of times, on any thread. Whoever watches the descriptor has let go of it before, or will be told nothing.
    void close() noexcept;
    bool is_open() noexcept;

private:
    bool is_ours() const noexcept;
    void check() const;
    size_t capacity(size_t most) const noexcept;
    bool does_not_wait() const noexcept;
    ssize_t receive(void *data, size_t size) noexcept;
    ssize_t send(const void *data, size_t size) noexcept;
    ssize_t again(const void *data, size_t size, int error) noexcept;

    ep_resource &resource_; // which this is a part of
    const uint64_t id_;
    int fd_ = -1;
    bool socket_ = false;     // these five: constant after the constructor
    bool messages_ = false;   // not a stream: what is sent at once comes at once
    bool connected_ = false;  // of those with messages
    bool ends_ = true;        // nothing read means that there will be nothing
    bool write_only_ = false; // of a pipe
    struct stat known_ {};    // to recognise it
    std::atomic<uint64_t> reads_{0};
    std::mutex mutex_;          // held while the descriptor is used
    bool closed_ = false;       // guarded by mutex_, as all that follows
    size_t expected_ = 4096;    // bytes that the next read makes room for
    bool received_ = false;     // a message
    sockaddr_storage sender_{}; // of the message that was read last
    socklen_t sender_size_ = 0; // 0: it has no address
};

// A reference to a new one, in `env`. Throws PosixError.
ERL_NIF_TERM make_file(ErlNifEnv *env, int fd, File *&file);

} // namespace ep::reactor
