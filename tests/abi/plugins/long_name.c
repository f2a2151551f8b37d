/* Has a function with a name that is longer than an atom can be. */
#include "forged.h"

ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    (void)host;
    (void)error;
    static char name[300];
    static ep_function functions[] = {{name, 0, 0, forged_answer}};
    memset(name, 0x6e, sizeof name - 1);
    forged_fill(table);
    table->functions = functions;
    return EP_OK;
}
