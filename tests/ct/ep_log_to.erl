%%% @doc A handler of the logger that sends what is logged to a process, as `{logged, Level, Text}'.
-module(ep_log_to).

-export([log/2]).

-spec log(logger:log_event(), logger:handler_config()) -> ok.
log(#{level := Level, msg := {Format, Args}}, #{config := #{pid := Pid}}) when is_list(Args) ->
    Pid ! {logged, Level, unicode:characters_to_binary(io_lib:format(Format, Args))},
    ok;
log(_Other, _Config) ->
    ok.
