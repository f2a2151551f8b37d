// A request on its way from a NIF's arguments to a context.
#pragma once

#include "arguments.hpp"
#include "context.hpp"
#include "core.hpp"
#include "handles.hpp"
#include "task.hpp"

#include <erlang_python/convert/terms.hpp>

#include <optional>

namespace ep {

// A request being filled in; recycled when it is not dispatched.
class Draft {
public:
    // `tag` is Ref or {Ref, Ancestors}; `space_term` may be the atom undefined.
    // `task`: what it does is for that one, which is of the context.
    Draft(ErlNifEnv *env, Context *context, ERL_NIF_TERM tag, ERL_NIF_TERM space_term, uint32_t flags, uint64_t budget,
          Task *task = nullptr)
        : env_(env), ref_(tag), flags_(flags) {
        int arity = 0;
        const ERL_NIF_TERM *parts = nullptr;
        if (enif_get_tuple(env, tag, &arity, &parts) && arity == 2) {
            ref_ = parts[0];
            ancestors_ = parts[1];
        }
        if (!enif_is_ref(env, ref_)) {
            throw BadArgument{};
        }
        if (ancestors_ == 0 && context->waits() && (flags & EP_NO_REPLY) == 0) {
            failure_ = core().atoms.ancestry;
            return;
        }
        Space *space = nullptr;
        if (space_term != core().atoms.undefined) {
            space = get_resource<Space>(env, space_term, core().types.space);
            if (space->context != context) {
                failure_ = make_error(env, core().atoms.env_wrong_interpreter);
                return;
            }
        }
        if (context->stopping()) {
            failure_ = make_error(env, core().atoms.context_stopped);
            return;
        }
        request_ = take_request(context, space, task);
        if (request_ == nullptr) {
            failure_ = make_error(env, enif_make_atom(env, "system_limit"));
            return;
        }
        decoder_.emplace(env, core().conversion, is_object, request_->flat, budget);
    }
    ~Draft() {
        if (request_ != nullptr) {
            recycle(request_, env_);
        }
    }
    Draft(const Draft &) = delete;
    Draft &operator=(const Draft &) = delete;

    // Whether adding went well so far. Once it did not, the rest does nothing.
    bool sound() const noexcept { return failure_ == 0 && decoded_ == Decoded::ok; }
    bool over_budget() const noexcept { return decoded_ == Decoded::over_budget; }

    void value(ERL_NIF_TERM term) {
        if (sound()) {
            decoded_ = decoder_->value(term);
        }
    }
    void name(ERL_NIF_TERM term) {
        if (!enif_is_atom(env_, term) && !enif_is_binary(env_, term)) {
            throw BadArgument{};
        }
        if (sound() && enif_is_atom(env_, term)) {
            request_->flat.atom(term); // `true` is a name here
        } else {
            value(term);
        }
    }
    void list(ERL_NIF_TERM term) {
        if (!enif_is_list(env_, term)) {
            throw BadArgument{};
        }
        value(term);
    }
    void map(ERL_NIF_TERM term) {
        if (!enif_is_map(env_, term)) {
            throw BadArgument{};
        }
        value(term);
    }
    void code(ERL_NIF_TERM term) {
        if (!enif_is_binary(env_, term)) {
            throw BadArgument{};
        }
        value(term);
    }

    // Sends it off. The handle, an error tuple, or the atom ancestry.
    ERL_NIF_TERM dispatch(uint32_t op) {
        if (failure_ != 0) {
            return failure_;
        }
        if (decoded_ != Decoded::ok) {
            return conversion_error(env_, decoded_);
        }
        Request *request = request_;
        if (ancestors_ != 0) {
            add_ancestors(ancestors_);
        }
        request->op = op;
        request->flags = flags_;
        if (request->wants_reply()) {
            request->ref = enif_make_copy(request->env(), ref_);
        }
        enif_self(env_, &request->caller);
        const uint64_t handle = request->handle();
        request_ = nullptr;
        if (!ep::dispatch(request, env_)) {
            return make_error(env_, core().atoms.context_stopped);
        }
        return enif_make_uint64(env_, handle);
    }

private:
    void add_ancestors(ERL_NIF_TERM list) {
        ERL_NIF_TERM head;
        while (request_->ancestor_count < Request::most_ancestors && enif_get_list_cell(env_, list, &head, &list)) {
            if (!enif_get_local_pid(env_, head, &request_->ancestors[request_->ancestor_count++])) {
                throw BadArgument{};
            }
        }
    }

    ErlNifEnv *env_;
    ERL_NIF_TERM ref_;
    ERL_NIF_TERM ancestors_ = 0;
    uint32_t flags_;
    Request *request_ = nullptr;
    ERL_NIF_TERM failure_ = 0;
    Decoded decoded_ = Decoded::ok;
    std::optional<Decoder<FlatWriter>> decoder_;
};

} // namespace ep
