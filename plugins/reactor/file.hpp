// A file descriptor that the VM watches for a process.
#pragma once

#include "plugin.hpp"

#include <cstdint>
#include <mutex>
#include <sys/socket.h>
#include <sys/stat.h>

namespace ep::reactor {

extern const ep_resource_type file_type;

// What is watched is a copy of somebody's descriptor, so that he may close his. It is closed when the VM has let go of
// it, and nowhere else: the number cannot be another file's before that. Since Python code knows the number, and may
// close it all the same, every use looks first whether it still stands for the same file.
//
// The memory is a NIF resource. Nothing here waits: sockets are read and written with MSG_DONTWAIT, because the flag
// O_NONBLOCK is shared with the descriptor that was copied; anything else, which has no such call, gets that flag.
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
    // Has the calling process sent {py_reactor_ready, Id, Direction}, once. In a NIF of a process only.
    ep_status select(ep_call &call, ERL_NIF_TERM direction);
    // What there is, up to `most` bytes, 0: as many as make sense; or one whole message. Any thread.
    ep_status read(ep_call &call, size_t most);
    // Returns how many bytes were written; 0: there is no room now. Any thread.
    ep_status write(ep_call &call, ERL_NIF_TERM binary);
    // Any number of times. False: the VM watches it, so it takes a thread of the VM. `env` as for enif_select.
    bool close(ErlNifEnv *env) noexcept;
    bool is_open() noexcept;
    // The VM has let go. Whatever thread it likes.
    void stopped() noexcept;

private:
    bool is_ours() const noexcept;
    void check() const;
    size_t capacity(size_t most) const noexcept;
    ssize_t receive(void *data, size_t size) noexcept;
    ssize_t send(const void *data, size_t size) noexcept;

    ep_resource &resource_; // which this is a part of
    const uint64_t id_;
    int fd_ = -1;
    bool socket_ = false;    // these three: constant after the constructor
    bool messages_ = false;  // not a stream: what is sent at once comes at once
    bool connected_ = false; // of those with messages
    bool ends_ = true;       // nothing read means that there will be nothing
    struct stat known_ {};   // to recognise it
    std::mutex mutex_;       // held while the descriptor is used, and never while the VM closes it
    bool selected_ = false;  // guarded by mutex_, as all that follows: the VM knows it
    bool closing_ = false;
    size_t expected_ = 4096;    // bytes that the next read makes room for
    sockaddr_storage sender_{}; // of the message that was read last
    socklen_t sender_size_ = 0;
};

// A reference to a new one, in `env`. Throws PosixError.
ERL_NIF_TERM make_file(ErlNifEnv *env, int fd, File *&file);

} // namespace ep::reactor
