%%% @doc Collects the spans of Python code, and writes them to files that viewers read.
%%%
%%% They come by the feed `spans', of which at most ?MOST messages are unread; Python drops what would be more. They are
%%% kept in a table, at most `max_spans' of the application environment (100,000), the latest ones. The table, and
%%% whether tracing is on, belong to the top supervisor.
-module(py_tracer).

-behaviour(gen_server).

-export([enable/0, disable/0, traces/0, clear/0, stats/0, export/2]).
%% For erlang_python_sup.
-export([start_link/0, new_table/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([span/0, format/0]).

-type span() :: #{name := binary(),
                  span_id := pos_integer(),
                  parent_id := pos_integer() | undefined,
                  start_time := integer(), % microseconds of the operating system's monotonic clock
                  end_time := integer(),
                  duration_us := non_neg_integer(),
                  status := ok | error,
                  attributes := #{binary() => term()},
                  end_attrs := #{binary() => term()},
                  events := [#{name := binary(), attrs := #{binary() => term()}, time := integer()}]}.
-type format() :: chrome | otlp_json.

%% Rows are {Number, Span} in the order they ended, {enabled, boolean()}, {dropped, N}, {forgotten, N}. Numbers come
%% before atoms.
-define(TABLE, ?MODULE).
-define(MOST, 20000).
-define(BATCH, 500).

-record(state, {feed = py_feed:reader(spans, ?BATCH) :: py_feed:reader()}).

%% ---------------------------------------------------------------------------------------------------------------------
%% For py

%% @doc See `py:enable_tracing/0', also for the ones that follow.
-spec enable() -> ok.
enable() -> ask(enable).

-spec disable() -> ok.
disable() -> ask(disable).

%% A message of a context's thread is in the mailbox before the answer of the call is sent, hence before whatever its
%% caller does then; so all spans it knows of come before this request. (That would not be so with a mailbox off the
%% heap, to which several may write at once.)
-spec traces() -> [span()].
traces() ->
    ok = ask(sync),
    [Span || [Span] <- ets:select(?TABLE, [{{'$1', '$2'}, [{is_integer, '$1'}], [['$2']]}])].

-spec clear() -> ok.
clear() -> ask(clear).

%% @doc How many spans are kept, how many Python had to drop since nobody read them fast enough, and how many were
%% forgotten since more than `max_spans' came; all since the last `py:clear_traces/0'.
-spec stats() -> #{kept := non_neg_integer(), dropped := non_neg_integer(), forgotten := non_neg_integer()}.
stats() -> ask(stats).

%% @doc Writes what is collected to a file: for Perfetto and `chrome://tracing', or as the JSON form of OTLP, which
%% collectors of OpenTelemetry take. `{error, Reason}' when the file cannot be written; for another format,
%% `{error, {bad_format, Format}}'.
-spec export(format(), file:name_all()) ->
    ok | {error, file:posix() | badarg | terminated | system_limit | {bad_format, term()}}.
export(chrome, File) -> write(File, py_trace_chrome:document(traces()));
export(otlp_json, File) -> write(File, py_trace_otlp:document(traces()));
export(Format, _File) -> {error, {bad_format, Format}}.

write(File, Document) -> file:write_file(File, py_json:encode(Document)).

ask(Request) ->
    try gen_server:call(?MODULE, Request, infinity)
    catch exit:{noproc, _} -> error({not_running, erlang_python})
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% The process

-spec new_table() -> ok.
new_table() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, ordered_set]),
    true = ets:insert(?TABLE, [{enabled, false} | none_lost()]),
    ok.

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% One that was killed goes on where it was, without what it had not read.
-spec init([]) -> {ok, #state{}}.
init([]) ->
    process_flag(trap_exit, true),
    is_enabled() andalso py_nif:feed_open(spans, ?MOST),
    {ok, #state{}}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}, timeout()}.
handle_call(enable, _From, State) ->
    is_enabled() orelse py_nif:feed_open(spans, ?MOST),
    true = ets:insert(?TABLE, {enabled, true}),
    {reply, ok, State, 0};
handle_call(disable, _From, State) ->
    ok = py_nif:feed_close(spans),
    true = ets:insert(?TABLE, {enabled, false}),
    {reply, ok, State, 0};
handle_call(sync, _From, State) ->
    {reply, ok, acknowledge(State), 0};
handle_call(clear, _From, State) ->
    Acknowledged = acknowledge(State),
    _ = ets:select_delete(?TABLE, [{{'$1', '_'}, [{is_integer, '$1'}], [true]}]),
    true = ets:insert(?TABLE, none_lost()),
    {reply, ok, Acknowledged, 0};
handle_call(stats, _From, State) ->
    Acknowledged = acknowledge(State),
    {reply, #{kept => kept(), dropped => counter(dropped), forgotten => counter(forgotten)}, Acknowledged, 0};
handle_call(_Request, _From, State) ->
    {reply, {error, unknown_request}, State, 0}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}, timeout()}.
handle_cast(_Request, State) ->
    {noreply, State, 0}.

%% The timeout of 0 comes when nothing waits to be read.
-spec handle_info(term(), #state{}) -> {noreply, #state{}, timeout()}.
handle_info(timeout, State) ->
    {noreply, acknowledge(State), infinity};
handle_info(Message, #state{feed = Feed} = State) when element(1, Message) =:= py_span ->
    keep(Message),
    {noreply, dropped(py_feed:read(Feed), State), 0};
handle_info(_Other, State) ->
    {noreply, State, 0}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, _State) ->
    py_nif:feed_close(spans).

keep({py_span, Id, Parent, Start, End, Status, Name, Attributes, EndAttributes, Events}) ->
    Span = #{name => Name, span_id => Id, parent_id => Parent, start_time => Start, end_time => End,
             duration_us => End - Start, status => Status, attributes => Attributes, end_attrs => EndAttributes,
             events => [#{name => Event, attrs => Attrs, time => Time} || {Event, Attrs, Time} <- Events]},
    true = ets:insert(?TABLE, {erlang:unique_integer([monotonic]), Span}),
    forget_oldest();
keep(_Other) -> % Python code that has found the feed by itself
    ok.

forget_oldest() ->
    case kept() > py_config:max_spans() of
        true ->
            true = ets:delete(?TABLE, ets:first(?TABLE)),
            _ = ets:update_counter(?TABLE, forgotten, 1),
            forget_oldest();
        false ->
            ok
    end.

acknowledge(#state{feed = Feed} = State) ->
    dropped(py_feed:acknowledge(Feed), State).

%% Once until somebody clears; stats/0 has the number.
dropped({0, Feed}, State) ->
    State#state{feed = Feed};
dropped({Dropped, Feed}, State) ->
    counter(dropped) =:= 0 andalso
        logger:warning("erlang_python: spans of Python were dropped: more than ~b were waiting; see py_tracer:stats/0",
                       [?MOST]),
    _ = ets:update_counter(?TABLE, dropped, Dropped),
    State#state{feed = Feed}.

none_lost() -> [{dropped, 0}, {forgotten, 0}].

kept() -> ets:info(?TABLE, size) - length([enabled | none_lost()]).

is_enabled() -> counter(enabled).

counter(Name) -> ets:lookup_element(?TABLE, Name, 2).
