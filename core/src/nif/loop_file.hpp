// A file that the VM watches for an event loop.
#pragma once

#include "../plain/parker.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <erl_nif.h>
#include <mutex>

namespace ep {

class EventLoop;

enum Direction : uint8_t { for_reading = 1, for_writing = 2 };

// The memory is a NIF resource. What is watched is a copy of the user's file descriptor: so that he may close his, and
// its number may be another file's, while the VM still knows of ours. The VM is told by enif_select to let go, and the
// copy is closed when it has. Since only threads of the VM may call that, and this may have to be done when the process
// that would is gone, the file monitors the worker of its loop itself.
class LoopFile {
public:
    // A copy of `fd`, with a reference that is the caller's. Throws PosixError. Any thread.
    static LoopFile *make(EventLoop *loop, uint64_t id, int fd);
    LoopFile(const LoopFile &) = delete;
    LoopFile &operator=(const LoopFile &) = delete;
    ~LoopFile();

    EventLoop *loop() const noexcept { return loop_; }
    uint64_t id() const noexcept { return id_; }

    // Has it closed when the worker ends. False: it has ended. `env` as for enif_send. Any thread, once.
    bool watch(ErlNifEnv *env, const ErlNifPid &worker) noexcept;
    // Has the worker told of each of these directions, once, as {py_event, Id, Direction}; again after fired(). Only in
    // a NIF of a process.
    enum class Armed : uint8_t { ok, closed, failed };
    Armed arm(ErlNifEnv *env, const ErlNifPid &worker, uint8_t directions) noexcept;
    // The worker was told. Any thread.
    void fired(uint8_t direction) noexcept { armed_.fetch_and(static_cast<uint8_t>(~direction)); }

    // Nothing is told any more; the copy is closed now, or when the VM lets go of it. Any number of times. Only in a
    // NIF of a process, or in a callback of a resource.
    void close(ErlNifEnv *env) noexcept;
    // The same where the VM does not know it yet, or has been told already. False: close() is to be called. Any thread.
    bool close_unarmed() noexcept { return close_unarmed(true); }
    // Until the copy is closed, which somebody has to have asked for; not for ever, since that may take as long as other
    // processes like. False: it is closed later. Any thread but those of the VM, and one at a time.
    bool wait_closed(std::chrono::milliseconds patience) noexcept;

    // The VM has let go. Whatever thread it likes. `held`: as long as this runs there is a reference.
    void stopped(bool held) noexcept;

private:
    LoopFile(EventLoop *loop, uint64_t id, int fd) noexcept;
    bool close_unarmed(bool held) noexcept;
    void closed() noexcept;

    EventLoop *const loop_; // a counted reference
    const uint64_t id_;
    const int fd_;
    std::mutex mutex_;              // held while the VM is asked for anything, and never after it was told to let go
    bool selected_ = false;         // guarded by mutex_: the VM knows it
    bool closing_ = false;          // guarded by mutex_
    std::atomic<uint8_t> armed_{0}; // set with mutex_
    std::atomic<bool> closed_{false};
    Parker parker_; // of who waits for that
};

void destroy_loop_file(ErlNifEnv *env, void *resource);
void stop_loop_file(ErlNifEnv *env, void *resource, ErlNifEvent event, int is_direct_call);
void loop_file_worker_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor);

} // namespace ep
