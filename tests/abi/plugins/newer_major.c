/* Built with headers of the next major version, and knows what that means. */
#include "forged.h"

ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    (void)host;
    (void)error;
    table->header.major = EP_ABI_MAJOR + 1;
    table->header.minor = 0;
    return EP_TOO_NEW;
}
