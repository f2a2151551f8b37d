%%% @doc Sizes of files and of memory.
-module(bench_size).

-export([rows/0]).
%% Run in another VM.
-export([context/0, env/0]).

-define(CONTEXTS, 200).
-define(ENVS, 10000).
%% Of a context's thread, in KB. No other thread of the VM has such a stack.
-define(STACK, 16384).

-spec rows() -> [bench_row:row()].
rows() ->
    Files = [#{name => "size of " ++ filename:basename(File) ++ ", stripped", unit => kb, rounds => 1,
               measure => fun(_) -> stripped(File) / 1024 end} || File <- filelib:wildcard(priv("backends/*.so"))],
    [#{name => "size of py_nif.so, stripped", unit => kb, rounds => 1, reach => {at_most, 400},
       measure => fun(_) -> stripped(priv("py_nif.so")) / 1024 end}]
    ++ Files ++
    [#{name => "idle context, resident beyond its stack", unit => kb, rounds => 3, reach => {at_most, 100},
       measure => fun(_) -> maps:get(beyond_stack, bench_vm:run({?MODULE, context, []})) / 1024 end},
     #{name => "idle context, its touched stack", unit => kb, rounds => 3,
       measure => fun(_) -> maps:get(stack, bench_vm:run({?MODULE, context, []})) / 1024 end},
     #{name => "one of 10,000 envs, beyond Python's dict", unit => bytes, rounds => 3, reach => {at_most, 2048},
       measure => fun(_) -> bench_vm:run({?MODULE, env, []}) end}].

priv(Name) ->
    filename:join(code:priv_dir(erlang_python), Name).

stripped(File) ->
    Copy = string:trim(os:cmd("mktemp")),
    "" = os:cmd("strip -o '" ++ Copy ++ "' '" ++ File ++ "'"),
    Size = filelib:file_size(Copy),
    ok = file:delete(Copy),
    Size.

%% @doc The bytes another context takes that has done one call: of its stack, and everything else.
-spec context() -> #{stack | beyond_stack => float()}.
context() ->
    ok = bench_vm:start_application(),
    %% What only the first one of them does, and what the measuring takes.
    _ = [{used_context(), memory()} || _ <- lists:seq(1, 3)],
    {Resident0, Stacks0} = memory(),
    Contexts = [used_context() || _ <- lists:seq(1, ?CONTEXTS)],
    {Resident, Stacks} = memory(),
    Stack = (Stacks - Stacks0) / length(Contexts),
    #{stack => Stack, beyond_stack => (Resident - Resident0) / length(Contexts) - Stack}.

used_context() ->
    {ok, Context} = py_context:new(#{mode => py:execution_mode()}),
    {ok, 4.0} = py:call(Context, math, sqrt, [16]),
    Context.

memory() ->
    settle(),
    {bench_proc:resident(), bench_proc:resident_stacks(?STACK)}.

%% @doc The bytes another env takes, without those that Python counts for a dict of its own with the same contents.
-spec env() -> float().
env() ->
    ok = bench_vm:start_application(),
    Context = py:context(1),
    _ = [used_env(Context) || _ <- lists:seq(1, 100)],
    settle(),
    Before = bench_proc:resident(),
    Envs = [used_env(Context) || _ <- lists:seq(1, ?ENVS)],
    settle(),
    Each = (bench_proc:resident() - Before) / length(Envs),
    {ok, Dict} = py_context:eval(Context, <<"__import__('sys').getsizeof(globals())">>, #{}, infinity, hd(Envs)),
    Each - Dict.

used_env(Context) ->
    {ok, Env} = py_context:create_local_env(Context),
    ok = py_context:exec(Context, <<"x = 1">>, Env),
    Env.

settle() ->
    [garbage_collect(Pid) || Pid <- processes()],
    timer:sleep(200).
