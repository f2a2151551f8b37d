#include "file.hpp"

#include "numbers.hpp"
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

void down(ErlNifEnv *env, void *resource, ErlNifPid *, ErlNifMonitor *) {
    file_of(resource).close(env);
}

void stop(ErlNifEnv *, void *resource, ErlNifEvent, int) {
    file_of(resource).stopped();
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

ep_status failed(ep_call &call, int error) {
    call.result = posix_reason(call, error);
    return EP_FAILED;
}

} // namespace

const ep_resource_type file_type{
    sizeof(ep_resource_type), sizeof(FileResource), "file", nullptr, destroy, down, stop,
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
    // What is always ready, and what epoll refuses. The VM would take it, and say so again and again.
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
    }
    fd_ = copy_of(fd);
}

File::~File() {
    if (!closing_) { // the VM holds a reference to those it knows
        stopped();
    }
}

bool File::close_with(ErlNifEnv *env, const ErlNifPid &process) noexcept {
    return enif_monitor_process(env, &resource_, &process, nullptr) == 0;
}

bool File::is_ours() const noexcept {
    struct stat now {};
    return fstat(fd_, &now) == 0 && now.st_dev == known_.st_dev && now.st_ino == known_.st_ino;
}

void File::check() const {
    if (closing_ || !is_ours()) {
        throw PosixError{EBADF};
    }
}

bool File::is_open() noexcept {
    std::lock_guard lock{mutex_};
    return !closing_ && is_ours();
}

ep_status File::select(ep_call &call, ERL_NIF_TERM direction) {
    std::lock_guard lock{mutex_};
    check();
    ErlNifPid self;
    enif_self(call.env, &self);
    ERL_NIF_TERM message =
        enif_make_tuple3(call.env, atoms().py_reactor_ready, enif_make_uint64(call.env, id_), direction);
    const auto mode = static_cast<ErlNifSelectFlags>(
        (direction == atoms().read ? ERL_NIF_SELECT_READ : ERL_NIF_SELECT_WRITE) | ERL_NIF_SELECT_CUSTOM_MSG);
    if (enif_select_x(call.env, fd_, mode, &resource_, &self, message, nullptr) < 0) {
        return failed(call, EINVAL);
    }
    selected_ = true;
    return EP_OK;
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

ssize_t File::receive(void *data, size_t size) noexcept {
    if (!socket_) {
        return ::read(fd_, data, size);
    }
    if (!messages_) {
        return recv(fd_, data, size, MSG_DONTWAIT);
    }
    sender_size_ = sizeof sender_;
    return recvfrom(fd_, data, size, MSG_DONTWAIT, reinterpret_cast<sockaddr *>(&sender_), &sender_size_);
}

ep_status File::read(ep_call &call, size_t most) {
    std::lock_guard lock{mutex_};
    check();
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
            // An earlier message that found nobody is no fault of this socket.
            const bool later = would_wait(error) || (!ends_ && error == ECONNREFUSED);
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
        return ::write(fd_, data, size);
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
    const ssize_t size = send(data.data, data.size);
    if (size < 0 && !would_wait(errno) && errno != ENOBUFS) {
        return failed(call, errno);
    }
    call.result = enif_make_uint64(call.env, size < 0 ? 0 : static_cast<uint64_t>(size));
    return EP_OK;
}

bool File::close(ErlNifEnv *env) noexcept {
    std::lock_guard lock{mutex_};
    if (closing_) {
        return true;
    }
    if (!selected_) {
        closing_ = true;
        stopped();
        return true;
    }
    if (enif_thread_type() == ERL_NIF_THR_UNDEFINED) {
        return false;
    }
    closing_ = true;
    // Somebody has closed it, and the number is somebody else's. If that is a socket of the VM's own, it would be hit by
    // what is said here. So the VM goes on thinking that it knows us until it hears of that number again; and numbers.cpp
    // sees to it that it is not from here.
    if (!is_ours() && fcntl(fd_, F_GETFD) >= 0) {
        return true;
    }
    if (enif_select(env, fd_, ERL_NIF_SELECT_STOP, &resource_, nullptr, atoms().undefined) < 0) {
        stopped();
    }
    return true;
}

void File::stopped() noexcept {
    if (fd_ < 0) {
        return;
    }
    const bool ours = is_ours();
    forget_number(fd_);
    if (ours) {
        close_now(fd_);
    }
}

} // namespace ep::reactor
