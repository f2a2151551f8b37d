// Files, as Erlang and Python call them. The first argument is the file, where nothing else is said.
#include "functions.hpp"

#include "file.hpp"

namespace ep::reactor {

namespace {

File *open(ep_call &call) {
    int fd = -1;
    if (!enif_get_int(call.env, call.args[0], &fd)) {
        if (!enif_is_number(call.env, call.args[0])) {
            return nullptr;
        }
        throw PosixError{EBADF};
    }
    File *file = nullptr;
    ERL_NIF_TERM term = make_file(call.env, fd, file);
    call.result =
        enif_make_tuple3(call.env, term, enif_make_int(call.env, file->fd()), enif_make_uint64(call.env, file->id()));
    return file;
}

File *file_argument(const ep_call &call) {
    return File::of(call.env, call.args[0]);
}

} // namespace

// (): the plugin is there
ep_status reactor_check(ep_call &) {
    return EP_OK;
}

// (Fd) -> {File, its descriptor, its id}
ep_status reactor_open(ep_call &call) {
    return open(call) != nullptr ? EP_OK : EP_WRONG_KIND;
}

// (Fd, Owner): the same, for a process
ep_status reactor_open_for(ep_call &call) {
    ErlNifPid owner;
    File *file = enif_get_local_pid(call.env, call.args[1], &owner) ? open(call) : nullptr;
    if (file == nullptr) {
        return EP_WRONG_KIND;
    }
    if (!file->close_with(call.sender, owner)) {
        file->close();
        throw PosixError{ESRCH};
    }
    return EP_OK;
}

// For a protocol: it is counted.
ep_status reactor_read(ep_call &call) {
    File *file = file_argument(call);
    return file != nullptr ? file->read(call) : EP_WRONG_KIND;
}

// (File, Most)
ep_status reactor_read_bytes(ep_call &call) {
    File *file = file_argument(call);
    unsigned most = 0;
    return file != nullptr && enif_get_uint(call.env, call.args[1], &most) && most > 0 ? file->read(call, most)
                                                                                       : EP_WRONG_KIND;
}

// (File, Binary)
ep_status reactor_write(ep_call &call) {
    File *file = file_argument(call);
    return file != nullptr ? file->write(call, call.args[1]) : EP_WRONG_KIND;
}

ep_status reactor_close(ep_call &call) {
    File *file = file_argument(call);
    if (file == nullptr) {
        return EP_WRONG_KIND;
    }
    file->close();
    return EP_OK;
}

ep_status reactor_is_open(ep_call &call) {
    File *file = file_argument(call);
    if (file == nullptr) {
        return EP_WRONG_KIND;
    }
    call.result = file->is_open() ? atoms().true_ : atoms().false_;
    return EP_OK;
}

// How often it was read for a protocol.
ep_status reactor_reads(ep_call &call) {
    File *file = file_argument(call);
    if (file == nullptr) {
        return EP_WRONG_KIND;
    }
    call.result = enif_make_uint64(call.env, file->reads());
    return EP_OK;
}

} // namespace ep::reactor
