/* What forged backends share: functions that do nothing, in a table of the ABI these headers are. */
#ifndef FORGED_H
#define FORGED_H

#include <erlang_python/backend.h>

#include <stdio.h>

EP_EXPORT ep_status EP_BACKEND_ENTRY(const ep_host *host, ep_backend *table, ep_error *error);

static ep_status forged_start(const ep_start *options, ep_error *error) {
    (void)options;
    (void)error;
    return EP_OK;
}

static ep_status forged_open(ep_context *context, const ep_open *options, ep_interp **interp, ep_error *error) {
    (void)context;
    (void)options;
    (void)interp;
    snprintf(error->text, sizeof error->text, "this backend is forged and has no interpreters");
    return EP_FAILED;
}

static void forged_with_interp(ep_interp *interp) {
    (void)interp;
}

static void forged_serve(ep_interp *interp, ep_request *request) {
    (void)interp;
    (void)request;
}

static void forged_with_number(ep_interp *interp, uint64_t number) {
    (void)interp;
    (void)number;
}

static void forged_take_back(uint64_t interpreter, uint64_t slot) {
    (void)interpreter;
    (void)slot;
}

static ep_status forged_interrupt(ep_interp *interp, uint64_t serial) {
    (void)interp;
    (void)serial;
    return EP_FAILED;
}

/* A backend as it should be, but for what it does. */
static inline ep_status forged_fill(ep_backend *table) {
    const ep_header asked = table->header;
    *table = (ep_backend){asked,
                          0,
                          forged_start,
                          forged_open,
                          forged_with_interp,
                          forged_with_interp,
                          forged_with_interp,
                          forged_serve,
                          forged_with_number,
                          forged_interrupt,
                          NULL,
                          forged_take_back};
    return EP_OK;
}

/* A backend that was built with another version of the headers looks at nothing but the versions, and says its own. */
static inline ep_status forged_refuse(ep_backend *table, int major, int minor) {
    table->header.major = (uint16_t)major;
    table->header.minor = (uint16_t)minor;
    return EP_TOO_NEW;
}

#endif
