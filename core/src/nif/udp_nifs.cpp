// NIFs to try event loops out with: datagram sockets that are file descriptors. Only those that were made here can be
// used here, so that a number out of thin air is no file of the VM's.
#include "arguments.hpp"
#include "nifs.hpp"
#include "posix_error.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <fcntl.h>
#include <mutex>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <unordered_set>

namespace ep {

namespace {

// What was made and not closed.
struct Sockets {
    std::mutex mutex;
    std::unordered_set<int> fds; // guarded by mutex
};

Sockets &sockets() {
    static Sockets *all = new Sockets; // lives as long as the VM
    return *all;
}

// More is no datagram's.
constexpr size_t largest_datagram = 65'536;

template <class Body> ERL_NIF_TERM answered(ErlNifEnv *env, Body body) {
    try {
        return body();
    } catch (const PosixError &error) {
        return make_error(env, posix_atom(env, error.number));
    }
}

ssize_t check(ssize_t result) {
    if (result < 0) {
        throw PosixError{errno};
    }
    return result;
}

int get_int(ErlNifEnv *env, ERL_NIF_TERM term) {
    int number = 0;
    if (!enif_get_int(env, term, &number)) {
        throw BadArgument{};
    }
    return number;
}

in_port_t get_port(ErlNifEnv *env, ERL_NIF_TERM term) {
    const int port = get_int(env, term);
    if (port < 0 || port > 65'535) {
        throw BadArgument{};
    }
    return htons(static_cast<in_port_t>(port));
}

// With the mutex of the sockets.
template <class Body> ERL_NIF_TERM with_socket(ErlNifEnv *env, ERL_NIF_TERM term, Body body) {
    const int fd = get_int(env, term);
    return answered(env, [&] {
        std::lock_guard lock{sockets().mutex};
        if (sockets().fds.count(fd) == 0) {
            throw PosixError{EBADF};
        }
        return body(fd);
    });
}

} // namespace

// Port: {ok, {Fd, Port}}. On the loopback interface.
ERL_NIF_TERM nif_create_test_udp_socket(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = get_port(env, argv[0]);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return answered(env, [&] {
        const int fd = static_cast<int>(check(socket(AF_INET, SOCK_DGRAM, 0)));
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, O_NONBLOCK);
        socklen_t size = sizeof address;
        auto *generic = reinterpret_cast<sockaddr *>(&address);
        if (bind(fd, generic, size) != 0 || getsockname(fd, generic, &size) != 0) {
            const int error = errno;
            close(fd);
            throw PosixError{error};
        }
        std::lock_guard lock{sockets().mutex};
        sockets().fds.insert(fd);
        return enif_make_tuple2(
            env, core().atoms.ok,
            enif_make_tuple2(env, enif_make_int(env, fd), enif_make_int(env, ntohs(address.sin_port))));
    });
}

// Fd, Data, Host, Port
ERL_NIF_TERM nif_sendto_test_udp(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    ErlNifBinary data;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = get_port(env, argv[3]);
    const std::string host = get_binary(env, argv[2]);
    if (!enif_inspect_iolist_as_binary(env, argv[1], &data) ||
        inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
        throw BadArgument{};
    }
    return with_socket(env, argv[0], [&](int fd) {
        check(sendto(fd, data.data, data.size, 0, reinterpret_cast<const sockaddr *>(&address), sizeof address));
        return core().atoms.ok;
    });
}

// Fd, Most: {ok, {Data, {Host, Port}}}
ERL_NIF_TERM nif_recvfrom_test_udp(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    const int most = get_int(env, argv[1]);
    if (most < 0) {
        throw BadArgument{};
    }
    return with_socket(env, argv[0], [&](int fd) {
        std::string data(std::min(static_cast<size_t>(most), largest_datagram), '\0');
        sockaddr_in address{};
        socklen_t size = sizeof address;
        data.resize(static_cast<size_t>(
            check(recvfrom(fd, data.data(), data.size(), 0, reinterpret_cast<sockaddr *>(&address), &size))));
        char host[INET_ADDRSTRLEN] = "";
        inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
        ERL_NIF_TERM from = enif_make_tuple2(env, make_binary(env, host), enif_make_int(env, ntohs(address.sin_port)));
        return enif_make_tuple2(env, core().atoms.ok, enif_make_tuple2(env, make_binary(env, data), from));
    });
}

// Fd, true | false
ERL_NIF_TERM nif_set_udp_broadcast(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    const int on = argv[1] == core().atoms.true_ ? 1 : 0;
    if (on == 0 && argv[1] != core().atoms.false_) {
        throw BadArgument{};
    }
    return with_socket(env, argv[0], [&](int fd) {
        check(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on));
        return core().atoms.ok;
    });
}

ERL_NIF_TERM nif_close_test_fd(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    return with_socket(env, argv[0], [&](int fd) {
        sockets().fds.erase(fd);
        close(fd);
        return core().atoms.ok;
    });
}

} // namespace ep
