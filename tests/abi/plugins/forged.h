/* What forged plugins share: one function, in a table of the ABI these headers are. */
#ifndef FORGED_H
#define FORGED_H

#include <erlang_python/plugin.h>

#include <stdio.h>
#include <string.h>

EP_EXPORT ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error);

static ep_status forged_answer(ep_call *call) {
    call->result = enif_make_int(call->env, 42);
    return EP_OK;
}

static const ep_function forged_functions[] = {{"answer", 0, 0, forged_answer}};

/* A plugin as it should be. */
static inline ep_status forged_fill(ep_plugin *table) {
    table->header = (ep_header){EP_ABI_MAJOR, EP_ABI_MINOR, sizeof *table};
    table->function_count = 1;
    table->functions = forged_functions;
    table->open = NULL;
    return EP_OK;
}

static inline ep_status forged_fail(ep_error *error, const char *text) {
    snprintf(error->text, sizeof error->text, "%s", text);
    return EP_FAILED;
}

#endif
