%%% @doc Erlang from coroutines, and gen_servers from Python: erlang.async_call, erlang.gen_call, erlang.async_gen_call.
-module(async_calls_SUITE).

-behaviour(gen_server).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    a_result/1, many_at_once/1, large_results/1, any_loop_of_any_thread/1, the_loop_goes_on_meanwhile/1,
    errors/1, a_killed_process/1, cancelling/1, a_loop_that_closes/1, one_loop_after_the_other/1,
    calling_the_same_context/1, finalizers/1, a_loop_in_a_finalizer/1,
    no_process_left/1, an_interrupt/1, an_interrupted_loop_goes_on/1, what_it_takes/1
]).
-export([
    servers/1, a_timeout/1, no_timeout/1, servers_that_die_of_a_timeout/1, servers_that_fail/1,
    the_process_that_waits/1, names_that_are_none/1,
    servers_from_coroutines/1, no_new_atoms/1, nothing_is_left_behind/1
]).
-export([init/1, handle_call/3, handle_cast/2, too_many/0]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        a_result, many_at_once, large_results, any_loop_of_any_thread, the_loop_goes_on_meanwhile,
        errors, a_killed_process, cancelling, a_loop_that_closes, one_loop_after_the_other,
        calling_the_same_context, finalizers, a_loop_in_a_finalizer,
        no_process_left, an_interrupt, an_interrupted_loop_goes_on, what_it_takes,
        servers, a_timeout, no_timeout, servers_that_die_of_a_timeout, servers_that_fail,
        the_process_that_waits, names_that_are_none,
        servers_from_coroutines, no_new_atoms, nothing_is_left_behind
    ].

init_per_suite(Config) ->
    Started = ep_ct:init_suite(Config),
    ok = py:register_function(echo, fun([Value]) -> Value end),
    ok = py:register_function(fail, fun([]) -> error(on_purpose) end),
    ok = py:register_function(kill, fun([]) -> exit(self(), kill) end),
    ok = py:register_function(large, fun([Size]) -> binary:copy(<<0>>, Size) end),
    %% Answers when the test says so.
    ok = py:register_function(ask, fun([Pid]) -> Pid ! {asked, self()}, receive {say, Value} -> Value end end),
    Started.

end_per_suite(Config) ->
    [ok = py:unregister_function(Name) || Name <- [echo, fail, kill, large, ask]],
    ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, ep_files:note(Config)).
end_per_testcase(Case, Config) -> ep_files:finish(ep_fresh_context:finish(Case, Config), Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% erlang.async_call

a_result(Config) ->
    {ok, [1, <<"two">>, #{<<"three">> := [4.0]}]} =
        call(Config, echo_all, [[1, <<"two">>, #{<<"three">> => [4.0]}]]),
    ok.

many_at_once(Config) ->
    Numbers = lists:seq(1, 2000),
    {ok, Numbers} = call(Config, echo_all, [Numbers]).

large_results(Config) ->
    {ok, [65536]} = call(Config, sizes, [50, 65536]).

%% asyncio's own loop on the context's thread, and both kinds on a thread of Python's.
any_loop_of_any_thread(Config) ->
    [{ok, [Kind, 1, 2, 3]} = call(Config, echo_on, [Kind]) || Kind <- [<<"stock">>, <<"thread">>, <<"stock thread">>]],
    ok.

%% It says how often a task that only sleeps got its turn before the answer came.
the_loop_goes_on_meanwhile(Config) ->
    Running = background(Config, turns),
    Asked = asked(),
    ep_expect:message(<<"many turns">>),
    Asked ! {say, done},
    {ok, <<"done">>} = ep_background:result(Running).

errors(Config) ->
    {ok, [<<"RuntimeError">>, Failed]} = call(Config, error_of, [fail]),
    {match, _} = re:run(Failed, <<"error: on_purpose">>),
    {ok, [<<"RuntimeError">>, Unknown]} = call(Config, error_of, [nobody_registered_this]),
    {match, _} = re:run(Unknown, <<"no Erlang function is registered">>),
    ok.

a_killed_process(Config) ->
    {ok, [<<"RuntimeError">>, Text]} = call(Config, error_of, [kill]),
    {match, _} = re:run(Text, <<"died before it answered">>),
    ok.

%% The function goes on; what it says then reaches nobody.
cancelling(Config) ->
    Running = background(Config, cancelled),
    Asked = asked(),
    ep_expect:message(<<"cancelled">>),
    Asked ! {say, late},
    {ok, <<"still alive">>} = ep_background:result(Running).

%% The answer comes when nobody is there any more. Until then no file is open for it.
a_loop_that_closes(Config) ->
    {ok, [1]} = call(Config, echo_all, [[1]]), % the context has what it needs for loops
    Files = ep_files:open(),
    Before = ep_ct:alive(loop_inboxes),
    {ok, none} = call(Config, ask_and_leave, [self()]),
    Asked = asked(),
    ok = ep_files:back_to(Files),
    Asked ! {say, late},
    {ok, _} = py:call(ctx(Config), gc, collect, []),
    ep_ct:wait_until(fun() -> ep_ct:alive(loop_inboxes) =:= Before end).

one_loop_after_the_other(Config) ->
    Before = ep_ct:alive(loop_inboxes),
    {ok, 1225} = call(Config, loops_in_turn, [50]),
    {ok, _} = py:call(ctx(Config), gc, collect, []),
    ep_ct:wait_until(fun() -> ep_ct:alive(loop_inboxes) =:= Before end).

%% What runs for the sake of a loop is let in while it waits.
calling_the_same_context(Config) ->
    Ctx = ctx(Config),
    ep_ct:with_function(around, fun([N]) -> {ok, Value} = py:call(Ctx, operator, neg, [N]), Value end, fun() ->
        {ok, [-1, -2, -3]} = call(Config, call_each, [around, [1, 2, 3]])
    end).

%% What the finalizer of an object asks that Erlang has let go of is for nobody, whoever waits below it.
finalizers(Config) ->
    Test = self(),
    Tell = fun([]) -> Test ! {for, [Pid || Pid <- get('$callers'), is_pid(Pid)]}, ok end,
    ep_ct:with_function(tell_for_whom, Tell, fun() ->
        Waiting = above_a_request_that_waits(Config, 'AsksErlang'),
        {for, []} = receive {for, _} = For -> For after 20000 -> error(timeout) end,
        asked() ! {say, done},
        {ok, <<"done">>} = ep_background:result(Waiting),
        ep_expect:idle(ctx(Config))
    end).

%% Its loop ends with the request below, which could not go on otherwise.
a_loop_in_a_finalizer(Config) ->
    Waiting = above_a_request_that_waits(Config, 'RunsALoop'),
    ep_expect:message(<<"loops">>),
    _ = asked(),
    ok = ep_background:kill(Waiting),
    ep_expect:idle(ctx(Config)).

%% A request that waits for Erlang, and an object whose finalizer then runs on top of it.
above_a_request_that_waits(Config, Class) ->
    Ctx = ctx(Config),
    Test = self(),
    Holder = spawn(fun() ->
        {ok, Object} = py:call(Ctx, async_calls, Class, [Test], #{return => ref}),
        Test ! holds,
        receive never -> Object end
    end),
    receive holds -> ok after 20000 -> error(timeout) end,
    Waiting = ep_background:start(fun() -> py:call(Ctx, erlang, call, [ask, Test]) end),
    Asked = asked(),
    exit(Holder, kill),
    Test ! {asked, Asked},
    Waiting.

%% A process cannot be started for each call: those get an error, and the application goes on.
no_process_left(_Config) ->
    ep_ct:with_peer([], ["+P", "1024"], fun(Call) -> ok = Call(?MODULE, too_many, []) end).

%% @private
-spec too_many() -> ok.
too_many() ->
    ok = py:register_function(slow, fun([]) -> timer:sleep(300) end),
    ok = py:exec(<<"
import asyncio, erlang
async def many():
    results = await asyncio.gather(*(erlang.async_call('slow') for _ in range(3000)), return_exceptions=True)
    return sorted({str(result) for result in results})
">>),
    {ok, [<<"ok">> | Errors]} = py:eval(<<"erlang.run(many())">>),
    true = Errors =/= [],
    lists:foreach(fun(Error) -> {match, _} = re:run(Error, <<"no process left">>) end, Errors).

an_interrupt(Config) ->
    Running = background(Config, ask),
    Asked = asked(),
    ok = py:interrupt(ctx(Config)),
    {error, interrupted} = ep_background:result(Running),
    Asked ! {say, late},
    ep_expect:idle(ctx(Config)).

%% Interrupted while answers come in: those that had come are not lost.
an_interrupted_loop_goes_on(Config) ->
    {ok, none} = call(Config, make_loop, []),
    [begin
         Running = background(Config, run_on),
         ep_expect:message(<<"begun">>),
         _ = py:interrupt(ctx(Config)),
         {error, interrupted} = ep_background:result(Running)
     end || _ <- lists:seq(1, 20)],
    {ok, 0} = call(Config, finish_loop, []).

what_it_takes(Config) ->
    {ok, Problems} = call(Config, wrong_arguments, []),
    [<<"TypeError">>, <<"TypeError">>, <<"TypeError">>, <<"TypeError">>, <<"RuntimeError">>] = Problems.

%% ---------------------------------------------------------------------------------------------------------------------
%% erlang.gen_call

servers(Config) ->
    {ok, Pid} = gen_server:start({local, async_calls_server}, ?MODULE, [], []),
    yes = global:register_name(async_calls_server, Pid),
    {ok, Other} = gen_server:start({global, <<"any term">>}, ?MODULE, [], []),
    Names = [Pid, async_calls_server, {async_calls_server, node()}, {global, async_calls_server},
             {global, <<"any term">>}, {via, global, async_calls_server}],
    [{ok, [<<"reply">>, 1]} = call(Config, gen_call, [Name, {reply, 1}]) || Name <- Names],
    gen_server:stop(Other),
    gen_server:stop(Pid).

a_timeout(Config) ->
    {ok, Pid} = gen_server:start(?MODULE, [], []),
    {ok, [<<"TimeoutError">>, Text]} = call(Config, gen_call_error, [Pid, never, 0.02]),
    {match, _} = re:run(Text, <<"has not replied within 0.02 seconds">>),
    {ok, [<<"ValueError">>, _]} = call(Config, gen_call_error, [Pid, never, -1]),
    {ok, [<<"ValueError">>, _]} = call(Config, gen_call_error, [Pid, never, {'py:nan'}]),
    gen_server:stop(Pid).

no_timeout(Config) ->
    {ok, Pid} = gen_server:start(?MODULE, [], []),
    {ok, [<<"reply">>, 2]} = call(Config, gen_call, [Pid, {reply, 2}, none]),
    {ok, [<<"reply">>, 3]} = call(Config, gen_call, [Pid, {reply, 3}, 1.0e300]),
    {ok, [<<"reply">>, 4]} = call(Config, gen_call, [Pid, {reply, 4}, {'py:inf'}]),
    gen_server:stop(Pid).

%% What a server dies of is not mistaken for what a call can run into.
servers_that_die_of_a_timeout(Config) ->
    [begin
         {ok, Pid} = gen_server:start(?MODULE, [], []),
         {ok, [<<"ProcessError">>, Text]} = call(Config, gen_call_error, [Pid, stop_with_timeout, Timeout]),
         {match, _} = re:run(Text, <<"ended before it replied: timeout">>)
     end || Timeout <- [5, none]],
    ok.

servers_that_fail(Config) ->
    {ok, Pid} = gen_server:start(?MODULE, [], []),
    {ok, [<<"ProcessError">>, Stopped]} = call(Config, gen_call_error, [Pid, stop, 5]),
    {match, _} = re:run(Stopped, <<"ended before it replied: on_purpose">>),
    {ok, [<<"ProcessError">>, Gone]} = call(Config, gen_call_error, [Pid, {reply, 1}, 5]),
    {match, _} = re:run(Gone, <<"not alive">>),
    [{ok, [<<"ProcessError">>, _]} = call(Config, gen_call_error, [Name, x, 5])
     || Name <- [async_calls_nobody, <<"no atom of this name, ever">>, {async_calls_nobody, node()},
                 {async_calls_nobody, 'nobody@nowhere.invalid'}, {global, async_calls_nobody}]],
    ok.

%% A callback runs in the process that called Python: if that is the server itself, it could never reply.
the_process_that_waits(Config) ->
    {ok, Pid} = gen_server:start(?MODULE, [], []),
    {ok, [<<"ProcessError">>, Text]} = gen_server:call(Pid, {call_python, ctx(Config)}),
    {match, _} = re:run(Text, <<"the process that waits">>),
    gen_server:stop(Pid).

names_that_are_none(Config) ->
    [{ok, [<<"TypeError">>, _]} = call(Config, gen_call_error, [Name, x, 5])
     || Name <- [1, 1.5, none, true, [1, 2], {1, 2}, {a, 1}, {a, b, c, d}, #{}, {via, async_calls_no_module, x},
                 {via, 1, x}, {via, lists, x}]],
    ok.

servers_from_coroutines(Config) ->
    {ok, Pid} = gen_server:start(?MODULE, [], []),
    {ok, Replies} = call(Config, async_gen_calls, [Pid, 100]),
    Expected = [[<<"reply">>, N] || N <- lists:seq(0, 99)],
    Expected = Replies,
    {ok, [<<"TimeoutError">>, _]} = call(Config, async_gen_call_error, [Pid, never, 0.01]),
    {ok, [<<"ProcessError">>, _]} = call(Config, async_gen_call_error, [Pid, stop, 5]),
    ok.

no_new_atoms(Config) ->
    _ = call(Config, gen_call_error, [<<"warm up">>, x, 5]),
    Before = erlang:system_info(atom_count),
    [{ok, [<<"ProcessError">>, _]} =
         call(Config, gen_call_error, [<<"name ", (integer_to_binary(N))/binary>>, x, 5]) || N <- lists:seq(1, 50)],
    true = erlang:system_info(atom_count) < Before + 20. % others make some, too

%% ---------------------------------------------------------------------------------------------------------------------
%% The server

-spec init([]) -> {ok, []}.
init([]) -> {ok, []}.

-spec handle_call(term(), gen_server:from(), []) -> {reply, term(), []} | {noreply, []} | {stop, atom(), []}.
handle_call([<<"reply">>, _] = Request, _From, State) -> {reply, Request, State};
handle_call({<<"reply">>, N}, _From, State) -> {reply, [<<"reply">>, N], State};
handle_call(<<"never">>, _From, State) -> {noreply, State};
handle_call(<<"stop_with_timeout">>, _From, State) -> {stop, timeout, State};
handle_call(<<"stop">>, _From, State) -> {stop, on_purpose, State};
handle_call({call_python, Ctx}, _From, State) ->
    {reply, py:call(Ctx, async_calls, gen_call_error, [self(), x, 5]), State}.

-spec handle_cast(term(), []) -> {noreply, []}.
handle_cast(_, State) -> {noreply, State}.

%% ---------------------------------------------------------------------------------------------------------------------

call(Config, Function, Args) ->
    py:call(ctx(Config), async_calls, Function, Args).

background(Config, Function) ->
    Test = self(),
    ep_background:start(fun() -> call(Config, Function, [Test]) end).

asked() ->
    receive {asked, Pid} -> Pid after 20000 -> error(timeout) end.

ctx(Config) -> proplists:get_value(ctx, Config).
