%%% @doc A callback, registered as `hold', that says in which process it runs and returns when it is told to:
%%% `erlang.call("hold", pid)' sends `{holding, Process}' to pid.
-module(ep_hold).

-export([register/0, unregister/0, holder/0, release/1]).

-spec register() -> ok.
register() ->
    py:register_function(hold, fun([Tester]) ->
        Tester ! {holding, self()},
        receive release -> released end
    end).

-spec unregister() -> ok.
unregister() -> py:unregister_function(hold).

%% @doc The process the callback runs in now.
-spec holder() -> pid().
holder() ->
    receive {holding, Pid} -> Pid after 30_000 -> error(callback_never_ran) end.

%% @doc The callback returns `released'.
-spec release(pid()) -> ok.
release(Pid) ->
    Pid ! release,
    ok.
