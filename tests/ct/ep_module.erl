%%% @doc Python modules that exist for one test case, under names nobody else uses: the interpreter outlives the case.
-module(ep_module).

-export([write/2, write/3, directory/1, name/0]).

%% @doc A new module in a new directory.
-spec write([tuple()], iodata()) -> {Directory :: binary(), Module :: binary()}.
write(Config, Source) ->
    Directory = directory(Config),
    Name = name(),
    ok = write(Directory, Name, Source),
    {Directory, Name}.

%% @doc Writes a module, or another text of it. No compiled form of an earlier text is left that could be taken for it.
-spec write(binary(), binary(), iodata()) -> ok.
write(Directory, Name, Source) ->
    ok = filelib:ensure_dir(filename:join(Directory, Name)),
    _ = file:del_dir_r(filename:join(Directory, <<"__pycache__">>)),
    file:write_file(filename:join(Directory, <<Name/binary, ".py">>), Source).

%% @doc The path of a directory that does not exist yet.
-spec directory([tuple()]) -> binary().
directory(Config) ->
    filename:join(unicode:characters_to_binary(proplists:get_value(priv_dir, Config)), name()).

-spec name() -> binary().
name() ->
    <<"ep_module_", (integer_to_binary(erlang:unique_integer([positive])))/binary>>.
