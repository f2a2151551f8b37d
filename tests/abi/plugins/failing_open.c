/* Is loaded, and then finds that it cannot work here. */
#include "forged.h"

static ep_status refuse(ErlNifEnv *env, const ep_host *host, ep_error *error) {
    (void)env;
    (void)host;
    return forged_fail(error, "there is nothing to open here; remove it");
}

ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    (void)host;
    (void)error;
    forged_fill(table);
    table->open = refuse;
    return EP_OK;
}
