/* Has nothing, which is allowed. */
#include "forged.h"

ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    (void)host;
    (void)error;
    forged_fill(table);
    table->function_count = 0;
    table->functions = NULL;
    return EP_OK;
}
