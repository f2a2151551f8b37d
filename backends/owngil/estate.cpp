#include "estate.hpp"

#include <map>
#include <mutex>
#include <set>
#include <utility>

namespace ep {

namespace {

using Name = std::pair<uint64_t, uint64_t>; // an interpreter and a slot of it

struct Estate {
    std::mutex mutex;
    std::map<Name, PyObject *> left; // guarded by mutex: of interpreters that have ended
    std::set<Name> early;            // guarded by mutex: given back before their interpreter had ended
};

Estate &estate() noexcept {
    static auto *all = new Estate; // lives as long as the VM
    return *all;
}

// They are bytes, which nothing else refers to any more. Their type is one for all interpreters, but the allocator is not:
// it knows its own blocks, and gives those it does not know to the one below (Objects/obmalloc.c, _PyObject_Free), which is
// where blocks of this size are from. With a thread state of the main interpreter.
void free_all(const std::vector<PyObject *> &objects) noexcept {
    for (PyObject *object : objects) {
        PyObject_Free(object);
    }
}

} // namespace

// Each interpreter counts what it gives out less what it is given back (Objects/obmalloc.c,
// _PyInterpreterState_FinalizeAllocatedBlocks). So it is given blocks of the main one's in place of those that the main
// one will be given.
void write_off(size_t blocks) {
    constexpr size_t not_from_an_arena = 1024;
    if (blocks == 0) {
        return;
    }
    std::vector<void *> substitutes;
    substitutes.reserve(blocks);
    PyThreadState *own = PyEval_SaveThread();
    if (PyThreadState *thread = PyThreadState_New(PyInterpreterState_Main())) {
        PyEval_RestoreThread(thread);
        while (substitutes.size() < blocks) {
            substitutes.push_back(PyObject_Malloc(not_from_an_arena));
        }
        PyThreadState_Clear(thread);
        PyThreadState_DeleteCurrent();
    }
    PyEval_RestoreThread(own);
    for (void *each : substitutes) {
        PyObject_Free(each);
    }
}

void leave_estate(uint64_t interpreter, const std::vector<Slots::Lent> &lent) {
    std::vector<PyObject *> returned;
    {
        std::lock_guard lock{estate().mutex};
        for (const Slots::Lent &each : lent) {
            const Name name{interpreter, each.slot};
            if (estate().early.erase(name) != 0) {
                returned.push_back(each.object);
            } else {
                estate().left.emplace(name, each.object);
            }
        }
    }
    PyThreadState *thread = returned.empty() ? nullptr : PyThreadState_New(PyInterpreterState_Main());
    if (thread != nullptr) {
        PyEval_RestoreThread(thread);
        free_all(returned);
        PyThreadState_Clear(thread);
        PyThreadState_DeleteCurrent();
    }
}

void take_back(uint64_t interpreter, uint64_t slot) noexcept {
    const Name name{interpreter, slot};
    PyObject *object = nullptr;
    {
        std::lock_guard lock{estate().mutex};
        auto found = estate().left.find(name);
        if (found == estate().left.end()) {
            estate().early.insert(name);
            return;
        }
        object = found->second;
        estate().left.erase(found);
    }
    PyEval_RestoreThread(engine().main_thread);
    free_all({object});
    PyEval_SaveThread();
}

} // namespace ep
