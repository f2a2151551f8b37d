// Memory that ends where it ends: whoever reads on is stopped by the machine.
#pragma once

#include <cstring>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>

class GuardedPage {
public:
    GuardedPage() : size_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
        void *pages = mmap(nullptr, 2 * size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED || mprotect(static_cast<char *>(pages) + size_, size_, PROT_NONE) != 0) {
            throw std::runtime_error{"no memory for a guarded page"};
        }
        first_ = static_cast<char *>(pages);
    }
    ~GuardedPage() { munmap(first_, 2 * size_); }
    GuardedPage(const GuardedPage &) = delete;
    GuardedPage &operator=(const GuardedPage &) = delete;

    // A copy of something, with the guard right behind it.
    template <class Thing> void *last(const Thing &thing) {
        return std::memcpy(first_ + size_ - sizeof thing, &thing, sizeof thing);
    }

private:
    size_t size_;
    char *first_ = nullptr;
};
