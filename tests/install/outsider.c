/* A plugin somebody writes elsewhere: every public header, and nothing of ours but them. */
#include <erlang_python/abi.h>
#include <erlang_python/backend.h>
#include <erlang_python/flat.h>
#include <erlang_python/host.h>
#include <erlang_python/plugin.h>

EP_EXPORT ep_status erlang_python_plugin_entry(const ep_host *host, ep_plugin *table, ep_error *error);

ep_status erlang_python_plugin_entry(const ep_host *host, ep_plugin *table, ep_error *error) {
    (void)error;
    if (host->header.major != EP_ABI_MAJOR || table->header.major != EP_ABI_MAJOR)
        return EP_TOO_NEW;
    table->function_count = 0;
    return EP_OK;
}
