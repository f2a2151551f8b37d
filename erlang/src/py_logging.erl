%%% @doc What of Python's `logging' goes to Erlang's logger, in every context there is and will be.
%%%
%%% Like that of {@link py_venv_active}, every change has a number: an interpreter remembers the last one, so it does
%%% not matter how many contexts that share it hear of a change, or how late. {@link py_logger} reads the records.
-module(py_logging).

-behaviour(py_setup).

-export([configure/1, forget/0]).
%% For py_setup.
-export([setup/1]).

-export_type([options/0, level/0]).

-type level() :: debug | info | warning | error | critical.
-type options() :: #{level => level(), format => unicode:chardata()}.

%% Absent as long as nothing was ever configured. It outlives the application, as the main interpreter does, whose next
%% contexts have to take back what was set up in it.
-define(CHANGE, ?MODULE).
-define(PYTHON, 'erlang._logging').
%% What Python's logging itself asks of a format.
-define(FORMAT, "%\\(\\w+\\)[#0+ -]*(\\*|\\d+)?(\\.(\\*|\\d+))?[diouxefgcrsa%]").

%% @doc See `py:configure_logging/1'.
-spec configure(options()) -> ok | {error, {bad_option, term()} | {not_running, erlang_python}}.
configure(Options) when is_map(Options) ->
    try maps:fold(fun option/3, #{level => 10, format => none}, Options) of
        Settings -> apply_to_all(Settings)
    catch
        throw:{bad_option, _} = Reason -> {error, Reason}
    end;
configure(Options) ->
    {error, {bad_option, Options}}.

option(level, Level, Settings) -> Settings#{level => number(Level)};
option(format, Format, Settings) -> Settings#{format => format(Format)};
option(Key, Value, _) -> throw({bad_option, {Key, Value}}).

number(debug) -> 10;
number(info) -> 20;
number(warning) -> 30;
number(error) -> 40;
number(critical) -> 50;
number(Other) -> throw({bad_option, {level, Other}}).

format(Format) ->
    try
        Text = unicode:characters_to_binary(Format),
        match = re:run(Text, ?FORMAT, [unicode, {capture, none}]),
        Text
    catch
        error:_ -> throw({bad_option, {format, Format}})
    end.

%% A context that is not among the running ones yet reads the term when it starts.
apply_to_all(Settings) ->
    case py_logger:show() of
        ok -> py_everywhere:cast(?PYTHON, switch, arguments(note(Settings)));
        {error, _} = Error -> Error
    end.

%% @doc The application stops, or starts: nothing is configured.
-spec forget() -> ok.
forget() ->
    _ = case persistent_term:get(?CHANGE, none) of
        {_, #{}} -> note(none);
        _ -> none
    end,
    py_logger_handler:hide().

%% @private
-spec setup(py_nif:context()) -> ok | {error, term()}.
setup(Context) ->
    case persistent_term:get(?CHANGE, none) of
        none ->
            ok;
        Change ->
            case py_request:setup_call(Context, ?PYTHON, switch, arguments(Change), py_config:setup_timeout()) of
                {ok, _} -> ok;
                {error, _} = Error -> Error
            end
    end.

note(Settings) ->
    Change = {erlang:unique_integer([monotonic, positive]), Settings},
    ok = persistent_term:put(?CHANGE, Change),
    Change.

arguments({Number, none}) -> [Number, none, none];
arguments({Number, #{level := Level, format := Format}}) -> [Number, Level, Format].
