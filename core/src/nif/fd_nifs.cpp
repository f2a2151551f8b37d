// NIFs for file descriptors.
#include "arguments.hpp"
#include "nifs.hpp"
#include "posix_error.hpp"

#include <cerrno>
#include <fcntl.h>

namespace ep {

// A copy that programs which are started do not inherit.
ERL_NIF_TERM nif_dup_fd(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    int fd = 0;
    if (!enif_get_int(env, argv[0], &fd)) {
        throw BadArgument{};
    }
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy >= 0) {
        return enif_make_tuple2(env, core().atoms.ok, enif_make_int(env, copy));
    }
    return make_error(env, posix_atom(env, errno));
}

} // namespace ep
