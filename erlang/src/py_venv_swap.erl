%%% @doc A new directory in the place of an old one, as a whole or not at all, also when the VM is killed midway.
%%%
%%% A virtual environment has its own path written all over it, so it cannot be made elsewhere and renamed. Instead the
%%% old one steps aside, and comes back when the new one fails. A journal beside them says that the directory is not to
%%% be used; deleting it is what makes the new one valid. Whatever a killed VM left, the journal and the names tell what
%%% it is:
%%%
%%%   journal | old one aside | the directory is
%%%   yes     | yes           | half made: delete it, put the old one back
%%%   yes     | no            | half made if the journal says that there was nothing before: delete it; else the old one
%%%   no      | yes           | whole: delete the old one
-module(py_venv_swap).

-export([replace/2, recover/1, is_unfinished/1]).

-type failure() :: {error, {file_error, file:posix() | badarg, binary()} | {not_a_venv, binary()}}.

%% @doc Makes a directory by a function, in the place of what is there: nothing, an empty directory, or a venv. Anything
%% else is somebody's data: `{error, {not_a_venv, Path}}'. To be called after {@link recover/1}.
-spec replace(binary(), fun(() -> ok | {error, term()})) -> ok | {error, term()}.
replace(Path, Make) ->
    case begin_journal(Path, occupied(Path)) of
        ok ->
            try Make() of
                ok -> commit(Path);
                {error, _} = Error -> give_up(Path), Error
            catch
                Class:Reason:Stack -> give_up(Path), erlang:raise(Class, Reason, Stack)
            end;
        {error, _} = Error ->
            Error
    end.

%% @doc Cleans up behind a VM that was killed. Writes nothing when there is nothing to clean up.
-spec recover(binary()) -> ok | failure().
recover(Path) ->
    case {file:read_file(journal(Path)), exists(aside(Path))} of
        {{ok, _}, true} -> all([fun() -> delete(Path) end, fun() -> step_back(Path) end, fun() -> forget(Path) end]);
        {{ok, <<"nothing">>}, false} -> all([fun() -> delete(Path) end, fun() -> forget(Path) end]);
        {{ok, _}, false} -> forget(Path); % also when the journal could not be written: nothing was begun then
        {{error, enoent}, true} -> delete(aside(Path));
        {{error, enoent}, false} -> ok;
        {{error, enotdir}, _} -> ok; % what is in the way is not ours to mend
        {{error, Reason}, _} -> failed(Reason, journal(Path))
    end.

%% @doc Whether a directory is being made, or was left half made.
-spec is_unfinished(binary()) -> boolean().
is_unfinished(Path) ->
    exists(journal(Path)).

%% ---------------------------------------------------------------------------------------------------------------------

occupied(Path) ->
    case {exists(Path), file:list_dir_all(Path)} of
        {true, {ok, [_ | _]}} ->
            case py_venv_dir:is_venv(Path) of
                true -> old;
                false -> {error, {not_a_venv, Path}}
            end;
        {true, {ok, []}} -> old;
        {true, {error, enotdir}} -> {error, {not_a_venv, Path}};
        {true, {error, enoent}} -> old; % a link to nowhere
        {false, {error, enoent}} -> nothing;
        {_, {error, Reason}} -> failed(Reason, Path)
    end.

begin_journal(_Path, {error, _} = Error) ->
    Error;
begin_journal(Path, There) ->
    Begun = all([fun() -> make_parents(Path) end,
                 fun() -> write(journal(Path), atom_to_binary(There)) end,
                 fun() -> step_aside(Path, There) end]),
    %% A journal that could not be written may be there all the same.
    Begun =:= ok orelse recover(Path),
    Begun.

commit(Path) ->
    case forget(Path) of
        ok ->
            reported(delete(aside(Path))),
            ok;
        {error, _} = Error ->
            give_up(Path),
            Error
    end.

give_up(Path) ->
    reported(recover(Path)).

%% What could not be cleaned up is tried again by the next call for this path.
reported(ok) ->
    ok;
reported({error, {file_error, Reason, File}}) ->
    logger:warning("could not clean up ~ts: ~ts", [File, file:format_error(Reason)]).

make_parents(Path) ->
    case filelib:ensure_dir(Path) of
        ok -> ok;
        {error, Reason} -> failed(Reason, filename:dirname(Path))
    end.

step_aside(_Path, nothing) -> ok;
step_aside(Path, old) -> rename(Path, aside(Path)).

step_back(Path) -> rename(aside(Path), Path).

forget(Path) ->
    case file:delete(journal(Path)) of
        ok -> ok;
        {error, enoent} -> ok;
        {error, Reason} -> failed(Reason, journal(Path))
    end.

journal(Path) -> beside(Path, <<"unfinished">>).
aside(Path) -> beside(Path, <<"previous">>).

%% Names that nobody else has, since what has them is deleted.
beside(Path, What) ->
    Name = <<".", (filename:basename(Path))/binary, ".erlang_python_", What/binary>>,
    filename:join(filename:dirname(Path), Name).

%% ---------------------------------------------------------------------------------------------------------------------
%% Files, with errors that name them

exists(File) ->
    element(1, file:read_link_info(File)) =:= ok.

write(File, Content) ->
    result(file:write_file(File, Content), File).

rename(From, To) ->
    result(file:rename(From, To), From).

delete(Path) ->
    case exists(Path) of
        true -> result(file:del_dir_r(Path), Path);
        false -> ok
    end.

result(ok, _File) -> ok;
result({error, Reason}, File) -> failed(Reason, File).

failed(Reason, File) -> {error, {file_error, Reason, File}}.

all([]) ->
    ok;
all([Step | Steps]) ->
    case Step() of
        ok -> all(Steps);
        {error, _} = Error -> Error
    end.
