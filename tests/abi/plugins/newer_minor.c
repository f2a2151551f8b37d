/* Says that all is well, in a table that is newer than the core's. */
#include "forged.h"

ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    (void)host;
    (void)error;
    forged_fill(table);
    table->header.minor = EP_ABI_MINOR + 1;
    return EP_OK;
}
