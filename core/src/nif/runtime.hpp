// The VM-wide Python: which one, and the thread that initialised it.
#pragma once

#include "../plain/inbox.hpp"
#include "../plain/selection.hpp"

#include <erlang_python/backend.h>

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

namespace ep {

class Context;

struct RuntimeOptions {
    Wish wish;
    std::vector<std::filesystem::path> search; // of the application; the core's own directories come before them
    std::vector<std::string> paths;            // for sys.path
    bool big_integers = false;
};

struct RuntimeError {
    std::string code; // an atom for programs
    std::string text; // a sentence for people
};

class Runtime {
public:
    explicit Runtime(const std::string &priv_directory);

    void configure(RuntimeOptions options);
    // Starts Python if that has not been tried; the outcome of the first try is final. Blocks. Any thread.
    const RuntimeError *start();

    struct Listing {
        std::vector<Manifest> manifests;
        Selection selection;
        bool started = false;
    };
    // What there is, and what is, or would be, chosen. Reads files. Any thread.
    Listing list();

    // nullptr until start() succeeded; then for the life of the VM. Any thread.
    const ep_backend *backend() const noexcept { return backend_.load(); }
    // The chosen manifest; valid once backend() is not nullptr.
    const Manifest &manifest() const noexcept { return manifest_; }
    bool owngil_supported();

    // Interrupts request `serial` of a context. Any thread.
    void interrupt(Context *context, uint64_t serial);
    // Interrupts a context that was stopped, again and again, until its thread has ended. Any thread.
    void hound(Context *context);

private:
    struct Order;

    std::vector<std::filesystem::path> directories() const;
    RuntimeError load();
    RuntimeError open_python(const Manifest &manifest);
    RuntimeError open_backend(const Manifest &manifest);
    RuntimeError initialise(const Manifest &manifest);
    static void *thread_main(void *self);
    void run();

    const std::string priv_;
    std::mutex mutex_;       // held while starting
    RuntimeOptions options_; // guarded by mutex_
    bool tried_ = false;     // guarded by mutex_
    RuntimeError failure_;   // guarded by mutex_; constant once tried_
    Manifest manifest_;      // constant once backend_ is set
    ep_backend table_{};     // likewise
    std::atomic<const ep_backend *> backend_{nullptr};
    Inbox inbox_; // of the Python main thread

    // Between start() and the thread it waits for.
    std::atomic<int> initialised_{0}; // 1: done, -1: failed
    Parker initialising_;
    ep_error start_error_{};
};

} // namespace ep
