/* A plugin, by what it exports. */
#include <erlang_python/plugin.h>

EP_EXPORT ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error);

ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    (void)host;
    (void)table;
    (void)error;
    return EP_OK;
}
