%%% @doc What every refusal has in common: the error names both sides and the way out, the application does not start
%%% for the same reason, py_nif:backends/0 and py:doctor/0 show what was refused and why, and the VM is as it was.
-module(refusal).

-include_lib("stdlib/include/assert.hrl").

-export([by_manifest/3, by_file/3, opened/4, backend/4, refused/4, refused/5]).
-export([attempt/2, attempt/3, application/1, libpython/0, abi/0, version/2]).
-export([assert_says/2, assert_mends/1, assert_listed/2]).

-type parts() :: [string() | binary()].
%% What a text has to have in it.

%% @doc A backend whose manifest has these changes is refused for it; nothing is opened. The configuration wants the
%% Python that only this backend is for, so that one the system may have is not taken instead.
-spec by_manifest([tuple()], map(), parts()) -> ok.
by_manifest(Config, Changes, Parts) ->
    Application = application(Config),
    forged_application:manifest(Application, "forged", Changes),
    refused(Application, [{python, libpython()}], no_backend, ["forged: " | Parts]).

%% @doc The same for a manifest with this content.
-spec by_file([tuple()], iodata(), parts()) -> ok.
by_file(Config, Content, Parts) ->
    Application = application(Config),
    forged_application:file(Application, "forged.json", Content),
    refused(Application, [{python, libpython()}], no_backend, ["forged: " | Parts]).

%% @doc A backend whose manifest has these changes is chosen, and then refused with this error.
-spec opened([tuple()], map(), atom(), parts()) -> ok.
opened(Config, Changes, Code, Parts) ->
    Application = application(Config),
    forged_application:manifest(Application, "forged", Changes),
    refused(Application, [], Code, Parts).

%% @doc The same for one of the forged backends of the build.
-spec backend([tuple()], string(), atom(), parts()) -> ok.
backend(Config, File, Code, Parts) ->
    Path = forged_application:forged(File),
    opened(Config, #{file => Path}, Code, [Path | Parts]).

-spec refused(forged_application:application(), [{atom(), term()}], atom(), parts()) -> ok.
refused(Application, Environment, Code, Parts) ->
    refused(Application, Environment, [], Code, Parts).

%% @doc The same in a VM with these environment variables.
-spec refused(forged_application:application(), [{atom(), term()}], [{string(), string()}], atom(), parts()) -> ok.
refused(Application, Environment, Variables, Code, Parts) ->
    #{starts := Starts, runtime := Runtime} = Observed = attempt(Application, Environment, Variables),
    ?assertMatch([{error, {Code, _}}, _], Starts),
    [{error, {Code, Text}} = First, Second] = Starts,
    ?assertEqual(First, Second),
    ?assertEqual(#{}, Runtime),
    assert_says(Parts, Text),
    assert_mends(Text),
    assert_application_says(Code, Text, Observed),
    assert_listed(Parts, Observed).

%% The application does not start, for the same reason, as text.
assert_application_says(Code, Text, #{application := Result}) ->
    ?assertMatch({error, {erlang_python, {{Code, _}, {erlang_python_app, start, _}}}}, Result),
    {error, {erlang_python, {{Code, Characters}, _}}} = Result,
    ?assertEqual(Text, unicode:characters_to_binary(Characters)).

%% @doc The manifest called forged is listed as refused, for a reason with these parts.
-spec assert_listed(parts(), forged_application:observed()) -> ok.
assert_listed(Parts, #{backends := Backends, doctor := Doctor}) ->
    ?assertMatch([#{status := refused, reason := _}], [B || B = #{name := <<"forged">>} <- Backends]),
    [#{reason := Reason, kind := Kind}] = [B || B = #{name := <<"forged">>} <- Backends],
    %% The name and the path of its files are beside the reason.
    assert_says([Part || Part <- Parts, string:find(Part, "forged") =:= nomatch], Reason),
    assert_doctor_says(Kind, Reason, Doctor).

%% The report has a table, and below it the reason and the fix, each a paragraph of its own.
assert_doctor_says(Kind, Reason, Doctor) ->
    Modes = case Kind of
        backend -> "(worker|owngil|freethreaded|-)";
        plugin -> "plugin"
    end,
    ?assertMatch({match, _}, re:run(Doctor, ["refused +forged +", Modes, " "])),
    assert_says([re:replace(Part, "[ \n]+", " ", [global, {return, binary}])
                 || Part <- string:split(Reason, "; ", trailing)],
                re:replace(Doctor, "[ \n]+", " ", [global, {return, binary}])).

-spec assert_says(parts(), binary()) -> ok.
assert_says(Parts, Text) ->
    [?assertNotEqual({nomatch, Part, Text}, {found(Part, Text), Part, Text}) || Part <- Parts],
    ok.

found(Part, Text) ->
    case string:find(Text, Part) of
        nomatch -> nomatch;
        _ -> found
    end.

%% @doc It does not only say what is wrong. (Paths may have such words in them.)
-spec assert_mends(binary()) -> ok.
assert_mends(Text) ->
    Words = re:replace(Text, "/[^ ]*", "", [global]),
    ?assertNotEqual({nomatch, Text},
                    {re:run(Words, "install|build|correct|name its directory|must be|oldest|remove"), Text}),
    ok.

%% @doc What a VM with this application environment makes of it.
-spec attempt(forged_application:application(), [{atom(), term()}]) -> forged_application:observed().
attempt(Application, Environment) ->
    attempt(Application, Environment, []).

-spec attempt(forged_application:application(), [{atom(), term()}], [{string(), string()}]) ->
    forged_application:observed().
attempt(Application, Environment, Variables) ->
    forged_application:with_vm(Application, Variables,
                               fun(Call) -> Call(forged_application, attempt, [Environment]) end).

%% @doc A new one in the directory of the test case.
-spec application([tuple()]) -> forged_application:application().
application(Config) ->
    forged_application:new(filename:join(proplists:get_value(priv_dir, Config),
                                         integer_to_list(erlang:unique_integer([positive])))).

%% @doc The Python that forged backends are for.
-spec libpython() -> file:filename().
libpython() ->
    forged_application:forged("python_3_11").

%% @doc The core's ABI.
-spec abi() -> {non_neg_integer(), non_neg_integer()}.
abi() ->
    [Major, Minor] = string:split(forged_application:abi(), "."),
    {list_to_integer(Major), list_to_integer(Minor)}.

-spec version(non_neg_integer(), non_neg_integer()) -> string().
version(Major, Minor) ->
    integer_to_list(Major) ++ "." ++ integer_to_list(Minor).
