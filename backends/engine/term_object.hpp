// Terms that Python holds without looking inside: erlang.Pid, Ref, Atom and Term.
#pragma once

#include "engine.hpp"

#include <atomic>
#include <memory>

namespace ep {

// An environment that several Python objects share; gone with the last of them.
class TermBox {
public:
    TermBox() : env_(enif_alloc_env()) {}
    TermBox(const TermBox &) = delete;
    TermBox &operator=(const TermBox &) = delete;

    ErlNifEnv *env() const noexcept { return env_; }
    TermBox *keep() noexcept {
        owners_.fetch_add(1, std::memory_order_relaxed); // whoever calls owns one already
        return this;
    }
    void release() noexcept {
        if (owners_.fetch_sub(1) == 1) {
            delete this;
        }
    }

private:
    ~TermBox() { enif_free_env(env_); }
    std::atomic<int> owners_{1};
    ErlNifEnv *env_;
};

struct TermObject {
    PyObject_HEAD ERL_NIF_TERM term;
    TermBox *box; // nullptr: an atom or a pid of this node, which are immediate
};

// A read-only buffer over a binary.
struct ViewObject {
    PyObject_HEAD ErlNifBinary binary;
    ERL_NIF_TERM term;
    TermBox *box;
    void *owner; // nullptr, or somebody's who wants to know when nobody looks at it any more
    void (*release)(void *owner);
    std::atomic<Py_ssize_t> looks; // how many look at it; less than 0: the owner has been told that nobody does
};
using ViewOwner = std::unique_ptr<void, void (*)(void *owner)>;

// `box` is kept by the object.
py::Ref make_term_object(PyObject *type, ERL_NIF_TERM term, TermBox *box);
py::Ref make_view(PyObject *type, ERL_NIF_TERM binary, TermBox *box, ViewOwner owner = {nullptr, nullptr});

// Creates the types in a module's state.
void add_term_types(PyObject *module, ModuleState &state);

inline TermObject *as_term_object(PyObject *object) noexcept {
    return reinterpret_cast<TermObject *>(object);
}

} // namespace ep
