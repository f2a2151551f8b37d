/* Has a function without a body. */
#include "forged.h"

ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    (void)host;
    (void)error;
    static const ep_function functions[] = {{"answer", 0, 0, forged_answer}, {"hollow", 1, 0, NULL}};
    forged_fill(table);
    table->function_count = 2;
    table->functions = functions;
    return EP_OK;
}
