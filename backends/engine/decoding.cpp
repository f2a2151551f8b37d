#include "decoding.hpp"

#include "builder.hpp"
#include "source.hpp"

#include <erlang_python/convert/decode.hpp>

namespace ep {

namespace {

bool is_object(ErlNifEnv *env, ERL_NIF_TERM term) {
    uint64_t interpreter = 0;
    uint64_t slot = 0;
    return engine().host->get_object(env, term, &interpreter, &slot) != EP_WRONG_KIND;
}

py::Ref replayed(Interpreter &interpreter, const ep_flat &flat) {
    ep_interp *interp = current_interp();
    FlatReader reader{flat};
    Builder builder{interpreter, interp != nullptr ? &interp->atoms : nullptr};
    return replay(reader, builder);
}

} // namespace

py::Ref decode(ErlNifEnv *env, Interpreter &interpreter, ERL_NIF_TERM term) {
    ScratchWriter writer{env};
    const Decoded decoded = Decoder{env, *engine().conversion, is_object, *writer}.value(term);
    if (decoded != Decoded::ok) {
        py::raise(PyExc_ValueError, decoded == Decoded::improper_list
                                        ? "the value is an improper list, which has no Python form"
                                        : "the value nests too deep");
    }
    return replayed(interpreter, writer->view());
}

py::Ref decode_any(ErlNifEnv *env, Interpreter &interpreter, ERL_NIF_TERM term) {
    ScratchWriter writer{env};
    if (Decoder{env, *engine().conversion, is_object, *writer}.value(term) != Decoded::ok) {
        writer->clear();
        writer->term(EP_TAG_TERM, term);
    }
    return replayed(interpreter, writer->view());
}

} // namespace ep
