/* Has everything, but cannot start its Python. */
#include "forged.h"

static ep_status start(const ep_start *options, ep_error *error) {
    (void)options;
    snprintf(error->text, sizeof error->text, "this Python will not start: install a better one");
    return EP_FAILED;
}

ep_status EP_BACKEND_ENTRY(const ep_host *host, ep_backend *table, ep_error *error) {
    (void)host;
    (void)error;
    forged_fill(table);
    table->start = start;
    return EP_OK;
}
