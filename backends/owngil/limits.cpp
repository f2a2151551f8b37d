// Python has two sources of memory under all others: the raw allocator, for whatever is larger than 512 bytes, and
// arenas, which small objects are cut from (https://docs.python.org/3/c-api/memory.html). Both are replaced by versions
// that book what they give to the interpreter that is current on the calling thread. A block of the raw allocator
// remembers whose it is in front of itself; arenas are few and have a table.
#include "limits.hpp"

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <unordered_map>

namespace ep {

namespace {

struct Accounts {
    std::mutex mutex;
    std::unordered_map<PyInterpreterState *, Account *> of; // guarded by mutex
    std::unordered_map<void *, Account *> arenas;           // guarded by mutex: whose each is
    std::atomic<uint64_t> version{1};                       // of `of`; written with mutex
    PyObjectArenaAllocator arena_source{};                  // constant once installed
    std::atomic<bool> installed{false};
};

Accounts &accounts() noexcept {
    static auto *all = new Accounts; // lives as long as the VM
    return *all;
}

// What the calling thread found last.
thread_local PyInterpreterState *last_interpreter = nullptr;
thread_local Account *last_account = nullptr;
thread_local uint64_t last_version = 0;

// Whose memory is taken now; nullptr when nobody counts it.
Account *current_account() noexcept {
    PyThreadState *thread = PyThreadState_GetUnchecked();
    if (thread == nullptr) {
        return nullptr;
    }
    PyInterpreterState *interpreter = PyThreadState_GetInterpreter(thread);
    Accounts &all = accounts();
    if (interpreter != last_interpreter || last_version != all.version.load(std::memory_order_acquire)) {
        std::lock_guard lock{all.mutex};
        auto found = all.of.find(interpreter);
        last_account = found != all.of.end() ? found->second : nullptr;
        last_interpreter = interpreter;
        last_version = all.version.load(std::memory_order_relaxed); // with the mutex
    }
    return last_account;
}

// In front of every block of the raw allocator.
struct alignas(alignof(std::max_align_t)) Head {
    Account *account;
    size_t size; // of the block with its head
};

Head *head_of(void *block) noexcept {
    return static_cast<Head *>(block) - 1;
}

template <class Allocate> void *allocate(size_t size, Allocate allocate_block) noexcept {
    if (size > SIZE_MAX - sizeof(Head)) {
        return nullptr;
    }
    const size_t whole = size + sizeof(Head);
    Account *account = current_account();
    if (account != nullptr && !account->take(whole)) {
        return nullptr;
    }
    auto *head = static_cast<Head *>(allocate_block(whole));
    if (head == nullptr) {
        if (account != nullptr) {
            account->give(whole);
        }
        return nullptr;
    }
    *head = Head{account, whole};
    return head + 1;
}

void *raw_malloc(void *, size_t size) {
    return allocate(size, [](size_t whole) { return std::malloc(whole); });
}

void *raw_calloc(void *, size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size) {
        return nullptr;
    }
    return allocate(count * size, [](size_t whole) { return std::calloc(1, whole); });
}

void raw_free(void *, void *block) {
    if (block == nullptr) {
        return;
    }
    Head *head = head_of(block);
    if (head->account != nullptr) {
        head->account->give(head->size);
    }
    std::free(head);
}

// The block stays with whom it was booked to.
void *raw_realloc(void *context, void *block, size_t size) {
    if (block == nullptr) {
        return raw_malloc(context, size);
    }
    if (size > SIZE_MAX - sizeof(Head)) {
        return nullptr;
    }
    const Head before = *head_of(block);
    const size_t whole = size + sizeof(Head);
    if (before.account != nullptr && whole > before.size && !before.account->take(whole - before.size)) {
        return nullptr;
    }
    auto *head = static_cast<Head *>(std::realloc(head_of(block), whole));
    if (head == nullptr) {
        if (before.account != nullptr && whole > before.size) {
            before.account->give(whole - before.size);
        }
        return nullptr;
    }
    if (before.account != nullptr && whole < before.size) {
        before.account->give(before.size - whole);
    }
    head->size = whole;
    return head + 1;
}

void *arena_alloc(void *, size_t size) {
    Accounts &all = accounts();
    Account *account = current_account();
    if (account == nullptr) {
        return all.arena_source.alloc(all.arena_source.ctx, size);
    }
    if (!account->take(size)) {
        return nullptr;
    }
    void *arena = all.arena_source.alloc(all.arena_source.ctx, size);
    if (arena == nullptr) {
        account->give(size);
        return nullptr;
    }
    std::lock_guard lock{all.mutex};
    all.arenas[arena] = account;
    return arena;
}

void arena_free(void *, void *arena, size_t size) {
    Accounts &all = accounts();
    Account *account = nullptr;
    {
        std::lock_guard lock{all.mutex};
        if (auto found = all.arenas.find(arena); found != all.arenas.end()) {
            account = found->second;
            all.arenas.erase(found);
        }
    }
    all.arena_source.free(all.arena_source.ctx, arena, size);
    if (account != nullptr) {
        account->give(size);
    }
}

} // namespace

bool Account::take(size_t size) noexcept {
    const uint64_t used = (balance_.fetch_add(size) & (open_bias - 1)) + size;
    const uint64_t limit = limit_.load(std::memory_order_relaxed);
    if (size > open_bias / 2 || used > limit + (size <= small ? reserve : 0)) {
        give(size);
        return false;
    }
    for (uint64_t peak = peak_.load(std::memory_order_relaxed); used > peak;) { // a statistic
        if (peak_.compare_exchange_weak(peak, used, std::memory_order_relaxed)) {
            break;
        }
    }
    return true;
}

void Account::give(size_t size) noexcept {
    if (balance_.fetch_sub(size) == size) {
        delete this;
    }
}

ep_memory Account::usage() const noexcept {
    return {balance_.load() & (open_bias - 1), peak_.load(), limit_.load()};
}

void install_limits() {
    Accounts &all = accounts();
    PyObject_GetArenaAllocator(&all.arena_source);
    PyMemAllocatorEx raw{nullptr, raw_malloc, raw_calloc, raw_realloc, raw_free};
    PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &raw);
    PyObjectArenaAllocator arena{nullptr, arena_alloc, arena_free};
    PyObject_SetArenaAllocator(&arena);
    all.installed.store(true);
}

bool limits_active() noexcept {
    PyMemAllocatorEx raw{};
    PyMem_GetAllocator(PYMEM_DOMAIN_RAW, &raw);
    return raw.malloc == raw_malloc;
}

bool limits_installed() noexcept {
    return accounts().installed.load();
}

void register_account(PyInterpreterState *interpreter, Account *account) {
    Accounts &all = accounts();
    std::lock_guard lock{all.mutex};
    all.of[interpreter] = account;
    all.version.fetch_add(1);
}

void unregister_account(PyInterpreterState *interpreter) {
    Accounts &all = accounts();
    std::lock_guard lock{all.mutex};
    all.of.erase(interpreter);
    all.version.fetch_add(1);
}

} // namespace ep
