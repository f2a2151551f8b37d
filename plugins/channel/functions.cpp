// Channels, as Erlang and Python call them. The first argument is the channel, where nothing else is said.
#include "functions.hpp"

#include "channel.hpp"

namespace ep::channel {

namespace {

Channel *channel_argument(const ep_call &call) {
    return Channel::of(call.env, call.args[0]);
}

Channel *channel_argument(const ep_call &call, bool bytes) {
    Channel *channel = channel_argument(call);
    return channel != nullptr && channel->has_bytes() == bytes ? channel : nullptr;
}

bool credit_argument(const ep_call &call, unsigned &credit) {
    return enif_get_uint(call.env, call.args[1], &credit) && credit > 0 && credit <= Channel::most_credit;
}

bool caller_of(const ep_call &call, ErlNifPid &pid) {
    return call.from == EP_FROM_ERLANG && enif_self(call.env, &pid) != nullptr;
}

} // namespace

// (Bytes :: boolean(), MaxSize) -> the channel
ep_status channel_new(ep_call &call) {
    ErlNifUInt64 most = 0;
    const bool bytes = call.args[0] == atoms().true_;
    if ((!bytes && call.args[0] != atoms().false_) || !enif_get_uint64(call.env, call.args[1], &most)) {
        return EP_WRONG_KIND;
    }
    call.result = make_channel(call.env, bytes, most);
    return EP_OK;
}

// (Channel, Bytes :: boolean()): whether it is one of that kind
ep_status channel_check(ep_call &call) {
    return channel_argument(call, call.args[1] == atoms().true_) != nullptr ? EP_OK : EP_WRONG_KIND;
}

// (Channel, Term); pending: there is no room
ep_status channel_send(ep_call &call) {
    Channel *channel = channel_argument(call, false);
    return channel != nullptr ? channel->send_term(call, call.args[1]) : EP_WRONG_KIND;
}

ep_status channel_send_bytes(ep_call &call) {
    Channel *channel = channel_argument(call, true);
    return channel != nullptr ? channel->send_bytes(call, call.args[1]) : EP_WRONG_KIND;
}

ep_status channel_receive(ep_call &call) {
    Channel *channel = channel_argument(call, false);
    return channel != nullptr ? channel->receive(call) : EP_WRONG_KIND;
}

ep_status channel_receive_bytes(ep_call &call) {
    Channel *channel = channel_argument(call, true);
    return channel != nullptr ? channel->receive(call) : EP_WRONG_KIND;
}

ep_status channel_close(ep_call &call) {
    Channel *channel = channel_argument(call);
    if (channel == nullptr) {
        return EP_WRONG_KIND;
    }
    channel->close(call.sender);
    return EP_OK;
}

ep_status channel_info(ep_call &call) {
    Channel *channel = channel_argument(call);
    if (channel == nullptr) {
        return EP_WRONG_KIND;
    }
    call.result = channel->info(call.env);
    return EP_OK;
}

// (Channel, Credit)
ep_status channel_subscribe(ep_call &call) {
    Channel *channel = channel_argument(call);
    unsigned credit = 0;
    ErlNifPid self;
    if (channel == nullptr || !credit_argument(call, credit) || !caller_of(call, self)) {
        return EP_WRONG_KIND;
    }
    return channel->subscribe(call, self, credit);
}

ep_status channel_unsubscribe(ep_call &call) {
    Channel *channel = channel_argument(call);
    ErlNifPid self;
    return channel != nullptr && caller_of(call, self) ? channel->unsubscribe(call, self) : EP_WRONG_KIND;
}

// (Channel, More)
ep_status channel_credit(ep_call &call) {
    Channel *channel = channel_argument(call);
    unsigned credit = 0;
    ErlNifPid self;
    if (channel == nullptr || !credit_argument(call, credit) || !caller_of(call, self)) {
        return EP_WRONG_KIND;
    }
    return channel->give_credit(call, self, credit);
}

} // namespace ep::channel
