/* A plugin: counters that Erlang and Python share. docs/writing-plugins.md explains it, a piece at a time. */
#include <erlang_python/plugin.h>

#include <stdio.h>

EP_EXPORT ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error);

static const ep_host *host;

/* One that waits, in a list. */
typedef struct waiting {
    ep_waker *waker;
    int64_t target;
    struct waiting *next;
} waiting;

typedef struct counter {
    ep_resource base; /* has to be the first */
    ErlNifMutex *mutex;
    int64_t value;    /* guarded by the mutex */
    waiting *waiting; /* too */
} counter;

/* Nobody refers to it any more. So nobody waits either: a waker that is kept keeps it. */
static void destroy(ErlNifEnv *env, void *resource) {
    counter *self = resource;
    (void)env;
    if (self->mutex != NULL)
        enif_mutex_destroy(self->mutex);
}

static const ep_resource_type counter_type = {
    sizeof(ep_resource_type), sizeof(counter), "counter", "counter:Counter", destroy, NULL, NULL,
};

static ep_status fail(ep_call *call, const char *reason) {
    call->result = enif_make_atom(call->env, reason);
    return EP_FAILED;
}

/* Takes those out of the list whose time has come, or the one that has this waker. To be called with the mutex. */
static waiting *take_out(counter *self, const ep_waker *waker) {
    waiting *taken = NULL;
    waiting **at = &self->waiting;
    while (*at != NULL) {
        waiting *one = *at;
        if (waker != NULL ? one->waker == waker : one->target <= self->value) {
            *at = one->next;
            one->next = taken;
            taken = one;
        } else {
            at = &one->next;
        }
    }
    return taken;
}

/* new() -> the counter */
static ep_status counter_new(ep_call *call) {
    counter *self = host->resource_new(&counter_type);
    self->mutex = enif_mutex_create("counter");
    if (self->mutex != NULL)
        call->result = enif_make_resource(call->env, self);
    enif_release_resource(self); /* what resource_new counted; the reference goes on counting */
    return call->result != 0 ? EP_OK : fail(call, "enomem");
}

/* add(Counter, Amount) -> the new value */
static ep_status counter_add(ep_call *call) {
    void *resource;
    ErlNifSInt64 amount;
    if (host->resource_of(call->env, call->args[0], &counter_type, &resource) != EP_OK ||
        !enif_get_int64(call->env, call->args[1], &amount))
        return EP_WRONG_KIND;
    counter *self = resource;
    enif_mutex_lock(self->mutex);
    if (amount > 0 ? self->value > INT64_MAX - amount : self->value < INT64_MIN - amount) {
        enif_mutex_unlock(self->mutex);
        return fail(call, "overflow");
    }
    const int64_t value = self->value += amount;
    waiting *woken = take_out(self, NULL);
    enif_mutex_unlock(self->mutex);
    while (woken != NULL) {
        waiting *next = woken->next;
        host->waker_wake(woken->waker, call->sender);
        enif_free(woken);
        woken = next;
    }
    call->result = enif_make_int64(call->env, value);
    return EP_OK;
}

/* get(Counter) -> its value */
static ep_status counter_get(ep_call *call) {
    void *resource;
    if (host->resource_of(call->env, call->args[0], &counter_type, &resource) != EP_OK)
        return EP_WRONG_KIND;
    counter *self = resource;
    enif_mutex_lock(self->mutex);
    call->result = enif_make_int64(call->env, self->value);
    enif_mutex_unlock(self->mutex);
    return EP_OK;
}

/* The waiter has a timeout, was killed, or was woken and does not care. One that was woken is not in the list: nothing is
   lost, since everybody is woken whose time has come. */
static void given_up(void *resource, ep_waker *waker, ErlNifEnv *sender) {
    counter *self = resource;
    (void)sender;
    enif_mutex_lock(self->mutex);
    waiting *found = take_out(self, waker);
    enif_mutex_unlock(self->mutex);
    if (found != NULL) {
        host->waker_drop(found->waker);
        enif_free(found);
    }
}

/* wait_for(Counter, Target) -> its value, as soon as that is Target or more */
static ep_status counter_wait_for(ep_call *call) {
    void *resource;
    ErlNifSInt64 target;
    if (host->resource_of(call->env, call->args[0], &counter_type, &resource) != EP_OK ||
        !enif_get_int64(call->env, call->args[1], &target))
        return EP_WRONG_KIND;
    counter *self = resource;
    waiting *one = call->waker != NULL ? enif_alloc(sizeof *one) : NULL;
    if (call->waker != NULL && one == NULL)
        return fail(call, "enomem");
    ep_status status = EP_OK;
    enif_mutex_lock(self->mutex);
    if (self->value >= target) {
        call->result = enif_make_int64(call->env, self->value);
    } else {
        status = EP_PENDING;
        if (one != NULL) { /* under the same lock: whoever adds now finds it */
            host->waker_keep(call->waker, self, given_up);
            *one = (waiting){call->waker, target, self->waiting};
            self->waiting = one;
            one = NULL;
        }
    }
    enif_mutex_unlock(self->mutex);
    if (one != NULL)
        enif_free(one);
    return status;
}

static const ep_function functions[] = {
    {"new", 0, 0, counter_new},
    {"add", 2, 0, counter_add},
    {"get", 1, 0, counter_get},
    {"wait_for", 2, 0, counter_wait_for},
};

static ep_status open_plugin(ErlNifEnv *env, const ep_host *the_host, ep_error *error) {
    (void)env;
    (void)error;
    host = the_host;
    return EP_OK;
}

ep_status EP_PLUGIN_ENTRY(const ep_host *the_host, ep_plugin *table, ep_error *error) {
    const ep_header asked = table->header;
    table->header = (ep_header){EP_ABI_MAJOR, EP_ABI_MINOR, sizeof *table};
    if (!ep_header_fits(&the_host->header, EP_ABI_MAJOR, EP_ABI_MINOR, sizeof *the_host) || asked.size < sizeof *table) {
        snprintf(error->text, sizeof error->text, "it was built for ABI %d.%d", EP_ABI_MAJOR, EP_ABI_MINOR);
        return EP_TOO_NEW;
    }
    table->function_count = sizeof functions / sizeof *functions;
    table->functions = functions;
    table->open = open_plugin;
    return EP_OK;
}
