// What the three modes share: everything but how a context gets its interpreter.
#pragma once

#include "code_cache.hpp"
#include "ref.hpp"
#include "slots.hpp"

#include <erlang_python/backend.h>
#include <erlang_python/convert/decode.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace ep {

struct Interpreter;
class TaskLoop;

// The state of the module _erlang: one per interpreter.
struct ModuleState {
    Interpreter *interpreter = nullptr; // outlives the module
    py::Ref pid, ref, atom, term, view; // types
    py::Ref process_error, interrupted; // exceptions
    py::Ref wrong_interpreter;          // a ReferenceError that becomes {error, env_wrong_interpreter}
    py::Ref atoms;                      // {name: erlang.Atom}
    py::Ref handle, buffer_handle, plugin_function, waker; // types
    py::Ref plugin_error;                                  // an exception
    py::Ref pending;                                       // what stands for no result yet
    py::Ref handle_classes;                                // {"module:Class": the class}

    // Of what stands for the next step of a request (erlang._scheduling); set once, when somebody imports that.
    static constexpr size_t marker_kinds = 2;
    PyObject *schedule_markers[marker_kinds]{}; // counted
    bool is_schedule_marker(PyObject *object) noexcept {
        auto *type = reinterpret_cast<PyObject *>(Py_TYPE(object));
        for (PyObject *&marker : schedule_markers) {
            if (std::atomic_ref{marker}.load(std::memory_order_acquire) == type) {
                return true;
            }
        }
        return false;
    }
};

// A Python interpreter: the main one, shared by all contexts that run in it, or a context's own.
struct Interpreter {
    uint64_t id = 0;
    PyInterpreterState *python = nullptr;
    ModuleState *state = nullptr; // lives in `module`
    py::Ref module;               // _erlang
    py::Ref package;              // erlang
    py::Ref builtins, main;       // modules
    Slots slots;

    // Drops every object, before the interpreter ends. Attached.
    void clear();

    std::mutex collection_mutex;
    uint32_t dead_spaces = 0; // guarded by it: environments that were released and stayed, since the last collection
    std::chrono::steady_clock::time_point next_collection{}; // guarded by it
};

// Strings of atoms, by the atom's term. Atoms are immediate and live as long as the VM.
class AtomStrings {
public:
    py::Ref get(ERL_NIF_TERM atom);

private:
    struct Entry {
        ERL_NIF_TERM atom = 0;
        py::Ref text;
    };
    std::array<Entry, 512> entries_;
};

} // namespace ep

// A context's hold on an interpreter. All but what is marked belongs to the context's thread, attached.
struct ep_interp {
    uint64_t id = 0; // never another's
    ep_context *context = nullptr;
    ep::Interpreter *interpreter = nullptr;
    PyThreadState *thread = nullptr;
    py::Ref globals; // the context's own namespace
    ep::CodeCache code;
    ep::AtomStrings atoms;
    ErlNifEnv *send_env = nullptr;
    bool sending = false;
    uint32_t copied = 0; // how much of messages that were sent as copies is still in send_env
    std::unique_ptr<ep::FlatWriter> spare_writer;
    std::shared_ptr<ep::TaskLoop> task_loop; // what it runs for Erlang, if it does
    bool between_callbacks = false;          // of that loop: nothing else of the thread runs below what is served now
    py::Ref printed; // what the running code has printed and not sent, as _output.py keeps it; made when it prints

    std::mutex interrupt_mutex; // guards the next twelve; taken attached. The thread itself reads some without it.
    uint64_t running = 0;       // serial of the request whose code runs
    uint64_t interrupted = 0;   // serial of the one that was sent an asynchronous exception
    uint64_t told = 0;          // serial of the one whose erlang.call has just raised the exception itself
    std::atomic<uint64_t> reached{0};  // serial of the one whose code has got the exception, one way or the other
    std::atomic<uint64_t> looping{0};  // serial of the one that runs an event loop, or has run one
    std::atomic<uint64_t> deferred{0}; // serial of the one whose loop is to raise the exception
    std::chrono::steady_clock::time_point deferred_at{}; // since when
    std::chrono::nanoseconds had_run{};                  // how long the thread had run then; without a GIL only
    bool importing = false;       // the import system itself is at work for it; kept without a GIL only
    unsigned import_locks = 0;    // how often it has the lock of the whole import system; the same
    unsigned uninterruptible = 0; // how often its code has asked not to be interrupted until it is done
    std::chrono::steady_clock::time_point uninterruptible_until{}; // after which it is all the same

    // Drops every object, before the interpreter or the thread state ends. Attached.
    void clear();
};

namespace ep {

// One per VM. Constant after start.
struct Engine {
    const ep_host *host = nullptr;
    const ConversionAtoms *conversion = nullptr;
    ERL_NIF_TERM ok = 0, error = 0, interrupted = 0, env_wrong_interpreter = 0;
    bool big_integers = false;
    std::vector<std::string> paths;
    PyThreadState *main_thread = nullptr; // of [python-main], in the main interpreter
    Interpreter *main = nullptr;          // as the modes that share it see it; nullptr in others
};

Engine &engine() noexcept;

// The context whose thread this is; nullptr on any other.
ep_interp *current_interp() noexcept;
void set_current_interp(ep_interp *interp) noexcept;

// Loads our modules into the attached interpreter. When that fails, the object has to outlive the interpreter all the
// same.
void set_up_interpreter(Interpreter &interpreter);
// Gives a context that is attached its namespace.
void set_up_context(ep_interp &interp);
PyModuleDef *erlang_module_definition() noexcept;
// Puts the module _erlang into the attached interpreter's sys.modules.
py::Ref add_module(Interpreter &interpreter);

// Initialises Python where nobody has yet, and gives the calling thread a state in the main interpreter. Leaves it
// detached. Throws std::runtime_error. [python-main]
void start_python(const ep_start &options);

// Parts of ep_backend.
void attach(ep_interp *interp) noexcept;
void detach(ep_interp *interp) noexcept;
void serve(ep_interp *interp, ep_request *request) noexcept;
void release_slot(ep_interp *interp, uint64_t slot) noexcept;

// Names the request whose code runs, for interrupts, and restores the one below it. No exception on its way to this
// thread gets past the ends of its life, where it would hit whatever runs next. Attached.
class Running {
public:
    Running(ep_interp &interp, uint64_t serial);
    ~Running();
    Running(const Running &) = delete;
    Running &operator=(const Running &) = delete;

    // Whether it runs on top of another one.
    bool nested() const noexcept { return below_ != 0; }
    // Whether that is the context's loop between two callbacks, and no task of it.
    bool between_callbacks() const noexcept { return between_callbacks_; }

private:
    ep_interp &interp_;
    uint64_t below_ = 0;
    uint64_t reached_below_ = 0;
    uint64_t told_below_ = 0;
    uint64_t looping_below_ = 0;
    bool importing_below_ = false;
    unsigned import_locks_below_ = 0;
    unsigned uninterruptible_below_ = 0;
    bool between_callbacks_ = false;
};

// Around code that is run in the middle of other code of this thread: an event loop of asyncio that runs below, and its
// task, are set aside, so that the code is in none and may run one; it leaves none behind, whatever interrupts it.
// Attached; no exception is set at either end.
class LoopBelow {
public:
    LoopBelow(ep_interp &interp, bool nested) noexcept;
    ~LoopBelow();
    LoopBelow(const LoopBelow &) = delete;
    LoopBelow &operator=(const LoopBelow &) = delete;

private:
    void set_aside() noexcept;

    ep_interp &interp_;
    py::Ref asyncio_, loop_, task_;
};

// No loop of asyncio runs on the calling thread any more, and no task of it. Attached; no exception is set at either end.
void forget_running_loop() noexcept;

// Around code that may print: what is left without a newline at its end is sent then, and does not get between the
// lines of the code below it on the stack. Attached; no exception is set at either end.
class Printing {
public:
    explicit Printing(ep_interp &interp) : interp_(interp), below_(std::move(interp.printed)) {}
    ~Printing();
    Printing(const Printing &) = delete;
    Printing &operator=(const Printing &) = delete;

private:
    ep_interp &interp_;
    py::Ref below_;
};

// Sends the request an exception if it is the one that runs and nothing is in the way. Another thread than its own,
// attached to its interpreter.
bool raise_interrupted(ep_interp &interp, uint64_t serial);

// While the import system itself works, or code that it has called, on the calling thread. No interrupt comes in the
// middle of it: that would leave a module's lock taken. Attached.
class Importing {
public:
    Importing() : interp_(current_interp()) {}
    // To be called once, with what the work came to; an interrupt that is on its way takes its place.
    PyObject *leave(PyObject *result);
    Importing(const Importing &) = delete;
    Importing &operator=(const Importing &) = delete;
    // False: the request was interrupted before, which is raised.
    bool enter(bool importing);

private:
    ep_interp *interp_;
    bool before_ = false;
    bool entered_ = false;
};

// Around what must be done to its end, and soon is: an interrupt waits until then. It is counted in `depth`, which is
// guarded by interrupt_mutex. False: the request was interrupted before, which is raised. For other threads than a
// context's they do nothing, since nobody interrupts those.
bool enter_uninterruptible(unsigned ep_interp::*depth);
void leave_uninterruptible(unsigned ep_interp::*depth);

// Makes the import system of the attached interpreter say when it works. Without a GIL only.
void watch_imports();

// What a mode does in its own way.
struct Mode {
    decltype(ep_backend::start) start;
    decltype(ep_backend::open) open;
    decltype(ep_backend::close) close;
    decltype(ep_backend::interrupt) interrupt;
    decltype(ep_backend::take_back) take_back;
    decltype(ep_backend::memory) memory; // may be nullptr
};

// The body of the entry function: checks versions and fills the table in.
ep_status fill_table(const ep_host *host, ep_backend *table, const Mode &mode, ep_error *error) noexcept;

// Puts a message into an ep_error.
void set_error(ep_error *error, const std::string &text) noexcept;
// The exception that is set, as text; it is cleared.
std::string take_exception_text();

// A namespace was let go that may live on in a cycle of its own.
void collect_dead_spaces(Interpreter &interpreter);

// The interrupt of the request that runs is raised by the caller: what is pending of it will not be raised any more.
void forget_interrupt(ep_interp &interp);
// Whether the code that runs has been interrupted, and cleans up now.
bool was_interrupted(ep_interp &interp);
// For a loop that looks for events: whether it is to raise an interrupt here, where it loses nothing.
bool take_deferred(ep_interp &interp);

// Refuses what would fork, exec or spawn. Before Python is initialised.
void install_sandbox();
// The same for what raises no audit event. Attached.
void close_sandbox_gaps();
// Puts a function that refuses in place of one of a module, in every module made from the same definition.
void replace_function(PyObject *module, const char *name, PyMethodDef &refusal);

} // namespace ep
