/* Says that its table ends before the functions. */
#include "forged.h"

ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    (void)host;
    (void)error;
    forged_fill(table);
    table->header.size = sizeof(ep_header);
    return EP_OK;
}
