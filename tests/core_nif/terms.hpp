// Terms for tests, in an environment of their own, also those that erl_nif has no function for.
#pragma once

#include <erl_nif.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

class Terms {
public:
    using Term = ERL_NIF_TERM;

    Terms() : env_(enif_alloc_env()) {}
    ~Terms() { enif_free_env(env_); }
    Terms(const Terms &) = delete;
    Terms &operator=(const Terms &) = delete;

    ErlNifEnv *env() const { return env_; }

    Term atom(const char *latin1) const { return enif_make_atom(env_, latin1); }
    Term integer(int64_t value) const { return enif_make_int64(env_, value); }
    Term floating(double value) const { return enif_make_double(env_, value); }
    Term ref() const { return enif_make_ref(env_); }
    Term binary(std::string_view bytes) const;
    Term list(const std::vector<Term> &elements) const;
    Term improper(const std::vector<Term> &elements, Term tail) const;
    Term tuple(const std::vector<Term> &elements) const;
    Term map(const std::vector<std::pair<Term, Term>> &pairs) const;

    // Any integer, from its absolute value, least significant byte first.
    Term integer(bool negative, std::string_view magnitude) const;
    Term unicode_atom(std::string_view utf8) const;
    // The last byte counts in its `bits` highest bits.
    Term bitstring(std::string_view bytes, int bits) const;
    // This VM's node when it is not distributed, as it never is here, is nonode@nohost.
    Term pid(std::string_view node, uint32_t id) const;
    Term ref(std::string_view node, uint32_t id) const;
    Term port(std::string_view node, uint32_t id) const;
    Term function(std::string_view module, std::string_view name, unsigned char arity) const;
    // One that closed over a value.
    Term closure(std::string_view module, unsigned char arity, int64_t value) const;

private:
    Term external(const std::string &format) const;
    ErlNifEnv *env_;
};

inline constexpr const char *this_node = "nonode@nohost";
inline constexpr const char *other_node = "other@nohost";

// A term as text, for messages.
std::string printed(ERL_NIF_TERM term);
