// The VM-wide Python: which one, the backends that drive it, and the thread that initialised it.
#pragma once

#include "../plain/inbox.hpp"
#include "../plain/selection.hpp"
#include "loader.hpp"

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
    bool memory_limits = false;  // contexts with a memory_limit can be had
    bool prefers_owngil = false; // of the Pythons that fit, one that can do owngil
};

// Which backend of the one Python a context wants: that of the main interpreter (worker, freethreaded), or that of
// interpreters with a GIL each.
enum class Kind : uint8_t { shared, owngil };

class Runtime {
public:
    explicit Runtime(const std::string &priv_directory);

    void configure(RuntimeOptions options);
    // Starts Python if that has not been tried; the outcome of the first try is final. Blocks. Any thread.
    RuntimeError start();
    // Loads the other backend of the Python that runs, if that has not been tried. Blocks. Any thread.
    RuntimeError load(Kind kind);

    struct Listing {
        std::vector<Manifest> manifests;
        Selection selection;
        std::vector<bool> loaded; // one a manifest
    };
    // What there is, and what is, or would be, chosen. Reads files. Any thread.
    Listing list();

    // nullptr until it has been loaded; then for the life of the VM. Any thread.
    const ep_backend *backend(Kind kind) const noexcept { return slot(kind).ready.load(); }
    bool started() const noexcept { return started_.load(); }
    // The chosen manifest; constant once started().
    const Manifest &manifest() const noexcept { return manifest_; }
    // Why contexts of mode owngil cannot be had, as an atom; empty when they can. Reads files until Python runs.
    std::string owngil_problem();
    // Whether contexts may have a limit; constant once started().
    bool has_memory_limits() const noexcept { return memory_limits_; }

    // Interrupts request `serial` of a context. Any thread.
    void interrupt(Context *context, uint64_t serial);
    // Interrupts a context that was stopped, again and again, until its thread has ended. Any thread.
    void hound(Context *context);
    // Frees what a context had lent that is gone. Any thread.
    void take_back(const ep_backend *backend, uint64_t interpreter, uint64_t slot);
    // Gives memory that nobody uses back to the system, soon. Any thread.
    void tidy();

private:
    struct Launch;
    struct Return;

    // A backend that is loaded, or could not be.
    struct Slot {
        bool tried = false;   // guarded by mutex_; written with starting_, too
        RuntimeError failure; // guarded by mutex_; constant once tried
        Manifest manifest;    // constant once tried; before that, the starting thread's
        ep_backend table{};   // constant once ready
        std::atomic<const ep_backend *> ready{nullptr};
    };
    Slot &slot(Kind kind) noexcept { return slots_[static_cast<size_t>(kind)]; }
    const Slot &slot(Kind kind) const noexcept { return slots_[static_cast<size_t>(kind)]; }

    RuntimeOptions options();
    std::vector<std::filesystem::path> directories(const RuntimeOptions &options) const;
    static Selection choose(const RuntimeOptions &options, const std::vector<Manifest> &manifests);
    RuntimeError start_chosen(const RuntimeOptions &options);
    RuntimeError wrong_wish(const Wish &wish) const;
    const Manifest *sibling(const std::vector<Manifest> &manifests, const Manifest &of, Kind kind) const;
    std::string owngil_problem(const std::vector<Manifest> &manifests, const Manifest &of) const;
    RuntimeError load(Kind kind, const Manifest &manifest, const RuntimeOptions &options);
    RuntimeError start_thread(void *(*function)(void *));
    RuntimeError initialise(Slot &slot, const RuntimeOptions &options);
    static void *python_main(void *self);
    static void *owngil_main(void *self);
    void run(Inbox &inbox);
    void start_backend(Launch &launch);
    Inbox &inbox_of(Context *context) noexcept;

    const std::string priv_;
    std::mutex starting_;        // held while a backend starts, which may take long; taken before mutex_
    std::mutex mutex_;           // never held for long
    RuntimeOptions options_;     // guarded by mutex_
    bool tried_ = false;         // guarded by mutex_; written with starting_, too
    RuntimeError failure_;       // guarded by mutex_; constant once tried_
    bool python_runs_ = false;   // guarded by starting_
    bool memory_limits_ = false; // constant once started_
    Manifest manifest_;          // constant once started_
    std::atomic<bool> started_{false};
    Slot slots_[2];
    Inbox inbox_;        // of the Python main thread
    Inbox owngil_inbox_; // of the thread that interrupts contexts of mode owngil
    Parker launching_;   // for whoever holds starting_ and waits for that thread
};

} // namespace ep
