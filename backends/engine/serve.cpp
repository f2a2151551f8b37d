// One request: operands in, Python, result out.
#include "builder.hpp"
#include "errors.hpp"
#include "source.hpp"

#include <chrono>
#include <new>

namespace ep {

namespace {

// Larger results are built by the process that waits for them: on its own heap, and without the GIL.
constexpr size_t largest_built_here = 1024;

class Service {
public:
    Service(ep_interp &interp, ep_request &request)
        : interp_(interp), request_(request), reader_(request.input), builder_(*interp.interpreter, &interp.atoms) {}

    ERL_NIF_TERM run() {
        switch (request_.op) {
        case EP_OP_CALL: return call();
        case EP_OP_EVAL: return eval();
        case EP_OP_EXEC: return exec();
        case EP_OP_METHOD: return method();
        case EP_OP_GETATTR: return getattr();
        case EP_OP_VALUE: return result(value());
        default: py::raise(PyExc_NotImplementedError, "this backend knows no operation %u", request_.op);
        }
    }

private:
    py::Ref value() { return replay(reader_, builder_); }

    py::Ref name() {
        py::Ref text = value();
        if (!PyUnicode_Check(text.get())) {
            py::raise(PyExc_TypeError, "a name must be UTF-8 text, not %R", text.get());
        }
        if (PyUnicode_FindChar(text.get(), 0, 0, PyUnicode_GET_LENGTH(text.get()), 1) >= 0) {
            py::raise(PyExc_ValueError, "a name cannot contain null bytes");
        }
        return text;
    }

    // The dict to run in. A process's environment starts as a copy of the context's own namespace.
    py::Ref space() {
        if (request_.env_slot == nullptr) {
            return interp_.globals.copy();
        }
        Slots &slots = interp_.interpreter->slots;
        if (*request_.env_slot != 0) {
            if (py::Ref dict = slots.get(*request_.env_slot)) {
                return dict;
            }
        }
        py::Ref dict = py::Ref::check(PyDict_Copy(interp_.globals.get()));
        *request_.env_slot = slots.add(dict.copy(), &interp_);
        return dict;
    }

    ERL_NIF_TERM call() {
        py::Ref module = name();
        py::Ref function = name();
        py::Ref callable = find(module.get(), function.get());
        return result(invoke(callable.get()));
    }

    py::Ref find(PyObject *module_name, PyObject *function) {
        if (PyUnicode_CompareWithASCIIString(module_name, "__main__") == 0) {
            py::Ref dict = space();
            PyObject *found = nullptr;
            if (py::check(py::compat::dict_get(dict.get(), function, &found)) == 1) {
                return py::Ref::steal(found);
            }
            return py::Ref::check(PyObject_GetAttr(interp_.interpreter->main.get(), function));
        }
        PyObject *module = PyImport_GetModule(module_name);
        if (module != nullptr) {
            py::Ref owned = py::Ref::steal(module);
            PyObject *found = PyObject_GetAttr(module, function);
            if (found != nullptr) {
                return py::Ref::steal(found);
            }
            if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
                throw py::Raised{};
            }
            PyErr_Clear(); // perhaps another thread is still importing it: the slow way waits for that
        } else if (PyErr_Occurred()) {
            throw py::Raised{};
        }
        py::Ref imported = import(module_name);
        return py::Ref::check(PyObject_GetAttr(imported.get(), function));
    }

    static py::Ref import(PyObject *name) {
        py::Ref top = py::Ref::check(PyImport_ImportModuleLevelObject(name, nullptr, nullptr, nullptr, 0));
        PyObject *module = PyImport_GetModule(name); // for a.b the import gives a
        if (module == nullptr && PyErr_Occurred()) {
            throw py::Raised{};
        }
        return module != nullptr ? py::Ref::steal(module) : std::move(top);
    }

    // Reads args and kwargs and calls.
    py::Ref invoke(PyObject *callable) {
        constexpr size_t on_stack = 8;
        py::Ref few[on_stack];
        std::vector<py::Ref> many;
        const ep_tag tag = reader_.tag();
        const auto count = reader_.raw<uint32_t>();
        if (count > on_stack) {
            many.resize(count);
        }
        py::Ref *args = count > on_stack ? many.data() : few;
        for (uint32_t i = 0; i < count; ++i) {
            switch (tag) {
            case EP_TAG_INTS: args[i] = builder_.integer(reader_.raw<int64_t>()); break;
            case EP_TAG_FLOATS: args[i] = builder_.floating(reader_.raw<double>()); break;
            default: args[i] = value(); break;
            }
        }
        py::Ref kwargs = keywords();
        PyObject *few_pointers[on_stack + 1];
        std::vector<PyObject *> many_pointers;
        if (count > on_stack) {
            many_pointers.resize(count + 1);
        }
        // The place in front is what PY_VECTORCALL_ARGUMENTS_OFFSET lends to the callee.
        PyObject **pointers = (count > on_stack ? many_pointers.data() : few_pointers) + 1;
        for (uint32_t i = 0; i < count; ++i) {
            pointers[i] = args[i].get();
        }
        return py::Ref::check(
            PyObject_VectorcallDict(callable, pointers, count | PY_VECTORCALL_ARGUMENTS_OFFSET, kwargs.get()));
    }

    py::Ref keywords() {
        py::Ref kwargs = value();
        return PyDict_GET_SIZE(kwargs.get()) == 0 ? py::Ref{} : std::move(kwargs);
    }

    // Source text: code of any size, not decoded.
    std::string_view source() {
        ep_slice data{};
        ErlNifBinary binary;
        if (reader_.tag() == EP_TAG_BIG_TEXT) {
            enif_inspect_binary(reader_.env(), reader_.term(), &binary);
            data = {binary.data, binary.size};
        } else {
            data = reader_.data();
        }
        return {reinterpret_cast<const char *>(data.data), data.size};
    }

    ERL_NIF_TERM eval() {
        std::string_view text = source();
        py::Ref locals = keywords();
        const Code &cached = interp_.code.get(text, CodeCache::Kind::eval);
        Code code{cached.statements.copy(), cached.expression.copy()}; // running it may replace the cache's entry
        py::Ref dict = space();
        PyObject *scope = locals ? locals.get() : dict.get();
        if (code.statements) {
            py::Ref::check(PyEval_EvalCode(code.statements.get(), dict.get(), scope));
        }
        return result(py::Ref::check(PyEval_EvalCode(code.expression.get(), dict.get(), scope)));
    }

    ERL_NIF_TERM exec() {
        py::Ref code = interp_.code.get(source(), CodeCache::Kind::exec).statements.copy();
        py::Ref dict = space();
        py::Ref::check(PyEval_EvalCode(code.get(), dict.get(), dict.get()));
        return engine().ok;
    }

    ERL_NIF_TERM method() {
        py::Ref object = value();
        py::Ref function = name();
        py::Ref callable = py::Ref::check(PyObject_GetAttr(object.get(), function.get()));
        return result(invoke(callable.get()));
    }

    ERL_NIF_TERM getattr() {
        py::Ref object = value();
        py::Ref attribute = name();
        return result(py::Ref::check(PyObject_GetAttr(object.get(), attribute.get())));
    }

    // Goes on with what a function has returned instead of its result. Other contexts get their turn in between.
    py::Ref settled(py::Ref object) {
        while (interp_.interpreter->state->is_schedule_marker(object.get())) {
            Py_BEGIN_ALLOW_THREADS;
            Py_END_ALLOW_THREADS;
            object = py::Ref::check(PyObject_CallMethod(object.get(), "_continue", "O", space().get()));
        }
        return object;
    }

    ERL_NIF_TERM result(py::Ref unsettled) {
        py::Ref object = settled(std::move(unsettled));
        if ((request_.flags & EP_NO_REPLY) != 0) {
            return engine().ok;
        }
        if ((request_.flags & EP_RETURN_OBJECT) != 0) {
            return enif_make_tuple2(request_.out, engine().ok, keep(std::move(object)));
        }
        ScratchWriter writer{request_.out};
        record(*writer, *interp_.interpreter, object.get());
        const ep_flat flat = writer->view();
        if (flat.bytes.size > largest_built_here) {
            request_.result_kind = EP_RESULT_FLAT;
            return engine().host->keep_flat(request_.out, &flat);
        }
        return enif_make_tuple2(request_.out, engine().ok, build(request_.out, flat));
    }

    ERL_NIF_TERM keep(py::Ref object) {
        Interpreter &interpreter = *interp_.interpreter;
        uint64_t slot = interpreter.slots.add(std::move(object), &interp_);
        return engine().host->make_object(request_.out, interp_.context, interpreter.id, slot);
    }

    ep_interp &interp_;
    ep_request &request_;
    FlatReader reader_;
    Builder builder_;
};

} // namespace

void serve(ep_interp *interp, ep_request *request) noexcept {
    request->result_kind = EP_RESULT_TERM;
    Running running{*interp, request->serial};
    LoopBelow loop{*interp, running.nested()};
    Printing printing{*interp}; // ends before the request does, so that sending can be interrupted
    try {
        request->result = Service{*interp, *request}.run();
        PyErr_Clear(); // an asynchronous exception may have been raised by what cleaned up
        return;
    } catch (const py::Raised &) {
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
    } catch (const std::exception &error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    request->result_kind = EP_RESULT_TERM;
    request->result = take_error(request->out, *interp->interpreter);
    PyErr_Clear();
}

// Every function defined in an environment holds it and is held by it, so that only the garbage collector frees both; and
// that counts objects, not the memory behind them. So it is called for environments that died and did not go, with at
// most a twentieth of the time for it.
void collect_dead_spaces(Interpreter &interpreter) {
    using Clock = std::chrono::steady_clock;
    constexpr uint32_t enough = 32;
    constexpr int share = 20;
    const auto begin = Clock::now();
    {
        std::lock_guard lock{interpreter.collection_mutex};
        if (++interpreter.dead_spaces < enough || begin < interpreter.next_collection) {
            return;
        }
        interpreter.dead_spaces = 0;
        interpreter.next_collection = Clock::time_point::max(); // one at a time
    }
    PyGC_Collect();
    const auto end = Clock::now();
    std::lock_guard lock{interpreter.collection_mutex};
    interpreter.next_collection = end + share * (end - begin);
}

void release_slot(ep_interp *interp, uint64_t slot) noexcept {
    Printing printing{*interp};
    py::Ref object = interp->interpreter->slots.remove(slot);
    const bool stays = object && PyDict_CheckExact(object.get()) && Py_REFCNT(object.get()) > 1;
    object = {};
    if (stays) {
        collect_dead_spaces(*interp->interpreter);
    }
    PyErr_Clear();
}

} // namespace ep
