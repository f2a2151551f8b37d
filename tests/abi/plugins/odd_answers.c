/* Whatever its functions come to is something a caller can deal with. */
#include "forged.h"

static ep_status nothing(ep_call *call) {
    (void)call;
    return EP_OK;
}

static ep_status failed(ep_call *call) {
    (void)call;
    return EP_FAILED;
}

static ep_status closed(ep_call *call) {
    (void)call;
    return EP_CLOSED;
}

static ep_status wrong_kind(ep_call *call) {
    (void)call;
    return EP_WRONG_KIND;
}

static ep_status unknown(ep_call *call) {
    (void)call;
    return 12345;
}

/* Without having kept the waker, if there is one. */
static ep_status pending(ep_call *call) {
    (void)call;
    return EP_PENDING;
}

static ep_status always_too_long(ep_call *call) {
    (void)call;
    return EP_TOO_LONG;
}

static ep_status where(ep_call *call) {
    call->result = enif_make_int(call->env, enif_thread_type());
    return EP_OK;
}

static ep_status where_after_too_long(ep_call *call) {
    return enif_thread_type() == ERL_NIF_THR_NORMAL_SCHEDULER ? EP_TOO_LONG : where(call);
}

static ep_status first(ep_call *call) {
    call->result = call->args[0];
    return EP_OK;
}

static ep_status last(ep_call *call) {
    call->result = call->args[5];
    return EP_OK;
}

static void give_back(void *owner) {
    enif_free_env(owner);
}

static ep_status elsewhere(ep_call *call) {
    ErlNifEnv *env = enif_alloc_env();
    call->result = enif_make_string(env, "elsewhere", ERL_NIF_LATIN1);
    call->owner = env;
    call->release = give_back;
    return EP_OK;
}

static const ep_function functions[] = {
    {"answer", 0, 0, forged_answer},
    {"nothing", 0, 0, nothing},
    {"failed", 0, 0, failed},
    {"closed", 0, 0, closed},
    {"wrong_kind", 0, 0, wrong_kind},
    {"unknown", 0, 0, unknown},
    {"pending", 0, 0, pending},
    {"always_too_long", 0, 0, always_too_long},
    {"where", 0, 0, where},
    {"where_cpu", 0, EP_FUNCTION_DIRTY_CPU, where},
    {"where_io", 0, EP_FUNCTION_DIRTY_IO, where},
    {"where_too_long", 0, 0, where_after_too_long},
    {"unknown_flags", 0, 0xffff0000u, where},
    {"which", 1, 0, first},
    {"which", 6, 0, last},
    {"elsewhere", 0, 0, elsewhere},
};

ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    (void)host;
    (void)error;
    forged_fill(table);
    table->function_count = sizeof functions / sizeof *functions;
    table->functions = functions;
    return EP_OK;
}
