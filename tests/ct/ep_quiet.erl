%%% @doc That nothing is logged meanwhile: the VM's complaints about files, crash reports, warnings.
-module(ep_quiet).

-export([while/1]).
-export([log/2]).

%% @doc The result of a function; an error when a warning, or worse, was logged before it returned. What was on its way
%% to the logger when it returned is waited for.
-spec while(fun(() -> Result)) -> Result.
while(Fun) ->
    _ = logger:remove_handler(?MODULE), % of a case that was killed
    ok = logger:add_handler(?MODULE, ?MODULE, #{level => notice, config => #{pid => self()}}),
    try
        Result = Fun(),
        ok = settle(),
        case logged() of
            [] -> Result;
            Events -> error({logged, Events})
        end
    after
        _ = logger:remove_handler(?MODULE),
        logged()
    end.

%% The VM's own messages take a way by the process logger.
settle() ->
    Mark = erlang:unique_integer([positive]),
    logger ! {log, notice, "~w", [{?MODULE, Mark}], #{pid => self(), gl => group_leader(), time => logger:timestamp()}},
    receive {?MODULE, Mark} -> ok after 5000 -> error(no_logger) end.

logged() ->
    receive {?MODULE, logged, Event} -> [Event | logged()] after 0 -> [] end.

-spec log(logger:log_event(), logger:handler_config()) -> ok.
log(#{msg := {"~w", [{?MODULE, Mark}]}}, #{config := #{pid := Pid}}) ->
    Pid ! {?MODULE, Mark},
    ok;
log(#{level := notice}, _Config) ->
    ok;
log(Event, #{config := #{pid := Pid}}) ->
    Pid ! {?MODULE, logged, maps:with([level, msg], Event)},
    ok.
