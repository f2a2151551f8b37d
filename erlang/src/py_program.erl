%%% @doc A program of the operating system, run to its end by a port: no shell, the arguments are a list.
%%%
%%% Its output goes line by line to the logger as it comes, with the metadata of the process that runs it. When that
%%% process is sent an exit signal, which it has to trap, the program and everything it has started are killed.
-module(py_program).

-export([run/3]).

-include_lib("kernel/include/logger.hrl").

-type options() :: #{cd => binary(), quiet => boolean(), killer := binary()}.
%% quiet: nothing is logged. killer: the Python that is run to kill it, since Erlang cannot.
-type result() :: {ok, Output :: binary()} | {error, failure()}.
-type failure() :: {install_failed, non_neg_integer(), Output :: binary()} | {file_error, term(), binary()} | aborted.

-define(DOMAIN, [erlang_python, venv]).
%% Longer lines come in pieces.
-define(MAX_LINE, 4096).
%% How many of the last lines are kept: what a failing installer has to say is at the end.
-define(KEPT, 100).
%% How long to wait, in milliseconds, until what was killed is gone.
-define(UNTIL_GONE, 5000).
%% And for the last output of a program that is gone. It comes at once, unless the program left something running that
%% could still write.
-define(LAST_WORDS, 1000).

%% @doc Waits for the end of a program and gives its last hundred lines. `{error, {install_failed, Status, Output}}'
%% when its status is not 0; `{error, {file_error, Posix, Program}}' when it does not start; `{error, aborted}'.
-spec run(binary(), [binary()], options()) -> result().
run(Program, Arguments, Options) ->
    Quiet = maps:get(quiet, Options, false),
    log(Quiet, lists:join(" ", [Program | Arguments])),
    Settings = [{args, Arguments}, {line, ?MAX_LINE}, binary, exit_status, eof, stderr_to_stdout, hide
                | [{cd, Folder} || #{cd := Folder} <- [Options]]],
    try open_port({spawn_executable, Program}, Settings) of
        Port -> await(Port, Quiet, maps:get(killer, Options), queue:new())
    catch
        error:Reason -> {error, {file_error, Reason, Program}}
    end.

await(Port, Quiet, Killer, Kept) ->
    receive
        {Port, {data, {_, Bytes}}} ->
            Line = as_text(Bytes),
            log(Quiet, Line),
            await(Port, Quiet, Killer, keep(Line, Kept));
        {Port, {exit_status, Status}} ->
            Output = output(last_words(Port, Quiet, Kept)),
            case Status of
                0 -> {ok, Output};
                _ -> {error, {install_failed, Status, Output}}
            end;
        {'EXIT', Pid, _Reason} when is_pid(Pid) ->
            kill(Port, Killer),
            {error, aborted}
    end.

%% The end of the output and that of the program come in either order.
last_words(Port, Quiet, Kept) ->
    receive
        {Port, {data, {_, Bytes}}} ->
            Line = as_text(Bytes),
            log(Quiet, Line),
            last_words(Port, Quiet, keep(Line, Kept));
        {Port, eof} ->
            closed(Port),
            Kept
    after ?LAST_WORDS ->
        closed(Port),
        Kept
    end.

log(true, _Line) -> ok;
log(false, Line) -> ?LOG_INFO("~ts", [Line], #{domain => ?DOMAIN}).

keep(Line, Kept) ->
    case queue:len(Kept) of
        ?KEPT -> queue:in(Line, queue:drop(Kept));
        _ -> queue:in(Line, Kept)
    end.

output(Kept) ->
    iolist_to_binary(lists:join($\n, queue:to_list(Kept))).

%% Programs print what they like.
as_text(Bytes) ->
    case unicode:characters_to_binary(Bytes) of
        Text when is_binary(Text) -> Text;
        _ -> unicode:characters_to_binary(Bytes, latin1)
    end.

%% A port's program leads a process group, of which its children are, too.
kill(Port, Killer) ->
    case erlang:port_info(Port, os_pid) of
        {os_pid, Pid} ->
            Code = <<"import os, signal, sys; os.killpg(int(sys.argv[1]), signal.SIGKILL)">>,
            Arguments = [<<"-I">>, <<"-S">>, <<"-c">>, Code, integer_to_binary(Pid)],
            Killing = open_port({spawn_executable, Killer}, [{args, Arguments}, exit_status, hide]),
            gone(Killing),
            gone(Port);
        undefined ->
            closed(Port)
    end.

gone(Port) ->
    receive {Port, {exit_status, _}} -> ok after ?UNTIL_GONE -> ok end,
    closed(Port).

%% Closes a port and forgets what it has sent.
closed(Port) ->
    try port_close(Port) catch error:badarg -> true end,
    flush(Port).

flush(Port) ->
    receive
        {Port, _} -> flush(Port);
        {'EXIT', Port, _} -> flush(Port)
    after 0 ->
        ok
    end.
