%%% @doc Serves an ASGI application on two contexts, each with an interpreter of its own where Python can do that:
%%%
%%%   tools/run_with build/dev examples/asgi web 8080
%%%   curl http://localhost:8080/
-module(web).

-export([main/1, start/1]).

%% @doc Serves until the VM ends.
-spec main([string()]) -> no_return().
main([Port]) ->
    Here = filename:dirname(proplists:get_value(source, module_info(compile))),
    ok = application:load(erlang_python),
    ok = application:set_env(erlang_python, paths, [Here]),
    {ok, _} = application:ensure_all_started(erlang_python),
    {ok, Actual} = start(list_to_integer(Port)),
    io:format("http://localhost:~b/~n", [Actual]),
    receive stop -> halt(0) end.

%% @doc Serves until the calling process ends, whose the loops are. The application has been started, with the modules
%% beside this one on its path.
-spec start(inet:port_number()) -> {ok, inet:port_number()}.
start(Port) ->
    {ok, Listening} = gen_tcp:listen(Port, [{active, false}, {reuseaddr, true}, {backlog, 1024}]),
    {ok, Fd} = inet:getfd(Listening),
    Mode = case py_nif:owngil_supported() of true -> owngil; false -> worker end,
    _ = [begin
        {ok, Context} = py_context:new(#{mode => Mode}),
        ok = py_context:start_loop(Context),
        {ok, _Server} = py_context:submit_await(Context, hello, serve, [Fd])
    end || _ <- [1, 2]],
    inet:port(Listening).
