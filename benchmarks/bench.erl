%%% @doc Runs the benchmarks and prints one table; with `modes', another one that has all backends side by side.
%%%
%%% The environment says what to run: BENCH_ROWS (a regular expression; all rows without), BENCH_ROUNDS (how often each
%%% is measured; 9), BENCH_MODE (of the contexts; worker), BENCH_PYTHON (as `python' in sys.config; auto), BENCH_SOAK
%%% (how many requests a soak makes; 1,000,000).
-module(bench).

-export([main/0, main/1, soak/0]).

-define(ROUNDS, "9").
-define(SOAK, "1000000").

%% @doc All rows that are wanted.
-spec main() -> ok.
main() -> main([]).

%% @doc With `save', File the results go to a file, too; with `compare', File they are shown beside those in a file;
%% with `soak' and `modes' something else is run.
-spec main([string()]) -> ok.
main(["soak"]) -> soak();
main(["modes"]) -> bench_modes:run(fun is_wanted/1, rounds());
main(Args) ->
    Options = options(Args, #{}),
    Before = case Options of
        #{compare := File} -> bench_file:read(File);
        _ -> #{}
    end,
    start(),
    bench_table:head(maps:is_key(compare, Options)),
    Results = lists:append([run(Row, Before) || Row <- rows()]),
    [ok = bench_file:write(File, Results) || #{save := File} <- [Options]],
    ok.

%% @doc A million calls and what else comes and goes; prints resident memory. BENCH_ROWS chooses kinds of requests.
-spec soak() -> ok.
soak() ->
    start(),
    bench_soak:run(list_to_integer(os:getenv("BENCH_SOAK", ?SOAK)), fun is_wanted/1).

options([], Options) -> Options;
options(["save", File | Rest], Options) -> options(Rest, Options#{save => File});
options(["compare", File | Rest], Options) -> options(Rest, Options#{compare => File});
options(Args, _Options) ->
    io:format(standard_error, "~ts: there are only save FILE, compare FILE, modes and soak~n", [lists:join(" ", Args)]),
    halt(2).

start() ->
    ok = bench_vm:start_application(),
    {ok, Python} = py:version(),
    io:format("~b cores, Erlang/OTP ~ts, Python ~ts, contexts: 2 of mode ~p~n"
              "A plain Python takes ~b ms for sum(i * i for i in range(3_000_000)) at the moment.~n~n",
              [erlang:system_info(logical_processors), erlang:system_info(otp_release), Python, py:execution_mode(),
               round(bench_contexts:reference())]).

rows() ->
    Groups = [bench_calls, bench_conversion, bench_copies, bench_callbacks, bench_state, bench_streams, bench_channels,
              bench_buffers, bench_reactor, bench_loop, bench_tasks, bench_logging, bench_start,
              bench_idle, bench_size],
    [Row || Group <- Groups, #{name := Name} = Row <- Group:rows(), is_wanted(Name)].

is_wanted(Name) ->
    re:run(Name, os:getenv("BENCH_ROWS", ""), [unicode, {capture, none}]) =:= match.

rounds() ->
    list_to_integer(os:getenv("BENCH_ROUNDS", ?ROUNDS)).

run(#{name := Name} = Row, Before) ->
    case bench_row:run(Row, rounds()) of
        {ok, Result} ->
            bench_table:line(Result, maps:get(Name, Before, none)),
            [Result];
        {error, Reason} ->
            bench_table:failed(Name, Reason),
            []
    end.
