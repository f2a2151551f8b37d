/* Fills the whole error, without an end. */
#include "forged.h"

ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    (void)host;
    (void)error;
    (void)table;
    memset(error->text, 0x65, sizeof error->text);
    return EP_FAILED;
}
