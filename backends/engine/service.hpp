// What each operation of a request does.
#pragma once

#include "builder.hpp"
#include "functions.hpp"
#include "task_loop.hpp"

#include <optional>

namespace ep {

// Larger results are built by the process that waits for them: on its own heap, and without the GIL.
inline constexpr size_t largest_built_here = 1024;

// What a task is for, and where its answer is: a small one in the request's `out`, from which it can be copied.
struct TaskRun {
    TaskLoop *loop; // whoever runs the task holds it; nullptr: the context has none
    bool small = false;
    std::optional<HostEnv> large = std::nullopt;
};

class Service {
public:
    Service(ep_interp &interp, ep_request &request, TaskRun *run)
        : interp_(interp),
          request_(request),
          run_(run),
          reader_(request.input),
          builder_(*interp.interpreter, &interp.atoms) {}

    ERL_NIF_TERM run() {
        switch (request_.op) {
        case EP_OP_CALL: return call();
        case EP_OP_EVAL: return eval();
        case EP_OP_EXEC: return exec();
        case EP_OP_METHOD: return method();
        case EP_OP_GETATTR: return getattr();
        case EP_OP_VALUE: return result(value());
        case EP_OP_TASK: return task();
        default: py::raise(PyExc_NotImplementedError, "this backend knows no operation %u", request_.op);
        }
    }

private:
    py::Ref value() { return replay(reader_, builder_); }

    py::Ref atom() {
        reader_.tag();
        return builder_.atom(reader_.raw<ERL_NIF_TERM>());
    }

    py::Ref name() {
        py::Ref text = reader_.peek() == EP_TAG_ATOM ? atom() : value();
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
        FlatReader ahead = reader_;
        if (ahead.tag() == EP_TAG_MAP && ahead.raw<uint32_t>() == 0) {
            reader_ = ahead;
            return {};
        }
        return value();
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
        ScratchWriter writer{request_.out, &interp_};
        record(*writer, *interp_.interpreter, object.get());
        const ep_flat flat = writer->view();
        if (flat.bytes.size > largest_built_here) {
            request_.result_kind = EP_RESULT_FLAT;
            return engine().host->keep_flat(request_.out, &flat);
        }
        return enif_make_tuple2(request_.out, engine().ok, build(request_.out, flat));
    }

    // What the task is to be answered; 0: that comes later.
    ERL_NIF_TERM task() {
        TaskLoop *const tasks = run_->loop;
        if (tasks == nullptr || !tasks->open()) {
            return enif_make_tuple2(request_.out, engine().error, enif_make_atom(request_.out, "loop_stopped"));
        }
        py::Ref module = name();
        py::Ref function = name();
        py::Ref callable = tasks->find_imported(module.get(), function.get());
        if (!callable) {
            callable = tasks->find(builder_.pid(request_.caller).get(), module.get(), function.get());
        }
        if (!callable) {
            return enif_make_tuple2(request_.out, engine().error, enif_make_atom(request_.out, "function_not_found"));
        }
        py::Ref object = invoke(callable.get());
        const PyAsyncMethods *async = Py_TYPE(object.get())->tp_as_async;
        if (async != nullptr && async->am_await != nullptr) {
            py::Ref future = PyCoro_CheckExact(object.get()) ? std::move(object) : tasks->awaited(object.get());
            if (PyCoro_CheckExact(future.get())) {
                future = tasks->start(future.get(), function.get());
            }
            object = tasks->result(future.get());
            if (!object) {
                tasks->watch(task_object().get(), builder_.pid(request_.caller).get(), future.get());
                return 0;
            }
        }
        if (request_.task == nullptr) {
            return 0;
        }
        ScratchWriter writer{request_.out, &interp_};
        record(*writer, *interp_.interpreter, object.get());
        const ep_flat flat = writer->view();
        run_->small = is_small(flat);
        ErlNifEnv *env = run_->small ? request_.out : run_->large.emplace().get();
        return enif_make_tuple2(env, engine().ok, build(env, flat));
    }

    py::Ref task_object() {
        if (request_.task == nullptr) {
            return py::Ref::borrow(Py_None);
        }
        const std::unique_ptr<TermBox, void (*)(TermBox *)> box{new TermBox, [](TermBox *mine) { mine->release(); }};
        ERL_NIF_TERM term = engine().host->task_term(box->env(), request_.task);
        return make_term_object(interp_.interpreter->state->ref.get(), term, box.get());
    }

    ERL_NIF_TERM keep(py::Ref object) {
        Interpreter &interpreter = *interp_.interpreter;
        uint64_t slot = interpreter.slots.add(std::move(object), &interp_);
        return engine().host->make_object(request_.out, interp_.context, interpreter.id, slot);
    }

    ep_interp &interp_;
    ep_request &request_;
    TaskRun *run_;
    FlatReader reader_;
    Builder builder_;
};

} // namespace ep
