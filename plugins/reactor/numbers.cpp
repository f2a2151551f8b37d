#include "numbers.hpp"

#include "posix.hpp"

#include <cerrno>
#include <fcntl.h>
#include <mutex>
#include <unistd.h>
#include <unordered_set>

namespace ep::reactor {

namespace {

struct Numbers {
    std::mutex mutex;
    std::unordered_set<int> taken; // guarded by mutex
};

// Never destroyed: threads run on when the VM ends.
Numbers &numbers() {
    static auto *const all = new Numbers;
    return *all;
}

} // namespace

int copy_of(int fd) {
    Numbers &all = numbers();
    std::lock_guard lock{all.mutex};
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    while (copy >= 0 && !all.taken.insert(copy).second) {
        const int higher = fcntl(fd, F_DUPFD_CLOEXEC, copy + 1);
        const int error = errno;
        ::close(copy);
        errno = error;
        copy = higher;
    }
    if (copy < 0) {
        throw PosixError{errno};
    }
    return copy;
}

void forget_number(int fd) noexcept {
    Numbers &all = numbers();
    std::lock_guard lock{all.mutex};
    all.taken.erase(fd);
}

} // namespace ep::reactor
