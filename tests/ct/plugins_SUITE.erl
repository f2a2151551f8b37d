%%% @doc Which plugins there are is said by the configuration, anew at every start; what is left out is missed by nobody
%%% but those who ask for it, and they are told.
-module(plugins_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    all_that_are_found_are_loaded/1, names_can_be_of_any_kind/1, without_plugins_the_rest_works/1,
    without_a_plugin_its_functions_say_so_in_erlang/1, without_a_plugin_its_module_says_so_in_python/1,
    what_is_left_out_shows_in_the_report/1, a_plugin_comes_and_goes_with_restarts/1,
    what_python_has_imported_is_gone_with_the_plugin/1, a_resource_outlives_a_start_without_its_plugin/1,
    an_unknown_name_is_an_error_of_the_start/1, values_that_cannot_be_are_refused/1,
    a_core_and_one_backend_are_a_system/1, functions_before_the_first_start_say_so/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        all_that_are_found_are_loaded, names_can_be_of_any_kind, without_plugins_the_rest_works,
        without_a_plugin_its_functions_say_so_in_erlang, without_a_plugin_its_module_says_so_in_python,
        what_is_left_out_shows_in_the_report, a_plugin_comes_and_goes_with_restarts,
        what_python_has_imported_is_gone_with_the_plugin, a_resource_outlives_a_start_without_its_plugin,
        an_unknown_name_is_an_error_of_the_start, values_that_cannot_be_are_refused,
        a_core_and_one_backend_are_a_system, functions_before_the_first_start_say_so, nothing_is_left_behind
    ].

init_per_suite(Config) ->
    case channel_status() of
        undefined -> {skip, "this build has no plugin channel"};
        _ -> ep_ct:init_suite(Config)
    end.

end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% What is loaded

all_that_are_found_are_loaded(_Config) ->
    [loaded = Status || #{kind := plugin, status := Status} <- py_nif:backends()],
    {ok, Channel} = py_channel:new(),
    ok = py_channel:close(Channel).

names_can_be_of_any_kind(_Config) ->
    [ep_ct:with_environment([{plugins, Names}], fun() ->
        loaded = channel_status(),
        {ok, _} = py_channel:new()
    end) || Names <- [[channel], ["channel"], [<<"channel">>], [channel, channel], all]],
    ok.

without_plugins_the_rest_works(_Config) ->
    without_plugins(fun() ->
        [] = [Name || #{kind := plugin, status := loaded, name := Name} <- py_nif:backends()],
        {ok, 4.0} = py:call(math, sqrt, [16]),
        ok = py:exec(<<"import asyncio, erlang, erlang.plugins\nasync def f(): return 5">>),
        {ok, 5} = py:eval(<<"erlang.run(f())">>),
        ep_ct:with_function(ep_plus, fun([A, B]) -> A + B end, fun() ->
            {ok, 3} = py:eval(<<"erlang.call('ep_plus', 1, 2)">>)
        end),
        {ok, [0, 1, 2]} = py:stream_eval(<<"(i for i in range(3))">>)
    end).

without_a_plugin_its_functions_say_so_in_erlang(_Config) ->
    Missing = {error, {plugin_not_loaded, channel}},
    without_plugins(fun() ->
        Channel = make_ref(),
        [?assertEqual({Function, Missing}, {Function, apply(py_channel, Function, Args)})
         || {Function, Args} <- [{new, []}, {new, [#{max_size => 10}]}, {send, [Channel, x]},
                                 {send, [Channel, x, #{wait => 1000}]}, {recv, [Channel]}, {recv, [Channel, 1000]},
                                 {try_receive, [Channel]}, {close, [Channel]}, {info, [Channel]},
                                 {subscribe, [Channel, 1]}, {credit, [Channel, 1]}, {unsubscribe, [Channel]}]],
        [?assertEqual({Function, Missing}, {Function, apply(py_byte_channel, Function, Args)})
         || {Function, Args} <- [{new, []}, {send, [Channel, <<"x">>]}, {recv, [Channel, 1000]}, {close, [Channel]}]],
        Missing = py_nif:plugin_call(channel, no_such_function),
        Missing = py_plugin:wait(channel, 'receive', [Channel], infinity)
    end).

without_a_plugin_its_module_says_so_in_python(_Config) ->
    without_plugins(fun() ->
        {error, {'ImportError', Text, _}} = import_error(py:call('erlang.plugins', function, [channel_, new, 2])),
        says(Text, "the plugin channel_ is not loaded"),
        {error, {'ImportError', Again, _}} =
            import_error(py:call('erlang.plugins', function, [<<"channel">>, <<"new">>, 2])),
        says(Again, "the plugin channel is not loaded"),
        says(Again, "plugins")
    end),
    %% A new VM, where nothing can have been imported before.
    ep_ct:with_peer([{plugins, []}], fun(Call) ->
        {error, {'ImportError', Text, _}} = import_error(Call(py, exec, [<<"import erlang.channel">>])),
        says(Text, "the plugin channel is not loaded")
    end).

import_error({error, {Class, Text}}) -> {error, {Class, Text, none}};
import_error(Error) -> Error.

what_is_left_out_shows_in_the_report(_Config) ->
    without_plugins(fun() ->
        #{status := refused, reason := <<"the configuration leaves it out">>} = channel(),
        Report = report(),
        says(Report, "refused channel plugin"),
        says(Report, "the configuration leaves it out"),
        says(Report, "add channel to {plugins, Names}")
    end),
    says(report(), "loaded channel plugin").

%% ---------------------------------------------------------------------------------------------------------------------
%% Restarts

a_plugin_comes_and_goes_with_restarts(_Config) ->
    [begin
        without_plugins(fun() -> {error, {plugin_not_loaded, channel}} = py_channel:new() end),
        {ok, Channel} = py_channel:new(),
        ok = py_channel:send(Channel, N),
        {ok, N} = py_channel:recv(Channel),
        {ok, [N]} = receive_in_python(Channel, [N])
    end || N <- lists:seq(1, 3)],
    ok.

receive_in_python(Channel, Message) ->
    ok = py_channel:send(Channel, Message),
    ok = py:exec(<<"import erlang.channel\ndef ep_take(c): return erlang.channel.Channel(c).receive()">>),
    py:call('__main__', ep_take, [Channel]).

what_python_has_imported_is_gone_with_the_plugin(_Config) ->
    case ep_cell:isolates() of
        true -> {skip, "no interpreter outlives its context, and so what it has imported"};
        false -> imported_is_gone()
    end.

imported_is_gone() ->
    {ok, Channel} = py_channel:new(),
    Check = <<"__import__('sys').modules['erlang.channel']._check(c, False)">>,
    ok = py:exec(<<"import erlang.channel">>),
    {ok, none} = py:eval(Check, #{c => Channel}),
    without_plugins(fun() ->
        {error, {'ImportError', Text, _}} = import_error(py:eval(Check, #{c => Channel})),
        says(Text, "channel.check() is gone: the configuration leaves its plugin out")
    end),
    {ok, none} = py:eval(Check, #{c => Channel}),
    ok.

a_resource_outlives_a_start_without_its_plugin(_Config) ->
    {ok, Channel} = py_channel:new(),
    ok = py_channel:send(Channel, kept),
    without_plugins(fun() -> {error, {plugin_not_loaded, channel}} = py_channel:recv(Channel) end),
    {ok, kept} = py_channel:recv(Channel).

%% ---------------------------------------------------------------------------------------------------------------------
%% What cannot be

an_unknown_name_is_an_error_of_the_start(_Config) ->
    {error, {{plugin_not_found, Text}, {erlang_python_app, start, _}}} = start_with([channel, no_such_plugin]),
    says(Text, "there is no plugin no_such_plugin"),
    says(Text, "ERLANG_PYTHON_PATH"),
    ok = application:start(erlang_python),
    {ok, _} = py_channel:new(),
    ok.

values_that_cannot_be_are_refused(_Config) ->
    [?assertMatch({Value, {error, {{bad_config, plugins, Value}, {erlang_python_app, start, _}}}},
                  {Value, start_with(Value)})
     || Value <- [none, channel, "channel", <<"channel">>, [1], [channel | more], #{}, [{channel, true}], [[0]],
                  [<<255>>], [<<>>], ['']]],
    ok = application:start(erlang_python).

%% Leaves it stopped, with what was configured before.
start_with(Plugins) ->
    _ = application:stop(erlang_python),
    ok = application:set_env(erlang_python, plugins, Plugins),
    try
        application:start(erlang_python)
    after
        application:unset_env(erlang_python, plugins)
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% What was not installed

a_core_and_one_backend_are_a_system(Config) ->
    #{file := File, manifest := Manifest} = py_nif:runtime(),
    Priv = code:priv_dir(erlang_python),
    Lib = filename:join([proplists:get_value(priv_dir, Config), "trimmed", "erlang_python"]),
    ok = filelib:ensure_path(filename:join([Lib, "priv", "backends"])),
    ok = file:make_symlink(code:lib_dir(erlang_python, ebin), filename:join(Lib, "ebin")),
    {ok, Names} = file:list_dir(Priv),
    [ok = file:make_symlink(filename:join(Priv, Name), filename:join([Lib, "priv", Name]))
     || Name <- Names -- ["backends", "plugins"]],
    [ok = file:make_symlink(Path, filename:join([Lib, "priv", "backends", filename:basename(Path)]))
     || Path <- [File, Manifest]],
    {ok, Peer, _} = peer:start(#{connection => 0, wait_boot => 60000, env => [{"ERLANG_PYTHON_PATH", ""}],
                                 args => ["-pa", filename:join(Lib, "ebin")]}),
    Call = fun(Module, Function, Args) -> peer:call(Peer, Module, Function, Args, 60000) end,
    try
        ok = Call(application, load, [erlang_python]),
        [ok = Call(application, set_env, [erlang_python, Key, Value]) || {Key, Value} <- ep_ct:environment()],
        ok = Call(application, set_env, [erlang_python, plugins, [channel]]),
        {error, {erlang_python, {{plugin_not_found, _}, _}}} = Call(application, ensure_all_started, [erlang_python]),
        ok = Call(application, set_env, [erlang_python, plugins, all]),
        {ok, _} = Call(application, ensure_all_started, [erlang_python]),
        {ok, 4.0} = Call(py, call, [math, sqrt, [16]]),
        [#{status := chosen}] = Call(py_nif, backends, []),
        {error, {plugin_not_loaded, channel}} = Call(py_channel, new, []),
        {error, {'ImportError', Text, _}} = import_error(Call(py, exec, [<<"from erlang.channel import Channel">>])),
        says(Text, "the plugin channel is not loaded"),
        says(Text, "build it")
    after
        peer:stop(Peer)
    end.

functions_before_the_first_start_say_so(_Config) ->
    ep_ct:with_peer(not_started, fun(Call) ->
        {error, {plugin_not_loaded, channel}} = Call(py_channel, new, [])
    end).

%% ---------------------------------------------------------------------------------------------------------------------

without_plugins(Fun) ->
    ep_ct:with_environment([{plugins, []}], Fun).

channel_status() ->
    case [Status || #{kind := plugin, name := <<"channel">>, status := Status} <- py_nif:backends()] of
        [Status | _] -> Status;
        [] -> undefined
    end.

channel() ->
    [Channel] = [Plugin || #{kind := plugin, name := <<"channel">>} = Plugin <- py_nif:backends()],
    Channel.

report() ->
    unicode:characters_to_binary(py_doctor:report()).

%% Whatever the layout.
says(Text, Part) ->
    Plain = re:replace(unicode:characters_to_binary(Text), "\\s+", " ", [global, {return, binary}, unicode]),
    case binary:match(Plain, unicode:characters_to_binary(Part)) of
        nomatch -> ct:fail("~ts~nis not in~n~ts", [Part, Text]);
        _ -> ok
    end.
