%%% @doc Several backends, and several Pythons, for one VM: it has one Python, and of that Python a second backend when
%%% somebody wants it. What is wrong with the second is no harm to the first.
-module(several_backends_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0]).
-export([
    a_second_python_is_refused_with_both_named/1, a_second_python_of_the_same_version_is_refused/1,
    a_flavour_is_another_python/1, owngil_is_loaded_beside_worker/1, owngil_of_another_python_is_not_taken/1,
    owngil_alone_is_not_found_for_an_old_python/1, a_pool_of_owngil_contexts_prefers_a_python_that_has_them/1
]).
-export([
    a_manifest_of_owngil_for_an_old_python/1, a_manifest_of_owngil_for_a_free_threaded_python/1,
    a_manifest_of_worker_for_a_free_threaded_python/1, a_manifest_of_freethreaded_for_a_python_with_a_gil/1
]).
-export([
    a_second_manifest_of_a_newer_abi/1, a_second_backend_of_a_newer_abi/1, a_second_backend_without_its_file/1,
    a_second_backend_whose_file_disappears/1, a_second_backend_that_cannot_be_opened/1,
    a_second_backend_that_does_not_start/1, a_second_backend_that_fails_leaves_real_contexts_alone/1
]).
%% On the VM of a forged application.
-export([start/1, again/1, load/1, open/1, real/0]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        a_second_python_is_refused_with_both_named, a_second_python_of_the_same_version_is_refused,
        a_flavour_is_another_python, owngil_is_loaded_beside_worker, owngil_of_another_python_is_not_taken,
        owngil_alone_is_not_found_for_an_old_python, a_pool_of_owngil_contexts_prefers_a_python_that_has_them,
        a_manifest_of_owngil_for_an_old_python, a_manifest_of_owngil_for_a_free_threaded_python,
        a_manifest_of_worker_for_a_free_threaded_python, a_manifest_of_freethreaded_for_a_python_with_a_gil,
        a_second_manifest_of_a_newer_abi, a_second_backend_of_a_newer_abi, a_second_backend_without_its_file,
        a_second_backend_whose_file_disappears, a_second_backend_that_cannot_be_opened,
        a_second_backend_that_does_not_start, a_second_backend_that_fails_leaves_real_contexts_alone
    ].

%% ---------------------------------------------------------------------------------------------------------------------
%% Pythons

a_second_python_is_refused_with_both_named(Config) ->
    Application = refusal:application(Config),
    forged_application:manifest(Application, "running", #{}),
    Other = forged_application:manifest(Application, "wanted", python_3_14("worker")),
    in_vm(Application, fun(Call) ->
        Running = Call(start, #{python => <<"3.11">>}),
        [begin
             {error, {Code, Text}} = Call(again, Wish),
             ?assertEqual(python_already_started, Code),
             refusal:assert_says(["3.11.2", refusal:libpython(), Name, "another VM"], Text),
             ?assertEqual({error, {Code, Text}}, Call(again, Wish))
         end || {Wish, Name} <- [{#{python => <<"3.14">>}, "3.14"},
                                 {#{python => list_to_binary(lib("python_3_14"))}, lib("python_3_14")}]],
        %% The one that runs goes on.
        ?assertEqual(ok, Call(again, #{python => <<"3.11">>})),
        ?assertEqual(ok, Call(again, #{})),
        ?assertMatch(#{name := <<"running">>}, Running),
        refused(Call, Other, [refusal:libpython(), lib("python_3_14")])
    end).

a_second_python_of_the_same_version_is_refused(Config) ->
    Application = refusal:application(Config),
    forged_application:manifest(Application, "a", python_3_14("worker")),
    Other = forged_application:manifest(Application, "b", another_python_3_14("worker")),
    in_vm(Application, fun(Call) ->
        ?assertMatch(#{name := <<"a">>}, Call(start, #{python => list_to_binary(lib("python_3_14"))})),
        {error, {python_already_started, Text}} =
            Call(again, #{python => list_to_binary(lib("another_python_3_14"))}),
        refusal:assert_says([lib("python_3_14"), lib("another_python_3_14")], Text),
        refused(Call, Other, [lib("python_3_14"), lib("another_python_3_14")])
    end).

a_flavour_is_another_python(Config) ->
    Application = refusal:application(Config),
    forged_application:manifest(Application, "gil", python_3_14("worker")),
    NoGil = forged_application:manifest(Application, "no_gil", free_threaded()),
    in_vm(Application, fun(Call) ->
        ?assertMatch(#{name := <<"gil">>}, Call(start, #{python => <<"3.14">>})),
        [begin
             {error, {python_already_started, Text}} = Call(again, Wish),
             refusal:assert_says([lib("python_3_14")], Text)
         end || Wish <- [#{python => <<"3.14t">>}, #{backend => freethreaded}]],
        refused(Call, NoGil, [lib("python_3_14"), lib("python_3_14_free_threading")])
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Backends of one Python

%% What the refusals are compared with.
owngil_is_loaded_beside_worker(Config) ->
    Application = refusal:application(Config),
    Worker = forged_application:manifest(Application, "forged", python_3_14("worker")),
    Owngil = forged_application:manifest(Application, "forged_owngil", python_3_14("owngil")),
    in_vm(Application, fun(Call) ->
        ?assertMatch(#{name := <<"forged">>, mode := worker}, Call(start, #{python => wanted()})),
        ?assertEqual([chosen, available], [status(Call, Manifest) || Manifest <- [Worker, Owngil]]),
        ?assertEqual({true, ok, ok}, Call(load, owngil)),
        ?assertEqual([chosen, loaded], [status(Call, Manifest) || Manifest <- [Worker, Owngil]]),
        [refusal:assert_says(["this backend is forged"], Call(open, Mode)) || Mode <- [worker, owngil, worker]]
    end).

owngil_of_another_python_is_not_taken(Config) ->
    Application = refusal:application(Config),
    forged_application:manifest(Application, "forged", python_3_14("worker")),
    Other = forged_application:manifest(Application, "other", another_python_3_14("owngil")),
    in_vm(Application, fun(Call) ->
        #{name := <<"forged">>} = Call(start, #{python => wanted()}),
        not_found(Call),
        refused(Call, Other, [lib("python_3_14"), lib("another_python_3_14")])
    end).

owngil_alone_is_not_found_for_an_old_python(Config) ->
    Application = refusal:application(Config),
    forged_application:manifest(Application, "forged", #{}),
    refusal:refused(Application, [{backend, owngil}, {python, refusal:libpython()}], no_backend,
                    ["forged: ", "worker", "wants owngil"]),
    in_vm(Application, fun(Call) ->
        #{name := <<"forged">>} = Call(start, #{python => list_to_binary(refusal:libpython())}),
        ?assertEqual({false, {error, owngil_requires_python314}, {error, owngil_requires_python314}},
                     Call(load, owngil))
    end).

a_pool_of_owngil_contexts_prefers_a_python_that_has_them(Config) ->
    Application = refusal:application(Config),
    forged_application:manifest(Application, "a_worker", #{}),
    forged_application:manifest(Application, "b_worker", python_3_14("worker")),
    forged_application:manifest(Application, "owngil", python_3_14("owngil")),
    in_vm(Application, fun(Call) ->
        ?assertMatch(#{name := <<"owngil">>}, Call(start, #{prefers_owngil => true})),
        ?assertEqual({true, ok, ok}, Call(load, worker))
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Manifests that contradict themselves

a_manifest_of_owngil_for_an_old_python(Config) ->
    [refusal:by_manifest(Config, #{mode => "owngil", python => Python}, ["owngil", Python, "3.14"])
     || Python <- ["3.11.2", "3.13.5"]].

a_manifest_of_owngil_for_a_free_threaded_python(Config) ->
    refusal:by_manifest(Config, #{mode => "owngil", python => "3.14.1", free_threading => true},
                        ["owngil", "free-threaded"]).

a_manifest_of_worker_for_a_free_threaded_python(Config) ->
    refusal:by_manifest(Config, #{mode => "worker", free_threading => true}, ["worker", "free-threaded"]).

a_manifest_of_freethreaded_for_a_python_with_a_gil(Config) ->
    refusal:by_manifest(Config, #{mode => "freethreaded", free_threading => false}, ["freethreaded", "GIL"]).

%% ---------------------------------------------------------------------------------------------------------------------
%% A second backend that is no good

a_second_manifest_of_a_newer_abi(Config) ->
    {Major, Minor} = refusal:abi(),
    Newer = refusal:version(Major, Minor + 1),
    second(Config, #{abi => Newer}, fun(Call, Second) ->
        not_found(Call),
        refused(Call, Second, ["ABI " ++ Newer, "ABI " ++ refusal:version(Major, Minor)])
    end).

a_second_backend_of_a_newer_abi(Config) ->
    {Major, Minor} = refusal:abi(),
    fails(Config, "newer_minor", abi_mismatch,
          ["ABI " ++ refusal:version(Major, Minor + 1), "ABI " ++ refusal:version(Major, Minor)]).

a_second_backend_without_its_file(Config) ->
    second(Config, #{file => "nowhere.so"}, fun(Call, Second) ->
        not_found(Call),
        refused(Call, Second, ["nowhere.so", "does not exist"])
    end).

a_second_backend_whose_file_disappears(Config) ->
    second(Config, #{file => "forged_owngil.so"}, fun(Call, Second) ->
        ?assertEqual(available, status(Call, Second)),
        ok = file:delete(filename:rootname(Second) ++ ".so"),
        not_found(Call),
        refused(Call, Second, ["forged_owngil.so", "does not exist"])
    end).

a_second_backend_that_cannot_be_opened(Config) ->
    fails(Config, "unresolved", backend_failed, ["cannot be opened", "function_of_another_python"]).

a_second_backend_that_does_not_start(Config) ->
    fails(Config, "failing_start", python_failed, ["forged_owngil", "this Python will not start"]).

%% The first one answers as before, and the answer about the second stays.
fails(Config, File, Code, Parts) ->
    second(Config, #{file => lib(File)}, fun(Call, Second) ->
        {true, ok, {error, {Code, Text}} = Failure} = Call(load, owngil),
        refusal:assert_says(Parts, Text),
        ?assertMatch({_, _, Failure}, Call(load, owngil)),
        refused(Call, Second, Parts)
    end).

second(Config, Changes, Case) ->
    #{found := Found} = Application = refusal:application(Config),
    First = forged_application:manifest(Application, "forged", python_3_14("worker")),
    {ok, _} = file:copy(lib("whole"), filename:join(Found, "forged_owngil.so")),
    Second = forged_application:manifest(Application, "forged_owngil", maps:merge(python_3_14("owngil"), Changes)),
    in_vm(Application, fun(Call) ->
        Runtime = Call(start, #{python => wanted()}),
        ?assertMatch(#{name := <<"forged">>}, Runtime),
        Case(Call, Second),
        ?assertEqual(chosen, status(Call, First)),
        ?assertEqual(ok, Call(again, #{python => wanted()})),
        ?assertMatch({_, _, ok}, Call(load, worker)),
        refusal:assert_says(["this backend is forged"], Call(open, worker))
    end).

%% With a Python that this build has a real backend for.
a_second_backend_that_fails_leaves_real_contexts_alone(Config) ->
    case real_worker() of
        none ->
            {skip, "this build has no backend worker of Python 3.14 or newer"};
        {Json, Libpython, Python} ->
            Application = refusal:application(Config),
            {ok, Manifest} = file:read_file(Json),
            %% By its absolute path, since the manifest is elsewhere now.
            File = re:replace(Manifest, "\"file\": \"([^\"]*)\"",
                              ["\"file\": \"", filename:dirname(Json), "/\\1\""], [{return, binary}]),
            forged_application:file(Application, "real.json", File),
            forged_application:manifest(Application, "forged",
                                        #{mode => "owngil", file => lib("newer_minor"), python => Python,
                                          libpython => Libpython}),
            {Major, Minor} = refusal:abi(),
            {error, {abi_mismatch, Text}} = forged_application:with_vm(Application, [], fun(Call) ->
                Call(application, load, [erlang_python]),
                ok = Call(application, set_env, [erlang_python, python, Libpython]),
                {ok, _} = Call(application, ensure_all_started, [erlang_python]),
                Call(?MODULE, real, [])
            end),
            refusal:assert_says(["ABI " ++ refusal:version(Major, Minor + 1),
                                 "ABI " ++ refusal:version(Major, Minor)], Text)
    end.

real_worker() ->
    Manifests = filelib:wildcard(filename:join([code:priv_dir(erlang_python), "backends", "worker-*.json"])),
    Fields = [begin
                  {ok, Text} = file:read_file(Json),
                  [Libpython, Python] = [begin
                      {match, [Value]} = re:run(Text, "\"" ++ Key ++ "\": \"([^\"]*)\"",
                                                [{capture, all_but_first, list}]),
                      Value
                  end || Key <- ["libpython", "python"]],
                  {Json, Libpython, Python}
              end || Json <- Manifests],
    case [Field || {_, _, "3." ++ Minor} = Field <- Fields, element(1, string:to_integer(Minor)) >= 14] of
        [] -> none;
        [Field | _] -> Field
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% On the other VM

%% @doc Starts Python and tells what runs.
-spec start(map()) -> map().
start(Options) ->
    ok = py_nif:configure(Options),
    ok = py_nif:start_runtime(),
    py_nif:runtime().

%% @doc Configures and starts once more; what runs is what ran.
-spec again(map()) -> ok | {error, term()}.
again(Options) ->
    Runtime = py_nif:runtime(),
    ok = py_nif:configure(Options),
    Result = py_nif:start_runtime(),
    Runtime = py_nif:runtime(),
    Result.

%% @doc What is said about owngil, and what comes of an attempt to load a mode.
-spec load(py_nif:mode()) -> {boolean(), ok | {error, atom()}, ok | {error, term()}}.
load(Mode) ->
    {py_nif:owngil_supported(), py_nif:owngil_problem(), py_nif:load_backend(#{mode => Mode})}.

%% @doc Why a context of that mode does not come up; forged ones never do.
-spec open(py_nif:mode()) -> binary().
open(Mode) ->
    Ref = make_ref(),
    {ok, _} = py_nif:context_new(Ref, #{mode => Mode}),
    receive {Ref, {error, Reason}} -> Reason end.

%% @doc The error of a context of mode owngil, while others work.
-spec real() -> {error, term()}.
real() ->
    {ok, Before} = py_context:new(#{mode => worker}),
    {error, _} = Error = py_context:new(#{mode => owngil}),
    Error = py_context:new(#{mode => owngil}),
    Error = py_context_router:start_pool(isolated, 2, owngil),
    {ok, After} = py_context:new(#{mode => worker}),
    [{ok, 3} = py:eval(Context, <<"1 + 2">>) || Context <- [Before, After | py_context_router:contexts()]],
    Error.

%% ---------------------------------------------------------------------------------------------------------------------

in_vm(Application, Case) ->
    forged_application:with_vm(Application, [], fun(Call) ->
        Case(fun(backends, []) -> Call(py_nif, backends, []);
                (Function, Argument) -> Call(?MODULE, Function, [Argument])
             end)
    end).

not_found(Call) ->
    ?assertEqual({false, {error, owngil_backend_missing}, {error, owngil_backend_missing}}, Call(load, owngil)).

refused(Call, Manifest, Parts) ->
    #{status := Status, reason := Reason} = backend(Call, Manifest),
    ?assertEqual(refused, Status),
    refusal:assert_says(Parts, Reason).

status(Call, Manifest) -> maps:get(status, backend(Call, Manifest)).

backend(Call, Manifest) ->
    Path = unicode:characters_to_binary(Manifest),
    [Backend] = [Found || #{manifest := At} = Found <- Call(backends, []), At =:= Path],
    Backend.

python_3_14(Mode) ->
    #{mode => Mode, python => "3.14.1", abi_tag => "cp314", libpython => lib("python_3_14"),
      executable => "/forged/bin/python3.14"}.

another_python_3_14(Mode) -> (python_3_14(Mode))#{libpython => lib("another_python_3_14")}.

free_threaded() ->
    (python_3_14("freethreaded"))#{free_threading => true, abi_tag => "cp314t",
                                   libpython => lib("python_3_14_free_threading")}.

wanted() -> list_to_binary(lib("python_3_14")).

lib(Name) -> forged_application:forged(Name).
