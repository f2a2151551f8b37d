#include "runtime.hpp"

#include "../plain/detached_thread.hpp"
#include "../plain/spare_memory.hpp"
#include "../plain/thread_name.hpp"
#include "context.hpp"
#include "core.hpp"
#include "host_table.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <memory>

namespace ep {

namespace fs = std::filesystem;

#ifndef EP_SYSTEM_DIR
#define EP_SYSTEM_DIR "/usr/local/lib/erlang_python"
#endif

namespace {

constexpr AbiVersion core_abi{EP_ABI_MAJOR, EP_ABI_MINOR};
constexpr uint32_t order_message = 1;
constexpr uint32_t launch_message = 2;
constexpr uint32_t tidy_message = 3;
using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds shortest_interval{5};
constexpr std::chrono::milliseconds longest_interval{1000};
constexpr std::chrono::milliseconds patience_with_cleanup{1000};

std::string loader_error() {
    const char *text = dlerror();
    return text != nullptr ? text : "unknown error of the dynamic loader";
}

// "3.13.1 experimental free-threading build (main, …) [GCC …]" -> "3.13.1"
std::string first_word(const char *text) {
    return std::string{text, std::strcspn(text, " +")};
}

std::string flavour(bool free_threading) {
    return free_threading ? " (free-threaded)" : "";
}

Kind kind_of(const Manifest &manifest) {
    return manifest.mode == "owngil" ? Kind::owngil : Kind::shared;
}

} // namespace

// What the Python main thread is asked to do: interrupt a request until it is over, since one interrupt may come too
// early, or be swallowed by code that catches everything. `serial` 0: whatever runs, until the thread has ended.
struct Runtime::Order : Message {
    Context *context; // a counted reference
    uint64_t serial;
    uint64_t delivered = 0;    // the last one that was interrupted...
    Clock::time_point again{}; // ... and when it may be once more
    bool carry_out();
    Order(Context *c, uint64_t s) : context(c), serial(s) {
        kind = order_message;
        enif_keep_resource(c);
    }
    ~Order() { enif_release_resource(context); }
};

// Or to start a backend, for somebody who waits.
struct Runtime::Launch : Message {
    Slot &slot;
    const RuntimeOptions &options;
    ep_error error{};
    bool succeeded = false;
    std::atomic<bool> done{false}; // the last touch of the thread that starts it
    Launch(Slot &s, const RuntimeOptions &o) : slot(s), options(o) { kind = launch_message; }
};

Runtime::Runtime(const std::string &priv_directory) : priv_(fs::absolute(priv_directory).string()) {}

void Runtime::configure(RuntimeOptions options) {
    std::lock_guard lock{mutex_};
    options_ = std::move(options);
}

std::vector<fs::path> Runtime::directories() const {
    std::vector<fs::path> all{fs::path{priv_} / "backends", fs::path{priv_} / "plugins"};
    all.insert(all.end(), options_.search.begin(), options_.search.end());
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

Selection Runtime::choose(const std::vector<Manifest> &manifests) const {
    if (options_.prefers_owngil && options_.wish.backend == "auto") {
        Wish wish = options_.wish;
        wish.backend = "owngil";
        Selection owngil = select(manifests, wish);
        if (owngil.chosen) {
            return owngil;
        }
    }
    return select(manifests, options_.wish);
}

Runtime::Listing Runtime::list() {
    std::lock_guard lock{mutex_};
    Listing listing;
    listing.manifests = find_manifests(directories(), core_abi);
    listing.selection = choose(listing.manifests);
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
            reason = same_python(manifest, manifest_)
                         ? ""
                         : "it is for another Python (" + manifest.libpython.string() + ") than the one this VM runs (" +
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
    std::lock_guard lock{mutex_};
    if (!tried_) {
        RuntimeError error = start_chosen();
        // Nothing has been opened when no backend was found, so another configuration may still succeed.
        tried_ = error.code != "no_backend";
        failure_ = std::move(error);
        started_.store(failure_.code.empty());
    }
    return started() ? wrong_wish() : failure_;
}

// A configuration may want another Python than the one that runs since an earlier start.
RuntimeError Runtime::wrong_wish() const {
    const Wish &wish = options_.wish;
    const bool wants_no_gil = wish.backend == "freethreaded" && !manifest_.free_threading;
    if (!wants_no_gil && python_mismatch(manifest_, wish.python).empty()) {
        return {};
    }
    return {"python_already_started", "this VM runs Python " + manifest_.python + flavour(manifest_.free_threading) + " (" +
                                          manifest_.libpython.string() + "), and the configuration now wants " +
                                          (wants_no_gil ? "the backend freethreaded" : "Python " + wish.python) +
                                          "; a VM can have one Python, so start another VM for the other"};
}

RuntimeError Runtime::start_chosen() {
    std::vector<Manifest> manifests = find_manifests(directories(), core_abi);
    Selection selection = choose(manifests);
    if (!selection.chosen) {
        return {"no_backend", selection.error};
    }
    manifest_ = manifests[*selection.chosen];
    if (RuntimeError error = open_python(manifest_); !error.code.empty()) {
        return error;
    }
    // What counts memory has to be there before Python takes any.
    const Manifest *owngil = sibling(manifests, manifest_, Kind::owngil);
    if (options_.memory_limits && owngil != nullptr) {
        memory_limits_ = true;
        if (RuntimeError error = load(Kind::owngil, *owngil); !error.code.empty()) {
            return error;
        }
    }
    return load(kind_of(manifest_), manifest_);
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
    std::lock_guard lock{mutex_};
    Slot &wanted = slot(kind);
    if (wanted.tried || !started()) {
        return wanted.failure;
    }
    std::vector<Manifest> manifests = find_manifests(directories(), core_abi);
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
    return load(kind, *manifest);
}

RuntimeError Runtime::load(Kind kind, const Manifest &manifest) {
    Slot &wanted = slot(kind);
    if (wanted.tried) {
        return wanted.failure;
    }
    wanted.tried = true;
    wanted.manifest = manifest;
    wanted.failure = open_backend(wanted);
    if (wanted.failure.code.empty()) {
        wanted.failure = initialise(wanted);
    }
    if (wanted.failure.code.empty()) {
        wanted.ready.store(&wanted.table);
    }
    return wanted.failure;
}

std::string Runtime::owngil_problem() {
    if (backend(Kind::owngil) != nullptr) {
        return {};
    }
    std::lock_guard lock{mutex_};
    std::vector<Manifest> manifests = find_manifests(directories(), core_abi);
    if (started()) {
        return owngil_problem(manifests, manifest_);
    }
    Selection selection = choose(manifests);
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

// Opens libpython with its symbols visible to extension modules, which do not name it themselves, and looks at what it
// says of itself before anything that was compiled against a Python gets near it.
RuntimeError Runtime::open_python(const Manifest &manifest) {
    if (dlsym(RTLD_DEFAULT, "Py_IsInitialized") != nullptr) {
        return {"python_already_loaded", "another Python is loaded in this VM already, by some other library; a VM can "
                                         "have one. " +
                                             manifest.name + " wants " + manifest.libpython.string() +
                                             "; remove the other from this VM"};
    }
    void *library = dlopen(manifest.libpython.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) {
        return {"libpython_failed", manifest.name + " needs " + manifest.libpython.string() +
                                        ", which cannot be opened: " + loader_error() +
                                        "; install that Python, or rebuild the backend for the one you have"};
    }
    auto get_version = reinterpret_cast<const char *(*)()>(dlsym(library, "Py_GetVersion"));
    if (get_version == nullptr) {
        return {"libpython_failed", manifest.libpython.string() +
                                        " has no Py_GetVersion: it is no Python; correct the manifest " +
                                        manifest.path.string()};
    }
    std::string version = first_word(get_version());
    bool free_threading = std::strstr(get_version(), "free-threading") != nullptr;
    if (python_version(version) != python_version(manifest.python) || free_threading != manifest.free_threading) {
        return {"python_mismatch", manifest.name + " was built for Python " + manifest.python +
                                       flavour(manifest.free_threading) + ", and " + manifest.libpython.string() +
                                       " is Python " + version + flavour(free_threading) +
                                       "; rebuild the backend, or correct its manifest " + manifest.path.string()};
    }
    return {};
}

RuntimeError Runtime::open_backend(Slot &slot) {
    const Manifest &manifest = slot.manifest;
    ep_backend &table = slot.table;
    void *library = dlopen(manifest.file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        return {"backend_failed", manifest.file.string() + " cannot be opened: " + loader_error() +
                                      "; rebuild it for " + manifest.libpython.string()};
    }
    auto entry = reinterpret_cast<ep_backend_entry>(dlsym(library, EP_BACKEND_ENTRY_NAME));
    if (entry == nullptr) {
        return {"backend_failed", manifest.file.string() +
                                      " has no " EP_BACKEND_ENTRY_NAME ": it is no backend; correct the manifest " +
                                      manifest.path.string()};
    }
    table.header = {static_cast<uint16_t>(manifest.abi.major), static_cast<uint16_t>(manifest.abi.minor),
                     sizeof table};
    ep_error error{};
    ep_status status = entry(&host_table(), &table, &error);
    AbiVersion answered{table.header.major, table.header.minor};
    const bool fits = answered.major == core_abi.major && answered.minor <= core_abi.minor;
    const bool silent = answered.major == manifest.abi.major && answered.minor == manifest.abi.minor;
    if (status == EP_TOO_NEW && silent) { // it did not say what it has
        return {"abi_mismatch", manifest.file.string() + " refuses ABI " + to_string(core_abi) +
                                    ", which this core has" + (*error.text ? ": " : "") + error.text +
                                    "; install the backend that matches this erlang_python"};
    }
    if (status == EP_TOO_NEW || (status == EP_OK && !fits)) {
        return {"abi_mismatch", manifest.file.string() + " has ABI " + to_string(answered) + " and this core has ABI " +
                                    to_string(core_abi) + "; install the backend that matches this erlang_python"};
    }
    if (status != EP_OK) {
        return {"backend_failed", manifest.file.string() + ": " + error.text};
    }
    if (table.header.size < sizeof table || !table.start || !table.open || !table.close || !table.attach ||
        !table.detach || !table.serve || !table.release_slot || !table.interrupt) {
        return {"backend_failed", manifest.file.string() + " left functions of ABI " + to_string(answered) +
                                      " out, all of which this core (ABI " + to_string(core_abi) +
                                      ") needs; install a complete build of it"};
    }
    return {};
}

// Threads that live as long as the VM.
RuntimeError Runtime::start_thread(void *(*function)(void *)) {
    if (const int error = start_detached(function, this)) {
        return {"python_failed", std::string{"no thread for Python: "} + std::strerror(error)};
    }
    return {};
}

RuntimeError Runtime::initialise(Slot &slot) {
    if (!python_runs_) { // the thread Python is initialised on
        if (RuntimeError error = start_thread(thread_main); !error.code.empty()) {
            return error;
        }
        python_runs_ = true;
    }
    if (&slot == &this->slot(Kind::owngil)) {
        if (RuntimeError error = start_thread(owngil_main); !error.code.empty()) {
            return error;
        }
    }
    Launch launch{slot, options_};
    inbox_.push(&launch);
    while (!launch.done.load()) {
        launching_.park();
    }
    if (!launch.succeeded) {
        return {"python_failed", slot.manifest.name + ": " + launch.error.text};
    }
    return {};
}

void *Runtime::thread_main(void *self) {
    name_thread("py_main");
    static_cast<Runtime *>(self)->run();
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

// Interrupts of one backend's contexts. They have a thread for each kind: one may have to wait for its GIL.
class Runtime::Interrupts {
public:
    void add(std::unique_ptr<Order> order) {
        orders_.push_back(std::move(order));
        interval_ = shortest_interval;
    }
    Parker::Deadline next() {
        if (orders_.empty()) {
            return {};
        }
        const auto deadline = Clock::now() + interval_;
        interval_ = std::min(2 * interval_, longest_interval); // code in the middle of a C function may take long
        return deadline;
    }
    void carry_out() {
        std::erase_if(orders_, [](const std::unique_ptr<Order> &order) { return order->carry_out(); });
    }

private:
    std::vector<std::unique_ptr<Order>> orders_;
    std::chrono::milliseconds interval_ = shortest_interval;
};

void Runtime::run() {
    Interrupts interrupts;
    for (;;) {
        inbox_.wait(interrupts.next());
        for (Message *message = inbox_.take(); message != nullptr;) {
            Message *next = message->next;
            if (message->kind == launch_message) {
                start_backend(*static_cast<Launch *>(message));
            } else if (message->kind == tidy_message) {
                delete message;
                give_spare_memory_back();
            } else {
                interrupts.add(std::unique_ptr<Order>{static_cast<Order *>(message)});
            }
            message = next;
        }
        interrupts.carry_out();
    }
}

void *Runtime::owngil_main(void *self) {
    name_thread("py_interrupts");
    Inbox &inbox = static_cast<Runtime *>(self)->owngil_inbox_;
    Interrupts interrupts;
    for (;;) {
        inbox.wait(interrupts.next());
        for (Message *message = inbox.take(); message != nullptr;) {
            Message *next = message->next;
            interrupts.add(std::unique_ptr<Order>{static_cast<Order *>(message)});
            message = next;
        }
        interrupts.carry_out();
    }
}

// True when there is nothing more to do.
bool Runtime::Order::carry_out() {
    if (context->thread_ended() || (serial != 0 && !context->runs(serial))) {
        return true;
    }
    const uint64_t top = context->running_serial();
    const uint64_t target = serial != 0 ? serial : top;
    if (target != top) {
        return false; // it waits below another one, and will see that it was interrupted
    }
    const auto now = Clock::now();
    // Code that was interrupted has some time to clean up before it is interrupted again.
    if (target != 0 && (target != delivered || now >= again)) {
        if (context->deliver_interrupt(target)) {
            delivered = target;
            again = now + patience_with_cleanup;
        }
    }
    return false;
}

Inbox &Runtime::inbox_of(Context *context) noexcept {
    return context->backend() == &slot(Kind::owngil).table ? owngil_inbox_ : inbox_;
}

void Runtime::interrupt(Context *context, uint64_t serial) {
    inbox_of(context).push(new Order{context, serial});
}

void Runtime::hound(Context *context) {
    inbox_of(context).push(new Order{context, 0});
}

void Runtime::tidy() {
    auto *message = new Message;
    message->kind = tidy_message;
    inbox_.push(message);
}

} // namespace ep
