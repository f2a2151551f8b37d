/* Has a function without a name. */
#include "forged.h"

ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    (void)host;
    (void)error;
    static const ep_function functions[] = {{NULL, 0, 0, forged_answer}};
    forged_fill(table);
    table->functions = functions;
    return EP_OK;
}
