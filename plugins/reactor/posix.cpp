#include "posix.hpp"

#include <cerrno>
#include <utility>

namespace ep::reactor {

ERL_NIF_TERM posix_reason(const ep_call &call, int number) {
    static constexpr std::pair<int, const char *> names[] = {
        {EACCES, "eacces"},
        {EAGAIN, "eagain"},
        {EBADF, "ebadf"},
        {ECONNABORTED, "econnaborted"},
        {ECONNREFUSED, "econnrefused"},
        {ECONNRESET, "econnreset"},
        {EDESTADDRREQ, "edestaddrreq"},
        {EHOSTUNREACH, "ehostunreach"},
        {EIO, "eio"},
        {EMFILE, "emfile"},
        {EMSGSIZE, "emsgsize"},
        {ENETUNREACH, "enetunreach"},
        {ENFILE, "enfile"},
        {ENOBUFS, "enobufs"},
        {ENOMEM, "enomem"},
        {ENOTCONN, "enotconn"},
        {EPERM, "eperm"},
        {EPIPE, "epipe"},
        {ESRCH, "noproc"},
        {ETIMEDOUT, "etimedout"},
    };
    if (call.from == EP_FROM_PYTHON) {
        return enif_make_int(call.env, number);
    }
    for (const auto &[known, name] : names) {
        if (known == number) {
            return enif_make_atom(call.env, name);
        }
    }
    return enif_make_atom(call.env, "einval");
}

} // namespace ep::reactor
