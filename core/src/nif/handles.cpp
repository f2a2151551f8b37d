#include "handles.hpp"

#include "context.hpp"
#include "core.hpp"

namespace ep {

ERL_NIF_TERM make_space(ErlNifEnv *env, Context *context) {
    auto *space = static_cast<Space *>(enif_alloc_resource(core().types.space, sizeof(Space)));
    enif_keep_resource(context);
    *space = Space{context, 0};
    Counters::add(core().counters.spaces, 1);
    ERL_NIF_TERM term = enif_make_resource(env, space);
    enif_release_resource(space);
    return term;
}

ERL_NIF_TERM make_object(ErlNifEnv *env, Context *context, uint64_t interpreter, uint64_t slot) {
    auto *object = static_cast<Object *>(enif_alloc_resource(core().types.object, sizeof(Object)));
    enif_keep_resource(context);
    *object = Object{context, interpreter, slot};
    Counters::add(core().counters.objects, 1);
    ERL_NIF_TERM term = enif_make_resource(env, object);
    enif_release_resource(object);
    return term;
}

ERL_NIF_TERM lend(ErlNifEnv *env, ep_context *lender, uint64_t interpreter, uint64_t slot, ep_slice data) {
    auto *context = static_cast<Context *>(lender);
    context->run_returns();
    auto *lent = static_cast<Lent *>(enif_alloc_resource(core().types.lent, sizeof(Lent)));
    enif_keep_resource(context);
    *lent = Lent{context, interpreter, slot};
    Counters::add(core().counters.lent, 1);
    ERL_NIF_TERM term = enif_make_resource_binary(env, lent, data.data, data.size);
    enif_release_resource(lent);
    return term;
}

bool is_object(ErlNifEnv *env, ERL_NIF_TERM term) {
    void *resource = nullptr;
    return enif_get_resource(env, term, core().types.object, &resource) != 0;
}

void destroy_space(ErlNifEnv *, void *resource) {
    auto *space = static_cast<Space *>(resource);
    if (space->slot != 0) {
        space->context->post_release(space->slot);
    }
    enif_release_resource(space->context);
    Counters::add(core().counters.spaces, -1);
}

void destroy_object(ErlNifEnv *, void *resource) {
    auto *object = static_cast<Object *>(resource);
    object->context->post_release(object->slot);
    enif_release_resource(object->context);
    Counters::add(core().counters.objects, -1);
}

void destroy_lent(ErlNifEnv *, void *resource) {
    auto *lent = static_cast<Lent *>(resource);
    if (!lent->context->post_return(lent->interpreter, lent->slot)) {
        core().runtime.take_back(lent->context->backend(), lent->interpreter, lent->slot);
    }
    enif_release_resource(lent->context);
    Counters::add(core().counters.lent, -1);
}

} // namespace ep
