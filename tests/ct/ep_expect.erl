%%% @doc What a test expects to come, as assertions that say what came instead.
-module(ep_expect).

-export([message/1, python_error/2, python_error/3, own_answer/1, still_works/1, idle/1]).

-define(PATIENCE, 30_000).

%% Waits for exactly this message.
-spec message(term()) -> ok.
message(Message) ->
    receive Message -> ok
    after ?PATIENCE -> error({did_not_come, Message, {mailbox, process_info(self(), messages)}})
    end.

%% The message of a Python exception with this name, or one of these names.
-spec python_error(atom() | [atom()], term()) -> string().
python_error(Names, {error, {Name, Message}} = Result) ->
    Known = Name =:= Names orelse (is_list(Names) andalso lists:member(Name, Names)),
    Known andalso io_lib:char_list(Message) orelse error({expected_python_error, Names, Result}),
    Message;
python_error(Names, Result) ->
    error({expected_python_error, Names, Result}).

%% The same, and the message mentions Text.
-spec python_error(atom() | [atom()], string(), term()) -> string().
python_error(Names, Text, Result) ->
    Message = python_error(Names, Result),
    string:find(Message, Text) =/= nomatch orelse error({not_mentioned, Text, Message}),
    Message.

%% A context answers as if nothing had happened, and nothing came to the caller that it did not ask for.
-spec still_works(pid()) -> ok.
still_works(Ctx) ->
    {ok, 3} = py:eval(Ctx, <<"1 + 2">>),
    {ok, 4.0} = py:call(Ctx, math, sqrt, [16]),
    ok = py:exec(Ctx, <<"import math">>),
    {messages, []} = process_info(self(), messages),
    ok.

%% An answer nobody else can have asked for, from code that runs long enough for a stray interrupt to hit it.
-spec own_answer(pid()) -> ok.
own_answer(Ctx) ->
    Token = erlang:unique_integer([positive]),
    {ok, {<<"token">>, Token}} = py:call(Ctx, busy, work, [20_000, {token, Token}]),
    ok.

%% The same as still_works/1, and nobody holds a slot of the semaphore.
-spec idle(pid()) -> ok.
idle(Ctx) ->
    still_works(Ctx),
    ep_ct:wait_until(fun() -> py_semaphore:current() =:= 0 end).
