#include "runtime.hpp"

#include "../plain/detached_thread.hpp"
#include "../plain/spare_memory.hpp"
#include "../plain/thread_name.hpp"
#include "context.hpp"
#include "core.hpp"
#include "interrupts.hpp"

#include <cstdlib>
#include <cstring>
#include <memory>

namespace ep {

namespace fs = std::filesystem;

#ifndef EP_SYSTEM_DIR
#define EP_SYSTEM_DIR "/usr/local/lib/erlang_python"
#endif

namespace {

constexpr uint32_t launch_message = Interrupt::message_kind + 1;
constexpr uint32_t tidy_message = launch_message + 1;
constexpr uint32_t return_message = tidy_message + 1;

Kind kind_of(const Manifest &manifest) {
    return manifest.mode == "owngil" ? Kind::owngil : Kind::shared;
}

} // namespace

// What the Python main thread is asked to do: to start a backend, for somebody who waits.
struct Runtime::Launch : Message {
    Slot &slot;
    const RuntimeOptions &options;
    ep_error error{};
    bool succeeded = false;
    std::atomic<bool> done{false}; // the last touch of the thread that starts it
    Launch(Slot &s, const RuntimeOptions &o) : slot(s), options(o) { kind = launch_message; }
};

// Memory that a context has lent which is gone since.
struct Runtime::Return : Message {
    const ep_backend *backend;
    uint64_t interpreter, slot;
    Return(const ep_backend *b, uint64_t i, uint64_t s) : backend(b), interpreter(i), slot(s) { kind = return_message; }
};

Runtime::Runtime(const std::string &priv_directory) : priv_(fs::absolute(priv_directory).string()) {}

void Runtime::configure(RuntimeOptions options) {
    std::lock_guard lock{mutex_};
    options_ = std::move(options);
}

RuntimeOptions Runtime::options() {
    std::lock_guard lock{mutex_};
    return options_;
}

std::vector<fs::path> Runtime::directories(const RuntimeOptions &options) const {
    std::vector<fs::path> all{fs::path{priv_} / "backends", fs::path{priv_} / "plugins"};
    all.insert(all.end(), options.search.begin(), options.search.end());
    if (const char *list = std::getenv("ERLANG_PYTHON_PATH")) {
        for (const char *at = list; *at != '\0';) {
            size_t length = std::strcspn(at, ":");
            if (length > 0) {
                all.emplace_back(std::string{at, length});
            }
            at += length + (at[length] == ':' ? 1 : 0);
        }
    }
    all.push_back(fs::path{EP_SYSTEM_DIR} / "backends");
    all.push_back(fs::path{EP_SYSTEM_DIR} / "plugins");
    return all;
}

Selection Runtime::choose(const RuntimeOptions &options, const std::vector<Manifest> &manifests) {
    if (options.prefers_owngil && options.wish.backend == "auto") {
        Wish wish = options.wish;
        wish.backend = "owngil";
        Selection owngil = select(manifests, wish);
        if (owngil.chosen) {
            return owngil;
        }
    }
    return select(manifests, options.wish);
}

Runtime::Listing Runtime::list() {
    std::lock_guard lock{mutex_};
    Listing listing;
    listing.manifests = find_manifests(directories(options_), core_abi);
    listing.selection = choose(options_, listing.manifests);
    listing.loaded.resize(listing.manifests.size());
    if (!tried_) {
        // Others of the same Python can be loaded beside the chosen one.
        for (size_t i = 0; listing.selection.chosen && i < listing.manifests.size(); ++i) {
            const Manifest &manifest = listing.manifests[i];
            if (manifest.kind == Manifest::Kind::backend && manifest.refusal.empty() &&
                same_python(manifest, listing.manifests[*listing.selection.chosen])) {
                listing.selection.reasons[i].clear();
            }
        }
        return listing;
    }
    // The choice has been made, whatever would be chosen now.
    listing.selection.chosen.reset();
    for (size_t i = 0; i < listing.manifests.size(); ++i) {
        const Manifest &manifest = listing.manifests[i];
        std::string &reason = listing.selection.reasons[i];
        if (manifest.path == manifest_.path) {
            reason = failure_.text;
            if (started()) {
                listing.selection.chosen = i;
            }
        } else if (started() && manifest.kind == Manifest::Kind::backend && manifest.refusal.empty()) {
            reason = same_python(manifest, manifest_) ? ""
                                                      : "it is for another Python (" + manifest.libpython.string() +
                                                            ") than the one this VM runs (" +
                                                            manifest_.libpython.string() + "), and a VM can have one";
        }
        for (const Slot &slot : slots_) {
            if (slot.tried && slot.manifest.path == manifest.path) {
                listing.loaded[i] = slot.ready.load() != nullptr;
                reason = slot.failure.text;
            }
        }
    }
    return listing;
}

RuntimeError Runtime::start() {
    std::lock_guard starting{starting_};
    const RuntimeOptions wanted = options();
    if (!tried_) {
        RuntimeError error = start_chosen(wanted);
        std::lock_guard lock{mutex_};
        // Nothing has been opened when no backend was found, so another configuration may still succeed.
        tried_ = error.code != "no_backend";
        failure_ = std::move(error);
        started_.store(failure_.code.empty());
    }
    return started() ? wrong_wish(wanted.wish) : failure_;
}

// A configuration may want another Python than the one that runs since an earlier start.
RuntimeError Runtime::wrong_wish(const Wish &wish) const {
    const bool wants_no_gil = wish.backend == "freethreaded" && !manifest_.free_threading;
    if (!wants_no_gil && python_mismatch(manifest_, wish.python).empty()) {
        return {};
    }
    return {"python_already_started", "this VM runs Python " + manifest_.python + flavour(manifest_.free_threading) +
                                          " (" + manifest_.libpython.string() + "), and the configuration now wants " +
                                          (wants_no_gil ? "the backend freethreaded" : "Python " + wish.python) +
                                          "; a VM can have one Python, so start another VM for the other"};
}

RuntimeError Runtime::start_chosen(const RuntimeOptions &options) {
    std::vector<Manifest> manifests = find_manifests(directories(options), core_abi);
    Selection selection = choose(options, manifests);
    if (!selection.chosen) {
        return {"no_backend", selection.error};
    }
    manifest_ = manifests[*selection.chosen];
    if (RuntimeError error = open_python(manifest_); !error.code.empty()) {
        return error;
    }
    // What counts memory has to be there before Python takes any.
    const Manifest *owngil = sibling(manifests, manifest_, Kind::owngil);
    if (options.memory_limits && owngil != nullptr) {
        memory_limits_ = true;
        if (RuntimeError error = load(Kind::owngil, *owngil, options); !error.code.empty()) {
            return error;
        }
    }
    return load(kind_of(manifest_), manifest_, options);
}

// The backend of that kind for the same Python, the first found; nullptr when there is none.
const Manifest *Runtime::sibling(const std::vector<Manifest> &manifests, const Manifest &of, Kind kind) const {
    const Manifest *found = nullptr;
    for (const Manifest &manifest : manifests) {
        const bool fits = manifest.kind == Manifest::Kind::backend && manifest.refusal.empty() &&
                          kind_of(manifest) == kind && same_python(manifest, of);
        if (fits && found == nullptr) {
            found = &manifest;
        }
    }
    return found;
}

RuntimeError Runtime::load(Kind kind) {
    std::lock_guard starting{starting_};
    const RuntimeOptions wanted = options();
    if (slot(kind).tried || !started()) {
        return slot(kind).failure;
    }
    std::vector<Manifest> manifests = find_manifests(directories(wanted), core_abi);
    if (kind == Kind::owngil) {
        if (std::string problem = owngil_problem(manifests, manifest_); !problem.empty()) {
            return {problem, "contexts of mode owngil cannot be had in this VM"};
        }
    }
    const Manifest *manifest = sibling(manifests, manifest_, kind);
    if (manifest == nullptr) {
        return {"backend_missing", "no backend of mode worker was found for " + manifest_.libpython.string() +
                                       "; build it, or name its directory in ERLANG_PYTHON_PATH"};
    }
    return load(kind, *manifest, wanted);
}

// With starting_.
RuntimeError Runtime::load(Kind kind, const Manifest &manifest, const RuntimeOptions &options) {
    Slot &wanted = slot(kind);
    if (wanted.tried) {
        return wanted.failure;
    }
    wanted.manifest = manifest;
    RuntimeError failure = open_backend(wanted.manifest, wanted.table);
    if (failure.code.empty()) {
        failure = initialise(wanted, options);
    }
    std::lock_guard lock{mutex_};
    wanted.tried = true;
    wanted.failure = std::move(failure);
    if (wanted.failure.code.empty()) {
        wanted.ready.store(&wanted.table);
    }
    return wanted.failure;
}

std::string Runtime::owngil_problem() {
    if (backend(Kind::owngil) != nullptr) {
        return {};
    }
    const RuntimeOptions wanted = options();
    std::vector<Manifest> manifests = find_manifests(directories(wanted), core_abi);
    if (started()) {
        return owngil_problem(manifests, manifest_);
    }
    Selection selection = choose(wanted, manifests);
    return selection.chosen ? owngil_problem(manifests, manifests[*selection.chosen]) : "owngil_backend_missing";
}

std::string Runtime::owngil_problem(const std::vector<Manifest> &manifests, const Manifest &of) const {
    if (python_version(of.python) < std::pair{3, 14}) {
        return "owngil_requires_python314";
    }
    if (of.free_threading) {
        return "owngil_requires_gil";
    }
    return sibling(manifests, of, Kind::owngil) != nullptr ? "" : "owngil_backend_missing";
}

// Threads that live as long as the VM.
RuntimeError Runtime::start_thread(void *(*function)(void *)) {
    if (const int error = start_detached(function, this)) {
        return {"python_failed", std::string{"no thread for Python: "} + std::strerror(error)};
    }
    return {};
}

RuntimeError Runtime::initialise(Slot &slot, const RuntimeOptions &options) {
    if (!python_runs_) {
        if (RuntimeError error = start_thread(python_main); !error.code.empty()) {
            return error;
        }
        python_runs_ = true;
    }
    if (&slot == &this->slot(Kind::owngil)) {
        if (RuntimeError error = start_thread(owngil_main); !error.code.empty()) {
            return error;
        }
    }
    Launch launch{slot, options};
    inbox_.push(&launch);
    while (!launch.done.load()) {
        launching_.park();
    }
    if (!launch.succeeded) {
        return {"python_failed", slot.manifest.name + ": " + launch.error.text};
    }
    return {};
}

// The thread Python is initialised on.
void *Runtime::python_main(void *self) {
    name_thread("py_main");
    auto *runtime = static_cast<Runtime *>(self);
    runtime->run(runtime->inbox_);
    return nullptr;
}

// Contexts of mode owngil are interrupted by a thread of their own: interrupts of the others may wait for a GIL.
void *Runtime::owngil_main(void *self) {
    name_thread("py_interrupts");
    auto *runtime = static_cast<Runtime *>(self);
    runtime->run(runtime->owngil_inbox_);
    return nullptr;
}

void Runtime::start_backend(Launch &launch) {
    std::vector<const char *> paths{priv_.c_str()}; // where the package erlang is
    for (const std::string &path : launch.options.paths) {
        paths.push_back(path.c_str());
    }
    const std::string executable = launch.slot.manifest.executable.string();
    ep_start options{};
    options.size = sizeof options;
    options.big_integers = launch.options.big_integers ? 1 : 0;
    options.executable = executable.c_str();
    options.paths = paths.data();
    options.path_count = paths.size();
    options.memory_limits = memory_limits_ ? 1 : 0;
    launch.succeeded = launch.slot.table.start(&options, &launch.error) == EP_OK;
    launch.done.store(true);
    launching_.unpark();
}

void Runtime::run(Inbox &inbox) {
    Interrupts interrupts;
    for (;;) {
        inbox.wait(interrupts.next());
        for (Message *message = inbox.take(); message != nullptr;) {
            Message *next = message->next;
            if (message->kind == launch_message) {
                start_backend(*static_cast<Launch *>(message));
            } else if (message->kind == tidy_message) {
                delete message;
                give_spare_memory_back();
            } else if (message->kind == return_message) {
                std::unique_ptr<Return> lent{static_cast<Return *>(message)};
                lent->backend->take_back(lent->interpreter, lent->slot);
            } else {
                interrupts.add(std::unique_ptr<Interrupt>{static_cast<Interrupt *>(message)});
            }
            message = next;
        }
        interrupts.carry_out();
    }
}

Inbox &Runtime::inbox_of(Context *context) noexcept {
    return context->backend() == &slot(Kind::owngil).table ? owngil_inbox_ : inbox_;
}

void Runtime::interrupt(Context *context, uint64_t serial) {
    inbox_of(context).push(new Interrupt{context, serial});
}

void Runtime::hound(Context *context) {
    inbox_of(context).push(new Interrupt{context, 0});
}

void Runtime::take_back(const ep_backend *backend, uint64_t interpreter, uint64_t slot) {
    inbox_.push(new Return{backend, interpreter, slot});
}

void Runtime::tidy() {
    auto *message = new Message;
    message->kind = tidy_message;
    inbox_.push(message);
}

} // namespace ep
