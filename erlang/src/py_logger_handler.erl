%%% @doc Lets Erlang's default handler show what Python logs.
%%%
%%% In a plain system it shows events of the domains `[otp]' and `[otp, sasl]' and those without one, from level notice
%%% on. While the application runs and Python logs, there is one filter more, which lets events of the domain
%%% `[python]' pass; and the module py_logger, which logs them, has the level `all', since Python has filtered by level.
%%% Neither takes effect where somebody has decided otherwise: a level of py_logger that is set already stays, and so do
%%% filters in front of ours. Without a default handler there is nothing to do.
-module(py_logger_handler).

-export([show/0, hide/0]).

-define(FILTER, erlang_python).
%% What was set, so that nothing else is taken back.
-define(LEVEL_SET, {?MODULE, level_set}).

%% @doc Any number of times; again after somebody has replaced the handler.
-spec show() -> ok.
show() ->
    _ = logger:add_handler_filter(default, ?FILTER, {fun logger_filters:domain/2, {log, sub, [python]}}),
    case logger:get_module_level(py_logger) of
        [] ->
            ok = persistent_term:put(?LEVEL_SET, true),
            ok = logger:set_module_level(py_logger, all);
        _ ->
            ok
    end.

%% @doc Takes back what {@link show/0} did.
-spec hide() -> ok.
hide() ->
    _ = logger:remove_handler_filter(default, ?FILTER),
    case persistent_term:get(?LEVEL_SET, false) andalso logger:get_module_level(py_logger) of
        [{py_logger, all}] -> ok = logger:unset_module_level(py_logger);
        _ -> ok
    end,
    _ = persistent_term:erase(?LEVEL_SET),
    ok.
