#include "file.hpp"

#include "posix.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <new>
#include <sys/ioctl.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace ep::reactor {

namespace {

constexpr size_t smallest_read = 4096;
constexpr size_t largest_read = 65536;
constexpr size_t largest_message = 1 << 20;

std::atomic<uint64_t> next_id{1};

struct FileResource {
    ep_resource base;
    bool made; // the file was
    alignas(File) unsigned char place[sizeof(File)];
};

File &file_of(void *resource) noexcept {
    return *std::launder(reinterpret_cast<File *>(static_cast<FileResource *>(resource)->place));
}

void destroy(ErlNifEnv *, void *resource) {
    if (static_cast<FileResource *>(resource)->made) {
        file_of(resource).~File();
    }
}

void down(ErlNifEnv *, void *resource, ErlNifPid *, ErlNifMonitor *) {
    file_of(resource).close();
}

// Closing the last descriptor of a socket whose owner wants it to linger waits for the peer, and that of a terminal for
// the line: for seconds, also when it is said not to block.
bool may_wait(int fd) noexcept {
    linger set{};
    socklen_t size = sizeof set;
    if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &set, &size) == 0) {
        return set.l_onoff != 0 && set.l_linger > 0;
    }
    return isatty(fd) != 0;
}

void close_now(int fd) noexcept {
    if (may_wait(fd)) {
        try {
            std::thread{[fd] { ::close(fd); }}.detach();
            return;
        } catch (const std::system_error &) { // no thread is to be had
        }
    }
    ::close(fd);
}

int socket_option(int fd, int option) noexcept {
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : 0;
}

bool has_peer(int fd) noexcept {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    return getpeername(fd, reinterpret_cast<sockaddr *>(&peer), &size) == 0;
}

bool would_wait(int error) noexcept {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

bool has_no_room(int error) noexcept {
    return would_wait(error) || error == ENOBUFS;
}

bool is(short state, int fd) noexcept {
    pollfd file{fd, state, 0};
    return poll(&file, 1, 0) == 1 && (file.revents & state) != 0;
}

// A socket tells what became of an earlier message when it is used next, and once.
bool is_told_late(int error) noexcept {
    return error != EBADF && error != EFAULT && error != EINVAL && error != EIO && error != ENOMEM &&
           error != ENOTCONN && error != ENOTSOCK;
}

bool is_fault_of_sender(int error) noexcept {
    return error == EBADF || error == EFAULT || error == EMSGSIZE || error == ENOMEM || error == ENOTSOCK ||
           error == EPIPE;
}

// A socket whose owner asked for these (IP_RECVERR) is ready until they are read. More than so many: next time.
void drop_errors(int fd) noexcept {
    char data[1];
    for (int left = from_error_queue != 0 ? 64 : 0; left > 0; --left) {
        if (recv(fd, data, sizeof data, from_error_queue | MSG_DONTWAIT) < 0) {
            return;
        }
    }
}

ep_status failed(ep_call &call, int error) {
    call.result = posix_reason(call, error);
    return EP_FAILED;
}

} // namespace

const ep_resource_type file_type{
    sizeof(ep_resource_type), sizeof(FileResource), "file", nullptr, destroy, down, nullptr,
};

ERL_NIF_TERM make_file(ErlNifEnv *env, int fd, File *&file) {
    auto *resource = static_cast<FileResource *>(host().resource_new(&file_type));
    try {
        file = new (resource->place) File{resource->base, fd};
        resource->made = true;
    } catch (...) {
        enif_release_resource(resource);
        throw;
    }
    ERL_NIF_TERM term = enif_make_resource(env, resource);
    enif_release_resource(resource);
    return term;
}

File *File::of(ErlNifEnv *env, ERL_NIF_TERM term) {
    void *resource = nullptr;
    return host().resource_of(env, term, &file_type, &resource) == EP_OK ? &file_of(resource) : nullptr;
}

File::File(ep_resource &resource, int fd) : resource_(resource), id_(next_id.fetch_add(1)) {
    if (fstat(fd, &known_) != 0) {
        throw PosixError{errno};
    }
    // What is always ready, and what epoll refuses.
    if (S_ISREG(known_.st_mode) || S_ISDIR(known_.st_mode) || S_ISBLK(known_.st_mode)) {
        throw PosixError{EPERM};
    }
    socket_ = S_ISSOCK(known_.st_mode);
    if (socket_) {
        if (socket_option(fd, SO_ACCEPTCONN) != 0) {
            throw PosixError{EINVAL}; // it has connections and no bytes
        }
        const int type = socket_option(fd, SO_TYPE);
        messages_ = type != SOCK_STREAM;
        ends_ = type == SOCK_STREAM || type == SOCK_SEQPACKET;
        connected_ = has_peer(fd);
    } else {
        const int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)) {
            throw PosixError{errno};
        }
        write_only_ = S_ISFIFO(known_.st_mode) && (flags & O_ACCMODE) == O_WRONLY;
    }
    fd_ = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (fd_ < 0) {
        throw PosixError{errno};
    }
}

File::~File() {
    close();
}

bool File::close_with(ErlNifEnv *env, const ErlNifPid &process) noexcept {
    return enif_monitor_process(env, &resource_, &process, nullptr) == 0;
}

bool File::is_ours() const noexcept {
    struct stat now {};
    return fstat(fd_, &now) == 0 && now.st_dev == known_.st_dev && now.st_ino == known_.st_ino;
}

void File::check() const {
    if (closed_ || !is_ours()) {
        throw PosixError{EBADF};
    }
}

bool File::is_open() noexcept {
    std::lock_guard lock{mutex_};
    return !closed_ && is_ours();
}

size_t File::capacity(size_t most) const noexcept {
    if (!messages_) {
        return most != 0 ? std::min(most, largest_message) : expected_;
    }
    // What does not fit would be lost.
    int next = 0;
    const bool known = ioctl(fd_, FIONREAD, &next) == 0 && next > 0;
    return std::clamp(known ? static_cast<size_t>(next) : 0, largest_read, largest_message);
}

// One that waits would do so with the mutex, which others want on threads of the VM.
bool File::does_not_wait() const noexcept {
    const int flags = fcntl(fd_, F_GETFL);
    return flags >= 0 && ((flags & O_NONBLOCK) != 0 || fcntl(fd_, F_SETFL, flags | O_NONBLOCK) == 0);
}

ssize_t File::receive(void *data, size_t size) noexcept {
    if (!socket_) {
        return does_not_wait() ? ::read(fd_, data, size) : -1;
    }
    if (!messages_) {
        return recv(fd_, data, size, MSG_DONTWAIT);
    }
    sockaddr_storage sender{};
    socklen_t sender_size = sizeof sender;
    const ssize_t got = recvfrom(fd_, data, size, MSG_DONTWAIT, reinterpret_cast<sockaddr *>(&sender), &sender_size);
    if (got >= 0) {
        received_ = true;
        sender_ = sender;
        sender_size_ = sender_size;
    }
    return got;
}

ep_status File::read(ep_call &call) {
    const ep_status status = read(call, 0);
    if (status == EP_OK) {
        reads_.fetch_add(1, std::memory_order_relaxed);
    }
    return status;
}

ep_status File::read(ep_call &call, size_t most) {
    std::lock_guard lock{mutex_};
    check();
    if (write_only_) { // there is nothing to say of it but that nobody reads it any more
        return EP_CLOSED;
    }
    ErlNifBinary binary;
    if (!enif_alloc_binary(capacity(most), &binary)) {
        return failed(call, ENOMEM);
    }
    const ssize_t size = receive(binary.data, binary.size);
    if (size <= 0) {
        const int error = errno;
        enif_release_binary(&binary);
        if (size == 0 && ends_) {
            return EP_CLOSED;
        }
        if (size < 0) {
            const bool later = would_wait(error) || (!ends_ && is_told_late(error));
            // Somebody has shut it down. It is ready for ever, and there is nothing.
            if (later && messages_ && is(poll_no_more, fd_)) {
                return EP_CLOSED;
            }
            if (later && socket_) {
                drop_errors(fd_);
            }
            return failed(call, later ? EAGAIN : error);
        }
        enif_make_new_binary(call.env, 0, &call.result);
        return EP_OK;
    }
    const auto got = static_cast<size_t>(size);
    expected_ = std::clamp(got == binary.size ? 2 * got : got + got / 2, smallest_read, largest_read);
    if (got < binary.size && !enif_realloc_binary(&binary, got)) {
        enif_release_binary(&binary);
        return failed(call, ENOMEM);
    }
    call.result = enif_make_binary(call.env, &binary);
    return EP_OK;
}

// No SIGPIPE: the VM ignores it.
ssize_t File::send(const void *data, size_t size) noexcept {
    if (!socket_) {
        return does_not_wait() ? ::write(fd_, data, size) : -1;
    }
    if (messages_ && !connected_ && sender_size_ > 0) {
        return sendto(fd_, data, size, MSG_DONTWAIT, reinterpret_cast<const sockaddr *>(&sender_), sender_size_);
    }
    return ::send(fd_, data, size, MSG_DONTWAIT);
}

ep_status File::write(ep_call &call, ERL_NIF_TERM binary) {
    ErlNifBinary data;
    if (!enif_inspect_binary(call.env, binary, &data)) {
        return EP_WRONG_KIND;
    }
    std::lock_guard lock{mutex_};
    check();
    ssize_t size = send(data.data, data.size);
    if (size < 0 && !ends_) {
        size = again(data.data, data.size, errno);
    }
    if (size < 0 && !has_no_room(errno)) {
        return failed(call, errno);
    }
    call.result = enif_make_uint64(call.env, size < 0 ? 0 : static_cast<uint64_t>(size));
    return EP_OK;
}

// A message is lost that does not reach whom it is for. The socket has others to send, to others maybe: who sends from
// an address that cannot be answered, or does not read what he gets, is not to have it closed or kept waiting.
ssize_t File::again(const void *data, size_t size, int error) noexcept {
    if (has_no_room(error)) {
        // It would be ready again and again, if it is the receiver who has none.
        if (!is(POLLOUT, fd_)) {
            errno = error;
            return -1;
        }
        const ssize_t sent = send(data, size);
        if (sent >= 0) {
            return sent;
        }
        error = errno;
    }
    if (!is_fault_of_sender(error) && (connected_ || received_)) {
        return static_cast<ssize_t>(size);
    }
    errno = error;
    return -1;
}

void File::close() noexcept {
    std::lock_guard lock{mutex_};
    if (!std::exchange(closed_, true) && is_ours()) {
        close_now(fd_);
    }
}

} // namespace ep::reactor
