/* Does not want to be loaded, and says why. */
#include "forged.h"

ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    (void)host;
    (void)error;
    (void)table;
    return forged_fail(error, "this plugin is forged; remove it");
}
