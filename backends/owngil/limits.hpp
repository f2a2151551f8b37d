// How much memory an interpreter takes, and at most may.
#pragma once

#include <erlang_python/backend.h>

#include <Python.h>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ep {

// What one interpreter has taken since it was registered. Gone when it was let go and all its memory was freed.
class Account {
public:
    explicit Account(uint64_t limit) : limit_(limit) {}
    Account(const Account &) = delete;
    Account &operator=(const Account &) = delete;

    // False when that would be too much; nothing is taken then. Any thread.
    bool take(size_t size) noexcept;
    // Any thread. Nothing of the account may be touched afterwards by whoever does not know of more that was taken.
    void give(size_t size) noexcept;
    // From now on nothing is refused: an interpreter that ends must be able to.
    void lift() noexcept { limit_.store(open_bias); }
    // Its owner does not need it any more.
    void let_go() noexcept { give(open_bias); }

    ep_memory usage() const noexcept;

private:
    static constexpr uint64_t open_bias = uint64_t{1} << 62;
    // Small blocks may go this far beyond the limit, so that handling a MemoryError seldom fails for want of memory.
    static constexpr uint64_t reserve = 256 * 1024;
    static constexpr size_t small = 4096;

    std::atomic<uint64_t> limit_;
    std::atomic<uint64_t> balance_{open_bias}; // bytes, and the bias as long as it has an owner
    std::atomic<uint64_t> peak_{0};
};

// Makes Python count what interpreters take. Before Python is initialised.
void install_limits();
bool limits_installed() noexcept;
// Whether nothing has taken its place while Python was initialised. Attached or not.
bool limits_active() noexcept;

// From now on what the interpreter takes goes to the account, on all of its threads.
void register_account(PyInterpreterState *interpreter, Account *account);
void unregister_account(PyInterpreterState *interpreter);

} // namespace ep
