%%% @doc Hands the records of Python's `logging' to Erlang's logger.
%%%
%%% They come by the feed `log', of which at most ?MOST messages are unread; Python drops what would be more, and how
%%% many it were is logged here, at most once a second. A handler that is slow makes this process slow and nothing else.
-module(py_logger).

-behaviour(gen_server).

-include_lib("kernel/include/logger.hrl").

-export([start_link/0, show/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-define(MOST, 1000).
-define(BATCH, 100).
-define(REPORT_EVERY, 1000).

-record(state, {feed = py_feed:reader(log, ?BATCH) :: py_feed:reader(),
                dropped = 0 :: non_neg_integer(), % and not reported yet
                reported :: integer(),            % when, in milliseconds
                shown = false :: boolean()}).

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Lets Erlang's default handler show what Python logs.
-spec show() -> ok | {error, {not_running, erlang_python}}.
show() ->
    case whereis(?MODULE) of
        undefined -> {error, {not_running, erlang_python}};
        _ -> py_logger_handler:show()
    end.

-spec init([]) -> {ok, #state{}}.
init([]) ->
    process_flag(trap_exit, true),
    ok = py_nif:feed_open(log, ?MOST),
    {ok, #state{reported = now_ms() - ?REPORT_EVERY}}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, {error, unknown_request}, #state{}, timeout()}.
handle_call(_Request, _From, State) ->
    {reply, {error, unknown_request}, State, 0}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}, timeout()}.
handle_cast(_Request, State) ->
    {noreply, State, 0}.

%% The timeout of 0 comes when nothing waits to be read.
-spec handle_info(term(), #state{}) -> {noreply, #state{}, timeout()}.
handle_info(timeout, State) ->
    report(acknowledge(State));
handle_info(Record, State) when element(1, Record) =:= py_log ->
    Shown = shown(State),
    write(Record),
    {noreply, dropped(py_feed:read(Shown#state.feed), Shown), 0};
handle_info(_Other, State) ->
    {noreply, State, 0}.

%% What was sent before the feed was closed is still written.
-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, State) ->
    ok = py_nif:feed_close(log),
    _ = drain(State),
    ok.

drain(State) ->
    receive
        Record when element(1, Record) =:= py_log -> write(Record), drain(State)
    after 0 ->
        report((acknowledge(State))#state{reported = now_ms() - ?REPORT_EVERY})
    end.

%% Python code may set up logging by itself.
shown(#state{shown = true} = State) ->
    State;
shown(State) ->
    ok = py_logger_handler:show(),
    State#state{shown = true}.

acknowledge(#state{feed = Feed} = State) ->
    dropped(py_feed:acknowledge(Feed), State).

dropped({More, Feed}, #state{dropped = Dropped} = State) ->
    State#state{feed = Feed, dropped = Dropped + More}.

report(#state{dropped = 0} = State) ->
    {noreply, State, infinity};
report(#state{dropped = Dropped, reported = Reported} = State) ->
    case Reported + ?REPORT_EVERY - now_ms() of
        Wait when Wait > 0 ->
            {noreply, State, Wait};
        _ ->
            ?LOG_WARNING("erlang_python: ~b log records of Python were dropped: more than ~b were waiting",
                         [Dropped, ?MOST]),
            {noreply, State#state{dropped = 0, reported = now_ms()}, infinity}
    end.

write({py_log, Level, Time, Text, Logger, {Module, Line, Function, File}}) ->
    ?LOG(Level, "~ts", [Text],
         #{domain => [python], time => Time, file => unicode:characters_to_list(File), line => Line,
           py_logger => Logger,
           py_meta => #{<<"module">> => Module, <<"lineno">> => Line, <<"funcName">> => Function}});
write(_Other) -> % Python code that has found the feed by itself
    ok.

now_ms() -> erlang:monotonic_time(millisecond).
