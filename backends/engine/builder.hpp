// Flat values into Python objects.
#pragma once

#include "engine.hpp"
#include "term_object.hpp"

#include <erlang_python/convert/replay.hpp>

namespace ep {

class Builder {
public:
    using Value = py::Ref;
    struct List {
        py::Ref list;
    };
    struct Tuple {
        py::Ref tuple;
    };
    struct Map {
        py::Ref dict;
    };

    // `strings` may be nullptr: on a thread that is no context's.
    Builder(Interpreter &interpreter, AtomStrings *strings) : interpreter_(interpreter), strings_(strings) {}
    ~Builder() {
        if (box_ != nullptr) {
            box_->release();
        }
    }
    Builder(const Builder &) = delete;
    Builder &operator=(const Builder &) = delete;

    Value none() { return py::Ref::borrow(Py_None); }
    Value boolean(bool value) { return py::Ref::borrow(value ? Py_True : Py_False); }
    Value integer(int64_t value) { return py::Ref::check(PyLong_FromLongLong(value)); }
    Value floating(double value) { return py::Ref::check(PyFloat_FromDouble(value)); }
    Value big_integer(bool negative, ep_slice magnitude);
    Value text(ep_slice data);
    Value bytes(ep_slice data) {
        return py::Ref::check(
            PyBytes_FromStringAndSize(reinterpret_cast<const char *>(data.data), static_cast<Py_ssize_t>(data.size)));
    }
    Value atom(ERL_NIF_TERM atom);
    Value pid(ERL_NIF_TERM pid) { return make_term_object(interpreter_.state->pid.get(), pid, nullptr); }
    Value big_text(ErlNifEnv *env, ERL_NIF_TERM binary) { return text(inspect(env, binary)); }
    Value big_bytes(ErlNifEnv *env, ERL_NIF_TERM binary) { return bytes(inspect(env, binary)); }
    Value view(ErlNifEnv *env, ERL_NIF_TERM binary);
    Value object(ErlNifEnv *env, ERL_NIF_TERM handle);
    Value opaque(ep_tag tag, ErlNifEnv *env, ERL_NIF_TERM term);

    List list(uint32_t n) { return {py::Ref::check(PyList_New(n))}; }
    void set(List &list, uint32_t i, Value value) { PyList_SET_ITEM(list.list.get(), i, value.release()); }
    Value finish(List list) { return std::move(list.list); }
    Tuple tuple(uint32_t n) { return {py::Ref::check(PyTuple_New(n))}; }
    void set(Tuple &tuple, uint32_t i, Value value) { PyTuple_SET_ITEM(tuple.tuple.get(), i, value.release()); }
    Value finish(Tuple tuple) { return std::move(tuple.tuple); }
    Map map(uint32_t) { return {py::Ref::check(PyDict_New())}; }
    void insert(Map &map, Value key, Value value) { py::check(PyDict_SetItem(map.dict.get(), key.get(), value.get())); }
    Value finish(Map map) { return std::move(map.dict); }

private:
    static ep_slice inspect(ErlNifEnv *env, ERL_NIF_TERM binary);
    TermBox *box();
    py::Ref handle_class(const char *path);

    Interpreter &interpreter_;
    AtomStrings *strings_;
    TermBox *box_ = nullptr; // shared by the opaque terms of one conversion
};

// The text of an atom as a str, not cached.
py::Ref atom_string(ERL_NIF_TERM atom);

} // namespace ep
