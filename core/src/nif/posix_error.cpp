#include "posix_error.hpp"

#include <cerrno>
#include <utility>

namespace ep {

ERL_NIF_TERM posix_atom(ErlNifEnv *env, int number) {
    static constexpr std::pair<int, const char *> names[] = {
        {EACCES, "eacces"},
        {EADDRINUSE, "eaddrinuse"},
        {EADDRNOTAVAIL, "eaddrnotavail"},
        {EAGAIN, "eagain"},
        {EBADF, "ebadf"},
        {ECONNREFUSED, "econnrefused"},
        {EHOSTUNREACH, "ehostunreach"},
        {EINTR, "eintr"},
        {EMFILE, "emfile"},
        {EMSGSIZE, "emsgsize"},
        {ENETDOWN, "enetdown"},
        {ENETUNREACH, "enetunreach"},
        {ENFILE, "enfile"},
        {ENOBUFS, "enobufs"},
        {ENOMEM, "enomem"},
        {EPERM, "eperm"},
    };
    for (const auto &[known, name] : names) {
        if (known == number) {
            return enif_make_atom(env, name);
        }
    }
    return enif_make_atom(env, "einval");
}

} // namespace ep
