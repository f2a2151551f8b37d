/* Nothing is wrong with it: what the other ones are compared with. */
#include "forged.h"

ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    (void)host;
    (void)error;
    return forged_fill(table);
}
