// Python objects into terms.
#pragma once

#include "engine.hpp"
#include "term_object.hpp"

#include <erlang_python/convert/encode.hpp>
#include <erlang_python/convert/terms.hpp>

#include <memory>

namespace ep {

class Source {
public:
    using View = PyObject *;
    using Owned = py::Ref;

    explicit Source(Interpreter &interpreter) : state_(*interpreter.state) {}

    static View view(const Owned &owned) noexcept { return owned.get(); }
    Shape shape(View v) const;
    bool small_integer(View v, int64_t &value) const;
    double floating(View v) const { return PyFloat_AS_DOUBLE(v); }
    void big_integer(FlatWriter &sink, View v) const;
    void text(FlatWriter &sink, View v) const;
    void bytes(FlatWriter &sink, View v) const;
    void term(FlatWriter &sink, View v) const;

    static size_t size(View v) {
        return static_cast<size_t>(PyTuple_Check(v) ? PyTuple_GET_SIZE(v) : PyList_GET_SIZE(v));
    }
    bool item(View v, size_t i, Owned &item) const;

    // Walks a dict; raises when it is changed meanwhile, as Python's own iterators do.
    class Pairs {
    public:
        explicit Pairs(View dict);
        bool next(Owned &key, Owned &value);

    private:
        View dict_;
        Py_ssize_t size_;
        Py_ssize_t position_ = 0;
        py::Ref items_; // a copy, where there is no GIL
    };
    Pairs pairs(View v) const { return Pairs{v}; }

    template <class Each> void for_each(View v, Each each) const {
        py::Ref iterator = py::Ref::check(PyObject_GetIter(v));
        while (PyObject *item = PyIter_Next(iterator.get())) {
            py::Ref owned = py::Ref::steal(item);
            each(item);
        }
        if (PyErr_Occurred()) {
            throw py::Raised{};
        }
    }

    [[noreturn]] void too_deep() const;

private:
    void lasting(FlatWriter &sink, PyObject *owner, const void *data, size_t size) const;
    void viewed(FlatWriter &sink, PyObject *view) const;

    ModuleState &state_;
};

// Records a Python object. Throws py::Raised.
void record(FlatWriter &sink, Interpreter &interpreter, PyObject *object);
// The term of a flat value, built in `env`. Throws py::Raised.
ERL_NIF_TERM build(ErlNifEnv *env, const ep_flat &flat);
// Whether its term is cheaper copied than kept with the environment it is in.
inline bool is_small(const ep_flat &flat) noexcept {
    return flat.term_count == 0 && flat.bytes.size <= 1024;
}
// Both: the term of a Python object.
ERL_NIF_TERM encode(ErlNifEnv *env, Interpreter &interpreter, PyObject *object);

// A writer, from the context's spare ones or a new one. Its terms go to `env`.
class ScratchWriter {
public:
    explicit ScratchWriter(ErlNifEnv *env) : ScratchWriter(env, current_interp()) {}
    // `interp`: that of the thread; nullptr: it is no context's.
    ScratchWriter(ErlNifEnv *env, ep_interp *interp);
    ~ScratchWriter();
    ScratchWriter(const ScratchWriter &) = delete;
    ScratchWriter &operator=(const ScratchWriter &) = delete;
    FlatWriter &operator*() const noexcept { return *writer_; }
    FlatWriter *operator->() const noexcept { return writer_.get(); }

private:
    ep_interp *interp_;
    std::unique_ptr<FlatWriter> writer_;
};

// A list of the code points of a str.
ERL_NIF_TERM make_charlist(ErlNifEnv *env, PyObject *text, Py_ssize_t longest);

} // namespace ep
