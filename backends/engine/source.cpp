#include "source.hpp"

#include "arrays.hpp"
#include "buffer.hpp"

#include <erlang_python/convert/decimal.hpp>

#include <cstring>
#include <memory>
#include <vector>

namespace ep {

ERL_NIF_TERM make_charlist(ErlNifEnv *env, PyObject *text, Py_ssize_t longest) {
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    std::vector<ERL_NIF_TERM> points;
    points.reserve(static_cast<size_t>(length < longest ? length : longest) + 1);
    for (Py_ssize_t i = 0; i < length && i < longest; ++i) {
        const Py_UCS4 point = PyUnicode_READ_CHAR(text, i);
        // A lone surrogate is no character to Erlang: the replacement character.
        points.push_back(enif_make_uint(env, Py_UNICODE_IS_SURROGATE(point) ? 0xfffd : point));
    }
    if (length > longest) {
        points.push_back(enif_make_uint(env, 0x2026)); // an ellipsis
    }
    return enif_make_list_from_array(env, points.data(), static_cast<unsigned>(points.size()));
}

Shape Source::shape(View v) const {
    PyTypeObject *type = Py_TYPE(v);
    if (type == &PyLong_Type) {
        return Shape::integer;
    }
    if (type == &PyUnicode_Type) {
        return Shape::text;
    }
    if (type == &PyFloat_Type) {
        return Shape::floating;
    }
    if (v == Py_None) {
        return Shape::none;
    }
    if (type == &PyBool_Type) {
        return v == Py_True ? Shape::true_ : Shape::false_;
    }
    if (PyDict_Check(v)) {
        return Shape::map;
    }
    if (PyList_Check(v)) {
        return Shape::list;
    }
    if (PyTuple_Check(v)) {
        return Shape::tuple;
    }
    if (PyBytes_Check(v) || PyByteArray_Check(v) || PyMemoryView_Check(v)) {
        return Shape::bytes;
    }
    if (PyUnicode_Check(v)) {
        return Shape::text;
    }
    if (PyLong_Check(v)) {
        return Shape::integer;
    }
    if (PyFloat_Check(v)) {
        return Shape::floating;
    }
    return PyAnySet_Check(v) ? Shape::sequence : Shape::term;
}

namespace {

// From how many bytes on memory that lasts is lent to Erlang: giving it back wakes the context's thread, which costs
// about as much as copying so many.
constexpr size_t least_lent = 256 * 1024;
// From how many bytes on a part of a binary keeps the whole.
constexpr size_t least_part = 256;

} // namespace

bool Source::small_integer(View v, int64_t &value) const {
    if (py::compat::compact_int(v, value)) {
        return true;
    }
    int overflow = 0;
    value = PyLong_AsLongLongAndOverflow(v, &overflow);
    return overflow == 0;
}

namespace {

// The most decimal digits an int becomes a string of: the algorithm is quadratic and cannot be interrupted.
constexpr int most_digits = 200'000;
constexpr Py_ssize_t most_bytes = 83'049; // of such an int

} // namespace

// Beyond 64 bits: a string of decimal digits, or all its bytes.
void Source::big_integer(FlatWriter &sink, View v) const {
    const uint64_t value = PyLong_AsUnsignedLongLong(v);
    if (value != UINT64_MAX || !PyErr_Occurred()) {
        unsigned char bytes[8];
        for (size_t i = 0; i < sizeof bytes; ++i) {
            bytes[i] = static_cast<unsigned char>(value >> (8 * i));
        }
        sink.big_integer(false, bytes, sizeof bytes);
        return;
    }
    PyErr_Clear();
    // An exact int: subclasses may have methods of their own.
    py::Ref magnitude = py::Ref::check(PyLong_Type.tp_as_number->nb_absolute(v));
    py::Ref zero = py::Ref::check(PyLong_FromLong(0));
    py::Ref negative = py::Ref::check(PyLong_Type.tp_richcompare(v, zero.get(), Py_LT));
    py::Ref bits = py::Ref::check(PyObject_CallMethod(magnitude.get(), "bit_length", nullptr));
    const Py_ssize_t size = PyLong_AsSsize_t(bits.get()) / 8 + 1;
    if (!engine().big_integers && size > most_bytes) {
        py::raise(PyExc_ValueError,
                  "the int has more than %d decimal digits; set big_integers to integer to get it as an Erlang integer",
                  most_digits);
    }
    py::Ref bytes = py::Ref::check(PyObject_CallMethod(magnitude.get(), "to_bytes", "ns", size, "little"));
    if (!PyBytes_CheckExact(bytes.get()) || PyBytes_GET_SIZE(bytes.get()) != size) {
        py::raise(PyExc_SystemError, "int.to_bytes gave no such bytes");
    }
    const auto *data = reinterpret_cast<const unsigned char *>(PyBytes_AS_STRING(bytes.get()));
    if (engine().big_integers) {
        sink.big_integer(negative.get() == Py_True, data, static_cast<size_t>(size));
    } else {
        // Not by str(): Python bounds that to protect servers that print what they were sent, by a setting that is one
        // for the whole interpreter.
        sink.charlist(decimal_digits(negative.get() == Py_True, data, static_cast<size_t>(size)));
    }
}

// As UTF-8. Lone surrogates, which have none, come out as the bytes they stand for in file names, or as three each.
void Source::text(FlatWriter &sink, View v) const {
    if (PyUnicode_IS_ASCII(v)) {
        lasting(sink, v, PyUnicode_DATA(v), static_cast<size_t>(PyUnicode_GET_LENGTH(v)));
        return;
    }
    PyObject *encoded = PyUnicode_AsUTF8String(v);
    for (const char *errors : {"surrogateescape", "surrogatepass"}) {
        if (encoded == nullptr && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            PyErr_Clear();
            encoded = PyUnicode_AsEncodedString(v, "utf-8", errors);
        }
    }
    py::Ref bytes = py::Ref::check(encoded);
    lasting(sink, encoded, PyBytes_AS_STRING(encoded), static_cast<size_t>(PyBytes_GET_SIZE(encoded)));
}

void Source::bytes(FlatWriter &sink, View v) const {
    if (PyBytes_Check(v)) {
        lasting(sink, v, PyBytes_AS_STRING(v), static_cast<size_t>(PyBytes_GET_SIZE(v)));
    } else if (PyMemoryView_Check(v)) {
        viewed(sink, v);
    } else {
        Buffer buffer{v, PyBUF_SIMPLE};
        if (!buffer) {
            throw py::Raised{};
        }
        sink.binary(buffer->buf, static_cast<size_t>(buffer->len));
    }
}

// Memory of an object that never changes. When it is large Erlang gets to see it where it is, and the object stays for
// as long as anybody does; else a copy.
void Source::lasting(FlatWriter &sink, PyObject *owner, const void *data, size_t size) const {
    if (size < least_lent) {
        sink.binary(data, size);
        return;
    }
    ep_interp *interp = current_interp();
    // An interpreter that ends takes along what it knows by other ways than by counting references: classes, and with
    // them their instances, and interned strings. Bytes are known to nobody.
    const bool lasts = PyBytes_CheckExact(owner) ||
                       (PyUnicode_CheckExact(owner) && state_.interpreter->python == PyInterpreterState_Main());
    if (interp == nullptr || !lasts) {
        sink.binary(data, size);
        return;
    }
    Interpreter &interpreter = *state_.interpreter;
    const uint64_t slot = interpreter.slots.lend(py::Ref::borrow(owner));
    const ep_slice memory{static_cast<const unsigned char *>(data), size};
    sink.own_term(EP_TAG_BIG_BYTES, engine().host->lend(sink.env(), interp->context, interpreter.id, slot, memory));
}

// What a memoryview looks at: the binary that it came from, or bytes that last; a copy when it may be written to.
void Source::viewed(FlatWriter &sink, PyObject *view) const {
    Buffer buffer{view, PyBUF_FULL_RO};
    if (!buffer) {
        throw py::Raised{}; // it was released
    }
    const auto size = static_cast<size_t>(buffer->len);
    PyObject *base = PyMemoryView_GET_BASE(view);
    if (PyBuffer_IsContiguous(&*buffer, 'C') == 0) {
        py::Ref copy = py::Ref::check(PyBytes_FromObject(view));
        lasting(sink, copy.get(), PyBytes_AS_STRING(copy.get()), size);
    } else if (size >= least_part && base != nullptr &&
               reinterpret_cast<PyObject *>(Py_TYPE(base)) == state_.view.get()) {
        auto *object = reinterpret_cast<ViewObject *>(base);
        ERL_NIF_TERM whole = enif_make_copy(sink.env(), object->term);
        const auto offset = static_cast<size_t>(static_cast<unsigned char *>(buffer->buf) - object->binary.data);
        sink.own_term(EP_TAG_BIG_BYTES,
                      size == object->binary.size ? whole : enif_make_sub_binary(sink.env(), whole, offset, size));
    } else if (base != nullptr && PyBytes_CheckExact(base)) {
        lasting(sink, base, buffer->buf, size);
    } else {
        sink.binary(buffer->buf, size);
    }
}

// Ours as they were; arrays of numbers as lists; numbers of other libraries by their __index__; everything else as its
// str().
void Source::term(FlatWriter &sink, View v) const {
    auto *type = reinterpret_cast<PyObject *>(Py_TYPE(v));
    if (type == state_.pid.get() || type == state_.ref.get() || type == state_.atom.get() ||
        type == state_.term.get() || PyObject_TypeCheck(v, reinterpret_cast<PyTypeObject *>(state_.handle.get()))) {
        TermObject *object = as_term_object(v);
        if (object->box != nullptr) {
            sink.term(EP_TAG_TERM, object->term);
        } else {
            sink.atom(object->term); // an immediate term, whatever it is
        }
        return;
    }
    if (record_array(sink, v)) {
        return;
    }
    if (PyIndex_Check(v)) {
        if (PyObject *index = PyNumber_Index(v)) {
            py::Ref number = py::Ref::steal(index);
            int64_t value = 0;
            if (small_integer(index, value)) {
                sink.integer(value);
            } else {
                big_integer(sink, index);
            }
            return;
        }
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            throw py::Raised{}; // an interrupt
        }
        PyErr_Clear();
    }
    PyObject *string = PyObject_Str(v);
    if (string == nullptr) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            throw py::Raised{}; // an interrupt, not a __str__ that fails
        }
        PyErr_Clear();
        string = PyUnicode_FromFormat("<%s object, whose __str__ raises>", Py_TYPE(v)->tp_name);
    }
    py::Ref owned = py::Ref::check(string);
    text(sink, string);
}

bool Source::item(View v, size_t i, Owned &item) const {
    auto index = static_cast<Py_ssize_t>(i);
    if (PyTuple_Check(v)) {
        if (index >= PyTuple_GET_SIZE(v)) {
            return false;
        }
        item = py::Ref::borrow(PyTuple_GET_ITEM(v, index));
        return true;
    }
    item = py::Ref::steal(py::compat::list_item(v, index));
    return static_cast<bool>(item);
}

Source::Pairs::Pairs(View dict) : dict_(dict), size_(PyDict_GET_SIZE(dict)) {
#ifdef Py_GIL_DISABLED
    items_ = py::Ref::check(PyDict_Items(dict));
#endif
}

bool Source::Pairs::next(Owned &key, Owned &value) {
    if (items_) {
        if (position_ >= PyList_GET_SIZE(items_.get())) {
            return false;
        }
        PyObject *pair = PyList_GET_ITEM(items_.get(), position_++);
        key = py::Ref::borrow(PyTuple_GET_ITEM(pair, 0));
        value = py::Ref::borrow(PyTuple_GET_ITEM(pair, 1));
        return true;
    }
    if (PyDict_GET_SIZE(dict_) != size_) {
        py::raise(PyExc_RuntimeError, "dictionary changed size while it was converted for Erlang");
    }
    PyObject *next_key = nullptr;
    PyObject *next_value = nullptr;
    if (!PyDict_Next(dict_, &position_, &next_key, &next_value)) {
        return false;
    }
    key = py::Ref::borrow(next_key);
    value = py::Ref::borrow(next_value);
    return true;
}

void Source::too_deep() const {
    py::raise(PyExc_ValueError, "the object nests deeper than %u levels, or contains itself; flatten it", max_nesting);
}

void record(FlatWriter &sink, Interpreter &interpreter, PyObject *object) {
    Source source{interpreter};
    Encoder<Source, FlatWriter>{source, sink}.value(object);
}

ERL_NIF_TERM build(ErlNifEnv *env, const ep_flat &flat) {
    try {
        FlatReader reader{flat};
        TermBuilder builder{env, *engine().conversion};
        return replay(reader, builder);
    } catch (const SameKey &) {
        py::raise(PyExc_ValueError, "two keys of a dict are the same Erlang term, such as 'a' and b'a'");
    } catch (const NoForm &form) {
        py::raise(PyExc_OverflowError, form.why);
    }
}

ERL_NIF_TERM encode(ErlNifEnv *env, Interpreter &interpreter, PyObject *object) {
    ScratchWriter writer{env};
    record(*writer, interpreter, object);
    return build(env, writer->view());
}

ScratchWriter::ScratchWriter(ErlNifEnv *env, ep_interp *interp) : interp_(interp) {
    if (interp_ != nullptr) {
        writer_ = std::move(interp_->spare_writer);
    }
    if (writer_ == nullptr) {
        writer_ = std::make_unique<FlatWriter>();
    }
    writer_->use_env(env);
}

ScratchWriter::~ScratchWriter() {
    if (interp_ != nullptr) {
        writer_->clear(256 * 1024);
        interp_->spare_writer = std::move(writer_);
    }
}

} // namespace ep
