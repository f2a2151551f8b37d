/* Needs something that nobody has. */
#include "forged.h"

ep_status nobody_has_this(ep_plugin *table);

ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    (void)host;
    (void)error;
    forged_fill(table);
    return nobody_has_this(table);
}
