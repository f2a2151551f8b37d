%%% @doc Files of the VM's OS process, and that no case leaves any open. Sockets, pipes and what a loop waits with are
%%% looked at; the VM opens others when it likes. Where the system does not say what is open, nothing is looked at.
-module(ep_files).

-export([note/1, finish/2, open/0, back_to/1]).

-type files() :: [{Number :: string(), What :: string()}].

%% @doc For init_per_testcase.
-spec note([tuple()]) -> [tuple()].
note(Config) ->
    [{files_before, open()} | Config].

%% @doc For end_per_testcase, with what it comes to otherwise.
-spec finish(ok | {fail, term()}, [tuple()]) -> ok | {fail, term()}.
finish(ok, Config) ->
    try proplists:get_value(tc_status, Config) =/= ok orelse back_to(proplists:get_value(files_before, Config)) of
        _ -> ok
    catch
        error:Reason -> {fail, Reason}
    end;
finish(Failure, _Config) ->
    Failure.

-spec open() -> files().
open() ->
    case file:list_dir("/proc/self/fd") of
        {ok, Numbers} -> [{Number, What} || Number <- Numbers, {ok, What} <- [target(Number)], of_a_loop(What)];
        {error, _} -> []
    end.

target(Number) ->
    file:read_link_all(filename:join("/proc/self/fd", Number)).

%% Not the pidfd that asyncio opens and closes to see whether it could: an interrupt may come in between.
of_a_loop(What) ->
    lists:any(fun(Kind) -> lists:prefix(Kind, What) end, ["socket:", "pipe:", "anon_inode:[event"]).

%% @doc Waits until no more is open than then.
-spec back_to(files()) -> ok.
back_to(Before) ->
    try
        ep_ct:wait_until(fun() -> open() -- Before =:= [] end)
    catch
        error:timeout -> error({left_open, open() -- Before})
    end.
