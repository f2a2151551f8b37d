#include "term_object.hpp"

#include "buffer.hpp"
#include "functions.hpp"

#include <cstring>

namespace ep {

namespace {

template <class Object> Object *allocate(PyObject *type) {
    auto *python_type = reinterpret_cast<PyTypeObject *>(type);
    auto *object = reinterpret_cast<Object *>(python_type->tp_alloc(python_type, 0));
    if (object == nullptr) {
        throw py::Raised{};
    }
    return object;
}

void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    if (TermBox *box = as_term_object(self)->box) {
        box->release();
    }
    type->tp_free(self);
    Py_DECREF(type);
}

void dealloc_view(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    auto *view = reinterpret_cast<ViewObject *>(self);
    if (view->box != nullptr) {
        view->box->release();
    }
    if (view->owner != nullptr && view->looks.load() >= 0) {
        view->release(view->owner);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject *repr(PyObject *self) {
    char text[300];
    enif_snprintf(text, sizeof text, "%T", as_term_object(self)->term);
    return PyUnicode_FromFormat("<%s %s>", Py_TYPE(self)->tp_name, text);
}

PyObject *atom_str(PyObject *self) {
    // An atom's text needs some environment to be read in.
    ErlNifEnv *env = engine().host->env_take();
    std::string text = atom_text(env, as_term_object(self)->term);
    engine().host->env_give(env);
    return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
}

Py_hash_t hash(PyObject *self) {
    auto value = static_cast<Py_hash_t>(enif_hash(ERL_NIF_PHASH2, as_term_object(self)->term, 0));
    return value == -1 ? -2 : value;
}

PyObject *compare(PyObject *self, PyObject *other, int operation) {
    if (Py_TYPE(self) != Py_TYPE(other) || (operation != Py_EQ && operation != Py_NE)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    bool same = enif_is_identical(as_term_object(self)->term, as_term_object(other)->term) != 0;
    return PyBool_FromLong(same == (operation == Py_EQ));
}

// The owner is told when nobody looks any more, not only when the object ends: without a GIL that may have to wait for
// the thread that made the object, which may have nothing to do for hours.
void release_buffer(PyObject *self, Py_buffer *) {
    auto *view = reinterpret_cast<ViewObject *>(self);
    Py_ssize_t none = 0;
    if (view->looks.fetch_sub(1) == 1 && view->owner != nullptr && view->looks.compare_exchange_strong(none, -1)) {
        view->release(view->owner);
    }
}

int get_buffer(PyObject *self, Py_buffer *buffer, int flags) {
    auto *view = reinterpret_cast<ViewObject *>(self);
    buffer->obj = nullptr;
    Py_ssize_t looks = view->looks.load();
    while (looks >= 0 && !view->looks.compare_exchange_weak(looks, looks + 1)) {
    }
    if (looks < 0) {
        PyErr_SetString(PyExc_BufferError, "the memory was released");
        return -1;
    }
    const int status =
        PyBuffer_FillInfo(buffer, self, view->binary.data, static_cast<Py_ssize_t>(view->binary.size), 1, flags);
    if (status != 0) {
        release_buffer(self, buffer);
    }
    return status;
}

py::Ref make_type(PyObject *module, const char *name, const char *doc, reprfunc str) {
    PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void *>(dealloc)},
        {Py_tp_repr, reinterpret_cast<void *>(repr)},
        {Py_tp_str, reinterpret_cast<void *>(str)},
        {Py_tp_hash, reinterpret_cast<void *>(hash)},
        {Py_tp_richcompare, reinterpret_cast<void *>(compare)},
        {Py_tp_doc, const_cast<char *>(doc)},
        {0, nullptr},
    };
    PyType_Spec spec{name, sizeof(TermObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, slots};
    py::Ref type = py::Ref::check(PyType_FromModuleAndSpec(module, &spec, nullptr));
    py::check(PyModule_AddObjectRef(module, std::strchr(name, '.') + 1, type.get()));
    return type;
}

py::Ref make_view_type(PyObject *module) {
    PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void *>(dealloc_view)},
        {Py_bf_getbuffer, reinterpret_cast<void *>(get_buffer)},
        {Py_bf_releasebuffer, reinterpret_cast<void *>(release_buffer)},
        {Py_tp_doc, const_cast<char *>("The memory of an Erlang binary; what a memoryview from Erlang looks at.")},
        {0, nullptr},
    };
    PyType_Spec spec{"erlang.Binary", sizeof(ViewObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, slots};
    return py::Ref::check(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

// What a reference of a plugin becomes: classes in Python derive from it, whose instances go back to Erlang as the
// reference.
PyObject *new_handle(PyTypeObject *type, PyObject *args, PyObject *) noexcept {
    return guarded([&] {
        PyObject *handle = PyTuple_GET_SIZE(args) > 0 ? PyTuple_GET_ITEM(args, 0) : nullptr;
        auto *module = PyType_GetModuleByDef(type, erlang_module_definition());
        if (module == nullptr) {
            throw py::Raised{};
        }
        ModuleState &state = state_of(module);
        const bool fits =
            handle != nullptr && (reinterpret_cast<PyObject *>(Py_TYPE(handle)) == state.ref.get() ||
                                  PyObject_TypeCheck(handle, reinterpret_cast<PyTypeObject *>(state.handle.get())));
        if (!fits || as_term_object(handle)->box == nullptr) {
            py::raise(PyExc_TypeError, "%s() takes the erlang.Ref that Erlang knows it by, not %.100s", type->tp_name,
                      handle != nullptr ? Py_TYPE(handle)->tp_name : "nothing");
        }
        // The term itself, no copy beside it: other threads may do the same, and the environment would grow with each.
        auto *object = allocate<TermObject>(reinterpret_cast<PyObject *>(type));
        object->term = as_term_object(handle)->term;
        object->box = as_term_object(handle)->box->keep();
        return py::Ref::steal(reinterpret_cast<PyObject *>(object));
    });
}

// The object whose memory it is, when a memoryview looks at all of a binary: Erlang knows that again when a memoryview
// of it comes. Else nullptr.
PyObject *looked_at(const Py_buffer &part, PyObject *view) noexcept {
    PyObject *base = PyMemoryView_GET_BASE(view);
    if (base == nullptr || Py_TYPE(base)->tp_as_buffer == nullptr ||
        Py_TYPE(base)->tp_as_buffer->bf_getbuffer != get_buffer || part.ndim != 1 || part.itemsize != 1) {
        return nullptr;
    }
    const ErlNifBinary &whole = reinterpret_cast<ViewObject *>(base)->binary;
    const bool is_all = part.buf == whole.data && static_cast<size_t>(part.len) == whole.size;
    return is_all && PyBuffer_IsContiguous(&part, 'C') != 0 ? base : nullptr;
}

int export_memory(PyObject *memory, Py_buffer *buffer, int flags) noexcept {
    if (!PyMemoryView_Check(memory)) {
        return PyObject_GetBuffer(memory, buffer, flags);
    }
    const Buffer held{memory, PyBUF_FULL_RO};
    if (!held) {
        return -1; // it was released
    }
    PyObject *object = looked_at(*held, memory);
    return PyObject_GetBuffer(object != nullptr ? object : memory, buffer, flags);
}

// By way of the method _export, which Python 3.11 has no other name for. An object that exports itself, directly or
// not, ends with a RecursionError, not with the stack.
int export_buffer(PyObject *self, Py_buffer *buffer, int flags) noexcept {
    buffer->obj = nullptr;
    PyObject *memory = PyObject_CallMethod(self, "_export", nullptr);
    if (memory == nullptr) {
        return -1;
    }
    int status = -1;
    if (Py_EnterRecursiveCall(" in _export()") == 0) {
        status = export_memory(memory, buffer, flags);
        Py_LeaveRecursiveCall();
    }
    Py_DECREF(memory);
    return status;
}

py::Ref make_handle_type(PyObject *module, const char *name, const char *doc, PyObject *base) {
    PyType_Slot slots[] = {
        {Py_tp_new, reinterpret_cast<void *>(new_handle)},
        {Py_tp_dealloc, reinterpret_cast<void *>(dealloc)},
        {Py_tp_repr, reinterpret_cast<void *>(repr)},
        {Py_tp_hash, reinterpret_cast<void *>(hash)},
        {Py_tp_richcompare, reinterpret_cast<void *>(compare)},
        {Py_tp_doc, const_cast<char *>(doc)},
        {base != nullptr ? Py_bf_getbuffer : 0, reinterpret_cast<void *>(export_buffer)},
        {0, nullptr},
    };
    PyType_Spec spec{name, sizeof(TermObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
                     slots};
    py::Ref type = py::Ref::check(PyType_FromModuleAndSpec(module, &spec, base));
    py::check(PyModule_AddObjectRef(module, std::strchr(name, '.') + 1, type.get()));
    return type;
}

// For classes that are no handles.
py::Ref make_exporter_type(PyObject *module) {
    PyType_Slot slots[] = {
        {Py_bf_getbuffer, reinterpret_cast<void *>(export_buffer)},
        {Py_tp_doc, const_cast<char *>("A base with the buffer protocol: that of what its method _export() returns.")},
        {0, nullptr},
    };
    PyType_Spec spec{"erlang.Exporter", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
                     slots};
    py::Ref type = py::Ref::check(PyType_FromModuleAndSpec(module, &spec, nullptr));
    py::check(PyModule_AddObjectRef(module, "Exporter", type.get()));
    return type;
}

} // namespace

py::Ref make_term_object(PyObject *type, ERL_NIF_TERM term, TermBox *box) {
    auto *object = allocate<TermObject>(type);
    object->term = box != nullptr ? enif_make_copy(box->env(), term) : term;
    object->box = box != nullptr ? box->keep() : nullptr;
    return py::Ref::steal(reinterpret_cast<PyObject *>(object));
}

py::Ref make_view(PyObject *type, ERL_NIF_TERM term, TermBox *box, ViewOwner owner) {
    auto *object = allocate<ViewObject>(type);
    object->release = owner.get_deleter();
    object->owner = owner.release();
    object->box = box->keep();
    object->term = enif_make_copy(box->env(), term);
    enif_inspect_binary(box->env(), object->term, &object->binary);
    py::Ref exporter = py::Ref::steal(reinterpret_cast<PyObject *>(object));
    return py::Ref::check(PyMemoryView_FromObject(exporter.get()));
}

void add_term_types(PyObject *module, ModuleState &state) {
    state.pid =
        make_type(module, "erlang.Pid", "An Erlang process. Equal, hashable; comes back as the same pid.", repr);
    state.ref = make_type(module, "erlang.Ref", "An Erlang reference. Equal, hashable; comes back as it was.", repr);
    state.term =
        make_type(module, "erlang.Term",
                  "An Erlang term with no Python form (a fun, a port, a bitstring). Comes back as it was.", repr);
    state.atom = make_type(module, "erlang.Atom", "An Erlang atom, made by erlang.atom(name).", atom_str);
    state.view = make_view_type(module);
    state.handle = make_handle_type(module, "erlang.Handle",
                                    "What a reference of a plugin is in Python; goes back to Erlang as that.", nullptr);
    state.buffer_handle = make_handle_type(
        module, "erlang.BufferHandle", "A handle with the buffer protocol: that of what its method _export() returns.",
        state.handle.get());
    make_exporter_type(module);
}

} // namespace ep
