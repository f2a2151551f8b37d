#include "arrays.hpp"

#include "buffer.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

namespace ep {

namespace {

template <class Number> Number read(const char *place) noexcept {
    Number number;
    std::memcpy(&number, place, sizeof number);
    return number;
}

// What one element is: the codes of the module struct, native sizes.
enum class Element : uint8_t { none, boolean, integer, large, floating };

struct Format {
    Element element = Element::none;
    int64_t (*integer)(const char *) = nullptr;
    double (*floating)(const char *) = nullptr;
};

template <class Number> constexpr Format integer_format() {
    if constexpr (sizeof(Number) == 8 && std::is_unsigned_v<Number>) {
        return {Element::large, [](const char *p) { return static_cast<int64_t>(read<Number>(p)); }, nullptr};
    } else {
        return {Element::integer, [](const char *p) { return static_cast<int64_t>(read<Number>(p)); }, nullptr};
    }
}

template <class Number> constexpr Format floating_format() {
    return {Element::floating, nullptr, [](const char *p) { return static_cast<double>(read<Number>(p)); }};
}

double half(const char *place) {
    return PyFloat_Unpack2(place, std::endian::native == std::endian::little);
}

Format format_of(const Py_buffer &view) noexcept {
    const char *code = view.format != nullptr ? view.format : "B";
    const char own = std::endian::native == std::endian::little ? '<' : '>';
    // With = < > sizes are standard ones, which only those of l and L may differ from.
    const bool standard = *code == '=' || *code == own;
    if (standard || *code == '@') {
        ++code;
    }
    if (code[0] == '\0' || code[1] != '\0') {
        return {};
    }
    switch (*code) {
    case '?': return {Element::boolean, [](const char *p) { return static_cast<int64_t>(*p != 0); }, nullptr};
    case 'b': return integer_format<signed char>();
    case 'B': return integer_format<unsigned char>();
    case 'h': return integer_format<short>();
    case 'H': return integer_format<unsigned short>();
    case 'i': return integer_format<int>();
    case 'I': return integer_format<unsigned>();
    case 'l': return standard ? integer_format<int32_t>() : integer_format<long>();
    case 'L': return standard ? integer_format<uint32_t>() : integer_format<unsigned long>();
    case 'q': return integer_format<long long>();
    case 'Q': return integer_format<unsigned long long>();
    case 'n': return integer_format<Py_ssize_t>();
    case 'N': return integer_format<size_t>();
    case 'e': return {Element::floating, nullptr, half};
    case 'f': return floating_format<float>();
    case 'd': return floating_format<double>();
    default: return {};
    }
}

class Recorder {
public:
    Recorder(FlatWriter &sink, const Py_buffer &view, const Format &format)
        : sink_(sink), view_(view), format_(format) {}

    void record() { record(0, static_cast<const char *>(view_.buf)); }

private:
    void record(int dimension, const char *place) {
        if (dimension == view_.ndim) {
            single(place);
            return;
        }
        const Py_ssize_t size = view_.shape[dimension];
        const Py_ssize_t stride = view_.strides[dimension];
        if (size > static_cast<Py_ssize_t>(UINT32_MAX)) {
            py::raise(PyExc_OverflowError, "the array has %zd elements in one dimension; a list has less than 2**32",
                      size);
        }
        const auto n = static_cast<uint32_t>(size);
        if (dimension + 1 == view_.ndim && n > 0 && format_.element == Element::integer) {
            sink_.begin(EP_TAG_INTS, n);
            for (uint32_t i = 0; i < n; ++i, place += stride) {
                sink_.element(format_.integer(place));
            }
        } else if (dimension + 1 == view_.ndim && n > 0 && format_.element == Element::floating) {
            sink_.begin(EP_TAG_FLOATS, n);
            for (uint32_t i = 0; i < n; ++i, place += stride) {
                sink_.element(format_.floating(place));
            }
        } else {
            sink_.begin(EP_TAG_LIST, n);
            for (uint32_t i = 0; i < n; ++i, place += stride) {
                record(dimension + 1, place);
            }
        }
    }

    void single(const char *place) {
        switch (format_.element) {
        case Element::boolean: sink_.tag(*place != 0 ? EP_TAG_TRUE : EP_TAG_FALSE); break;
        case Element::floating: sink_.floating(format_.floating(place)); break;
        case Element::large: large(static_cast<uint64_t>(format_.integer(place))); break;
        default: sink_.integer(format_.integer(place)); break;
        }
    }

    void large(uint64_t value) {
        if (value <= INT64_MAX) {
            sink_.integer(static_cast<int64_t>(value));
            return;
        }
        unsigned char bytes[8];
        for (size_t i = 0; i < sizeof bytes; ++i) {
            bytes[i] = static_cast<unsigned char>(value >> (8 * i));
        }
        sink_.big_integer(false, bytes, sizeof bytes);
    }

    FlatWriter &sink_;
    const Py_buffer &view_;
    const Format &format_;
};

// Of all that has a buffer (maps of files, strings of ctypes), what calls itself an array.
bool is_array(PyObject *object) {
    return PyObject_CheckBuffer(object) && (PyObject_HasAttrString(object, "__array_interface__") ||
                                            std::strcmp(Py_TYPE(object)->tp_name, "array.array") == 0);
}

} // namespace

bool record_array(FlatWriter &sink, PyObject *object) {
    if (!is_array(object)) {
        return false;
    }
    Buffer buffer{object, PyBUF_RECORDS_RO};
    if (!buffer) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            throw py::Raised{}; // an interrupt
        }
        PyErr_Clear();
        return false;
    }
    const Format format = format_of(*buffer);
    if (format.element == Element::none) {
        return false;
    }
    Recorder{sink, *buffer, format}.record();
    return true;
}

} // namespace ep
