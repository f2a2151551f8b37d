#include "code_cache.hpp"

#include <cstring>
#include <functional>

namespace ep {

namespace {

// Python's compile() may have made it, or what code has put in place of that; and what runs code checks nothing.
py::Ref checked(py::Ref code) {
    if (!PyCode_Check(code.get())) {
        py::raise(PyExc_TypeError, "compile() gave a %.100s object instead of code", Py_TYPE(code.get())->tp_name);
    }
    if (PyCode_GetNumFree(reinterpret_cast<PyCodeObject *>(code.get())) != 0) {
        py::raise(PyExc_TypeError, "compile() gave code with free variables");
    }
    return code;
}

py::Ref compile(const char *source, int start) {
    return checked(py::Ref::check(py::compat::compile(source, "<erlang>", start)));
}

// eval() of Python takes an expression only. What guides for users of this API show, statements before it, is taken
// apart by the syntax tree, in Python.
Code compile_eval(const std::string &source) {
    const char *from = source.c_str() + std::strspn(source.c_str(), " \t\r\n");
    try {
        return {py::Ref{}, compile(from, Py_eval_input)};
    } catch (const py::Raised &) {
        if (!PyErr_ExceptionMatches(PyExc_SyntaxError)) {
            throw;
        }
    }
    py::Ref refused = py::Ref::steal(py::compat::take_exception());
    py::Ref module = py::Ref::check(PyImport_ImportModule("erlang._source"));
    py::Ref pair = py::Ref::check(PyObject_CallMethod(module.get(), "split", "y#O", source.data(),
                                                      static_cast<Py_ssize_t>(source.size()), refused.get()));
    py::Ref statements = py::Ref::check(PySequence_GetItem(pair.get(), 0));
    py::Ref expression = py::Ref::check(PySequence_GetItem(pair.get(), 1));
    return {checked(std::move(statements)), checked(std::move(expression))};
}

Code compile_code(const std::string &source, CodeCache::Kind kind) {
    if (source.find('\0') != std::string::npos) {
        py::raise(PyExc_ValueError, "source code cannot contain null bytes");
    }
    return kind == CodeCache::Kind::eval ? compile_eval(source)
                                         : Code{compile(source.c_str(), Py_file_input), py::Ref{}};
}

} // namespace

const Code &CodeCache::get(std::string_view source, Kind kind) {
    if (source.size() > largest) {
        uncached_ = compile_code(std::string{source}, kind);
        return uncached_;
    }
    Entry &entry = entries_[(std::hash<std::string_view>{}(source) + static_cast<size_t>(kind)) % places];
    if (entry.kind != kind || entry.source != source || (!entry.code.expression && !entry.code.statements)) {
        std::string text{source};
        Code code = compile_code(text, kind); // may run Python, which may come back here
        entry.source = std::move(text);
        entry.kind = kind;
        entry.code = std::move(code);
    }
    return entry.code;
}

} // namespace ep
