// Terms on their way through flat values.
#pragma once

#include <erlang_python/convert/decode.hpp>
#include <erlang_python/convert/flat.hpp>
#include <erlang_python/convert/terms.hpp>

#include <thread>

const ep::ConversionAtoms &atoms();

// The one reference that stands for a Python object here.
ERL_NIF_TERM object_reference();
bool is_object(ErlNifEnv *env, ERL_NIF_TERM term);

inline constexpr uint64_t no_budget = UINT64_MAX;

// What a term became.
class Recorded {
public:
    explicit Recorded(const Recorded &) = delete;
    Recorded(ErlNifEnv *env, ERL_NIF_TERM term, uint64_t budget = no_budget) : env_(enif_alloc_env()) {
        flat_.use_env(env_);
        ep::Decoder<ep::FlatWriter> decoder{env, atoms(), is_object, flat_, budget};
        result_ = decoder.value(term);
        left_ = decoder.budget_left();
    }
    ~Recorded() { enif_free_env(env_); }

    ep::Decoded result() const { return result_; }
    uint64_t budget_left() const { return left_; }
    ep_flat flat() const { return flat_.view(); }
    ep_tag tag() const { return ep::FlatReader{flat_.view()}.peek(); }

private:
    ErlNifEnv *env_;
    ep::FlatWriter flat_;
    ep::Decoded result_;
    uint64_t left_;
};

// The term a flat value stands for, and that nothing is left over.
inline ERL_NIF_TERM built(ErlNifEnv *env, const ep_flat &flat) {
    ep::FlatReader reader{flat};
    ep::TermBuilder builder{env, atoms()};
    const ERL_NIF_TERM term = ep::replay(reader, builder);
    if (!reader.at_end()) {
        throw std::runtime_error{"the flat value has more than one value in it"};
    }
    return term;
}

// There and back. The terms of `env` are left behind on the way: what comes back lives in `to`.
inline ERL_NIF_TERM round_trip(ErlNifEnv *env, ERL_NIF_TERM term, ErlNifEnv *to) {
    Recorded recorded{env, term};
    if (recorded.result() != ep::Decoded::ok) {
        throw std::runtime_error{"the term could not be decoded"};
    }
    return built(to, recorded.flat());
}

// Calls `function` on a thread the VM knows nothing of, as context threads are. No assertions in there.
template <class Function> void on_foreign_thread(Function function) {
    std::thread{function}.join();
}
