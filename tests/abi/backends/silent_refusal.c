/* Refuses the version without a word. */
#include "forged.h"

ep_status EP_BACKEND_ENTRY(const ep_host *host, ep_backend *table, ep_error *error) {
    (void)host;
    (void)table;
    (void)error;
    return EP_TOO_NEW;
}
