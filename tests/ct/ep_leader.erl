%%% @doc A group leader that writes down what it is asked to write.
-module(ep_leader).

-export([start/0, start/1, stop/1, of_process/2, written/1, text/1]).

-export_type([behaviour/0]).

-type behaviour() :: prompt | silent | {slow, Milliseconds :: non_neg_integer()}.
%% Silent: it never answers.

-spec start() -> pid().
start() -> start(prompt).

%% @doc It ends with the process that starts it.
-spec start(behaviour()) -> pid().
start(Behaviour) ->
    Owner = self(),
    spawn(fun() -> serve(Behaviour, [], monitor(process, Owner)) end).

-spec stop(pid()) -> ok.
stop(Leader) ->
    Monitor = monitor(process, Leader),
    exit(Leader, kill),
    receive {'DOWN', Monitor, process, Leader, _} -> ok end.

%% @doc The result of a function run in a process that has this group leader.
-spec of_process(pid(), fun(() -> Result)) -> Result.
of_process(Leader, Fun) ->
    ep_ct:in_process(fun() ->
        true = group_leader(Leader, self()),
        Fun()
    end).

%% @doc What each request was to write, in their order.
-spec written(pid()) -> [binary()].
written(Leader) ->
    Ref = make_ref(),
    Leader ! {written, self(), Ref},
    receive {Ref, Written} -> Written after 20000 -> error({dead, Leader}) end.

-spec text(pid()) -> binary().
text(Leader) -> iolist_to_binary(written(Leader)).

serve(Behaviour, Written, Owner) ->
    receive
        {io_request, From, As, {put_chars, unicode, Chars}} ->
            answer(Behaviour, From, As),
            serve(Behaviour, [unicode:characters_to_binary(Chars) | Written], Owner);
        {written, From, Ref} ->
            From ! {Ref, lists:reverse(Written)},
            serve(Behaviour, Written, Owner);
        {'DOWN', Owner, process, _, _} ->
            ok
    end.

answer(silent, _From, _As) ->
    ok;
answer({slow, Milliseconds}, From, As) ->
    receive after Milliseconds -> ok end,
    answer(prompt, From, As);
answer(prompt, From, As) ->
    From ! {io_reply, As, ok}.
