/* Needs a function that neither the VM nor any Python has. */
#include "forged.h"

void function_of_another_python(void);

ep_status EP_BACKEND_ENTRY(const ep_host *host, ep_backend *table, ep_error *error) {
    (void)host;
    (void)error;
    function_of_another_python();
    return forged_fill(table);
}
