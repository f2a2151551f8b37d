#include "builder.hpp"

#include <erlang_python/convert/utf8.hpp>

#include <algorithm>
#include <cstring>
#include <string>

namespace ep {

py::Ref atom_string(ERL_NIF_TERM atom) {
    ErlNifEnv *env = engine().host->env_take();
    std::string text = atom_text(env, atom);
    engine().host->env_give(env);
    return py::Ref::check(PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
}

py::Ref AtomStrings::get(ERL_NIF_TERM atom) {
    Entry &entry = entries_[(atom >> 6) % entries_.size()]; // the low bits are the tag of an immediate
    if (entry.atom != atom) {
        PyObject *text = atom_string(atom).release();
        PyUnicode_InternInPlace(&text); // names of attributes and keys: compared by identity
        entry.text = py::Ref::steal(text);
        entry.atom = atom;
    }
    return entry.text.copy();
}

Builder::Value Builder::atom(ERL_NIF_TERM atom) {
    return strings_ != nullptr ? strings_->get(atom) : atom_string(atom);
}

// By way of hexadecimal digits, the one linear conversion that every version of the API has.
Builder::Value Builder::big_integer(bool negative, ep_slice magnitude) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text = negative ? "-" : "";
    for (size_t i = magnitude.size; i-- > 0;) {
        text.push_back(digits[magnitude.data[i] >> 4]);
        text.push_back(digits[magnitude.data[i] & 15]);
    }
    return py::Ref::check(PyLong_FromString(text.c_str(), nullptr, 16));
}

Builder::Value Builder::text(ep_slice data) {
    auto size = static_cast<Py_ssize_t>(data.size);
    switch (text_kind(data.data, data.size)) {
    case TextKind::none: return bytes(data);
    case TextKind::utf8:
        return py::Ref::check(PyUnicode_DecodeUTF8(reinterpret_cast<const char *>(data.data), size, "strict"));
    case TextKind::ascii: break;
    }
    py::Ref text = py::Ref::check(PyUnicode_New(size, 127));
    if (size > 0) {
        std::memcpy(PyUnicode_DATA(text.get()), data.data, data.size);
    }
    return text;
}

ep_slice Builder::inspect(ErlNifEnv *env, ERL_NIF_TERM term) {
    ErlNifBinary binary;
    enif_inspect_binary(env, term, &binary);
    return {binary.data, binary.size};
}

TermBox *Builder::box() {
    if (box_ == nullptr) {
        box_ = new TermBox;
    }
    return box_;
}

Builder::Value Builder::view(ErlNifEnv *, ERL_NIF_TERM binary) {
    auto *own = new TermBox; // not shared: a reference that is kept must not keep a large binary, too
    struct Release {
        TermBox *box;
        ~Release() { box->release(); }
    } release{own};
    return make_view(interpreter_.state->view.get(), binary, own);
}

Builder::Value Builder::object(ErlNifEnv *env, ERL_NIF_TERM handle) {
    uint64_t interpreter = 0;
    uint64_t slot = 0;
    py::Ref object;
    if (engine().host->get_object(env, handle, &interpreter, &slot) == EP_OK && interpreter == interpreter_.id) {
        object = interpreter_.slots.get(slot);
    }
    if (!object) {
        py::raise(interpreter_.state->wrong_interpreter.get(),
                  "the Python object behind this reference is gone, or lives in another interpreter");
    }
    return object;
}

// The class in Python of what a reference of a plugin stands for.
py::Ref Builder::handle_class(const char *path) {
    ModuleState &state = *interpreter_.state;
    py::Ref key = py::Ref::check(PyUnicode_FromString(path));
    PyObject *known = nullptr;
    if (py::check(py::compat::dict_get(state.handle_classes.get(), key.get(), &known)) == 1) {
        return py::Ref::steal(known);
    }
    const std::string text = path;
    const size_t colon = std::min(text.find(':'), text.size() - 1);
    py::Ref module = py::Ref::check(PyImport_ImportModule(text.substr(0, colon).c_str()));
    py::Ref found = py::Ref::check(PyObject_GetAttrString(module.get(), text.c_str() + colon + 1));
    return py::Ref::check(py::compat::dict_set_default(state.handle_classes.get(), key.get(), found.get()));
}

Builder::Value Builder::opaque(ep_tag tag, ErlNifEnv *env, ERL_NIF_TERM term) {
    ModuleState &state = *interpreter_.state;
    const char *path = tag == EP_TAG_REF ? engine().host->python_class(env, term) : nullptr;
    if (path != nullptr) {
        py::Ref ref = make_term_object(state.ref.get(), term, box());
        return py::Ref::check(PyObject_CallOneArg(handle_class(path).get(), ref.get()));
    }
    PyObject *type = tag == EP_TAG_REF          ? state.ref.get()
                     : tag == EP_TAG_REMOTE_PID ? state.pid.get()
                                                : state.term.get();
    return make_term_object(type, term, box());
}

} // namespace ep
