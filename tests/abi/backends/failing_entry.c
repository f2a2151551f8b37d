/* Fails at once, with a reason. */
#include "forged.h"

ep_status EP_BACKEND_ENTRY(const ep_host *host, ep_backend *table, ep_error *error) {
    (void)host;
    (void)table;
    snprintf(error->text, sizeof error->text, "it is not my day; install another one");
    return EP_FAILED;
}
