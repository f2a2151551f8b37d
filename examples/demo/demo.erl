%%% @doc Ranks the words of text files, an actor for each file, and says how many calls of Python a second that took.
-module(demo).

-export([main/0, main/1]).

-include_lib("kernel/include/file.hrl").

%% @doc Reads what DEMO_FILES names, or the licences that come with Debian.
-spec main() -> ok.
main() ->
    main(string:lexemes(os:getenv("DEMO_FILES", "/usr/share/common-licenses"), " ")).

%% @doc Reads files, and all files of directories. When that fails the VM ends with status 1.
-spec main([file:filename()]) -> ok.
main(Paths) ->
    start_python(),
    {ok, Directory} = py:call(tempfile, mkdtemp, []),
    {_, Monitor} = spawn_monitor(fun() -> run(files(Paths), filename:join(Directory, <<"words.db">>)) end),
    receive {'DOWN', Monitor, process, _, Reason} -> ok end,
    ok = file:del_dir_r(Directory),
    case Reason of
        normal -> ok;
        _ -> give_up(Reason)
    end.

run([], _Database) ->
    exit(no_files);
run(Files, Database) ->
    Read = ets:new(read, [public]),
    ok = py:register_function(document_read, fun([Path, Words]) -> ets:insert(Read, {Path, Words}) end),
    Actors = [start_actor(File) || File <- Files],

    {ok, none} = py:call(words, create, [Database]),
    _ = in_parallel(fun(Actor) -> word_counter:store(Actor, Database) end, Actors),
    {ok, Ranking} = py:call(words, ranking, [Database, 5]),
    Total = lists:sum([Words || {_Path, Words} <- ets:tab2list(Read)]),

    io:format("~-24ts ~6ts  ~ts~n", ["document", "words", "most frequent"]),
    [print_row(filename:basename(File), words_of(File, Read), word_counter:top(Actor, 5))
     || {File, Actor} <- lists:zip(Files, Actors)],
    print_row("all together", Total, [{Word, Count} || {Word, Count, _Documents} <- Ranking]),

    {Time, Recounts} = timer:tc(fun() -> in_parallel(fun word_counter:recount/1, Actors) end),
    {Calls, Counts} = lists:unzip(Recounts),
    Total = lists:sum(Counts),
    io:format("~nEvery word counted again, each by a call of Python: ~b calls, ~b a second.~n",
              [lists:sum(Calls), lists:sum(Calls) * 1000000 div Time]).

%% In an application, sys.config says the same: {erlang_python, [{paths, ["..."]}]}.
start_python() ->
    Here = filename:dirname(proplists:get_value(source, module_info(compile))),
    ok = application:load(erlang_python),
    ok = application:set_env(erlang_python, paths, [Here]),
    {ok, _} = application:ensure_all_started(erlang_python).

start_actor(File) ->
    case word_counter:start_link(File) of
        {ok, Actor} -> Actor;
        {error, Reason} -> exit(Reason)
    end.

%% What Python has told: paths are text, and so binaries.
words_of(File, Read) ->
    ets:lookup_element(Read, unicode:characters_to_binary(File), 2).

in_parallel(Fun, Actors) ->
    Demo = self(),
    Workers = [spawn_link(fun() -> Demo ! {self(), Fun(Actor)} end) || Actor <- Actors],
    [receive {Worker, Result} -> Result end || Worker <- Workers].

print_row(Name, Words, Top) ->
    Ranked = lists:join(", ", [io_lib:format("~ts ~b", [Word, Count]) || {Word, Count} <- Top]),
    io:format("~-24ts ~6b  ~ts~n", [Name, Words, Ranked]).

files(Paths) ->
    lists:usort(lists:append([case filelib:is_dir(Path) of
        true -> [File || File <- filelib:wildcard(filename:join(Path, "*")), is_file(File)];
        false -> [Path]
    end || Path <- Paths])).

%% A link would be a second name of a file that is read anyway.
is_file(Path) ->
    {ok, Info} = file:read_link_info(Path),
    Info#file_info.type =:= regular.

give_up(Reason) ->
    io:format(standard_error, "The demo failed: ~tp~nName text files as arguments of tools/demo or in DEMO_FILES.~n",
              [Reason]),
    halt(1).
