%%% @doc What Python's logging gets, in Erlang's logger: py:configure_logging/0,1, erlang.ErlangHandler,
%%% erlang.setup_logging.
-module(logging_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    records_reach_the_logger/1, levels_are_mapped/1, levels_filter_in_python/1, a_format_is_used/1,
    records_say_where_they_come_from/1, exceptions_are_in_the_text/1, a_handler_of_ones_own/1,
    python_sets_it_up_itself/1, contexts_started_later_log_too/1, contexts_started_before_log_too/1,
    wrong_options_are_refused/1
]).
-export([
    broken_records_break_nothing/1, text_of_all_kinds/1, a_long_text_is_cut/1, a_flood_is_bounded/1,
    a_killed_logger_comes_back/1, a_context_ends_while_it_logs/1, threads_log/1, interrupts_leave_no_lock/1,
    all_is_taken_back_at_the_end/1, the_default_handler_shows_it/1, a_level_of_the_user_stays/1,
    no_default_handler_is_no_error/1, a_start_waits_for_no_slot/1, not_running/1, nothing_is_left_behind/1
]).
%% The handler.
-export([log/2]).

-define(FLOOD, 100000).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        records_reach_the_logger, levels_are_mapped, levels_filter_in_python, a_format_is_used,
        records_say_where_they_come_from, exceptions_are_in_the_text, a_handler_of_ones_own,
        python_sets_it_up_itself, contexts_started_later_log_too, contexts_started_before_log_too,
        wrong_options_are_refused, broken_records_break_nothing, text_of_all_kinds, a_long_text_is_cut,
        a_flood_is_bounded, a_killed_logger_comes_back, a_context_ends_while_it_logs, threads_log,
        interrupts_leave_no_lock, all_is_taken_back_at_the_end, the_default_handler_shows_it,
        a_level_of_the_user_stays, no_default_handler_is_no_error, a_start_waits_for_no_slot, not_running,
        nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).

end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(nothing_is_left_behind, Config) ->
    Config;
init_per_testcase(_Case, Config) ->
    ok = logger:add_handler(?MODULE, ?MODULE, #{config => #{pid => self()}}),
    ep_fresh_context:init(case_with_context, Config).

end_per_testcase(nothing_is_left_behind, _Config) ->
    ok;
end_per_testcase(_Case, Config) ->
    ok = logger:remove_handler(?MODULE),
    _ = flush(),
    ep_fresh_context:finish(case_with_context, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% Only what is of Python or of this library.
log(#{level := Level, meta := #{domain := [python]} = Meta, msg := {Format, Args}}, #{config := #{pid := Pid}}) ->
    Pid ! {record, Level, unicode:characters_to_binary(io_lib:format(Format, Args)), Meta},
    ok;
log(#{msg := {"erlang_python: ~b log records" ++ _, [Count, _]}}, #{config := #{pid := Pid}}) ->
    Pid ! {dropped, Count},
    ok;
log(_, _) ->
    ok.

%% ---------------------------------------------------------------------------------------------------------------------

records_reach_the_logger(Config) ->
    ok = py:configure_logging(),
    {ok, _} = py:eval(ctx(Config), <<"
import logging
logging.info('Hello from Python!')
logging.warning('Something happened')
">>),
    {info, <<"Hello from Python!">>, #{domain := [python], py_logger := <<"root">>}} = record(),
    {warning, <<"Something happened">>, _} = record().

levels_are_mapped(Config) ->
    ok = py:configure_logging(#{level => debug}),
    [begin
         ok = python(ctx(Config), <<"import logging; logging.log(", (integer_to_binary(Number))/binary, ", 'n')">>),
         {Level, <<"n">>, _} = record()
     end || {Number, Level} <- [{10, debug}, {15, debug}, {20, info}, {25, info}, {30, warning}, {40, error},
                                {50, critical}, {99, critical}]].

levels_filter_in_python(Config) ->
    [begin
         ok = py:configure_logging(#{level => Level}),
         ok = python(ctx(Config), <<"
import logging
for level in (10, 20, 30, 40, 50):
    logging.log(level, str(level))
made = [level for level in (10, 20, 30, 40, 50) if logging.getLogger('any').isEnabledFor(level)]
">>),
         Wanted = [L || L <- [10, 20, 30, 40, 50], L >= Number],
         {ok, Wanted} = py:eval(ctx(Config), <<"made">>),
         Wanted = [binary_to_integer(element(2, record())) || _ <- Wanted]
     end || {Level, Number} <- [{debug, 10}, {info, 20}, {warning, 30}, {error, 40}, {critical, 50}]],
    none = no_record().

a_format_is_used(Config) ->
    [begin
         ok = py:configure_logging(#{level => info, format => Format}),
         ok = python(ctx(Config), <<"import logging; logging.getLogger('shop').info('sold %d', 3)">>),
         {info, Text, #{py_logger := <<"shop">>}} = record()
     end || {Format, Text} <- [{<<"%(name)s - %(message)s">>, <<"shop - sold 3">>},
                               {"%(levelname)s %(message)s", <<"INFO sold 3">>}]],
    ok = py:configure_logging(#{level => info}),
    ok = python(ctx(Config), <<"import logging; logging.info('plain')">>),
    {info, <<"plain">>, _} = record().

records_say_where_they_come_from(Config) ->
    ok = py:configure_logging(),
    Before = erlang:system_time(microsecond),
    ok = python(ctx(Config), <<"
import logging
source = '''
import logging

def my_function():
    logging.getLogger('a.b').error('here')
'''
names = {}
exec(compile(source, '/some/where/mymodule.py', 'exec'), names)
names['my_function']()
">>),
    {error, <<"here">>, Meta} = record(),
    #{domain := [python], py_logger := <<"a.b">>, line := 5, file := "/some/where/mymodule.py", time := Time,
      py_meta := #{<<"module">> := <<"mymodule">>, <<"lineno">> := 5, <<"funcName">> := <<"my_function">>}} = Meta,
    true = Time >= Before - 1000 andalso Time =< erlang:system_time(microsecond).

exceptions_are_in_the_text(Config) ->
    ok = py:configure_logging(),
    ok = python(ctx(Config), <<"
import logging
try:
    1 / 0
except ZeroDivisionError:
    logging.exception('it failed')
">>),
    {error, Text, _} = record(),
    [<<"it failed">>, <<"Traceback (most recent call last):">> | _] = Lines = binary:split(Text, <<"\n">>, [global]),
    <<"ZeroDivisionError: ", _/binary>> = lists:last(Lines).

a_handler_of_ones_own(Config) ->
    ok = python(ctx(Config), <<"
import erlang, logging
handler = erlang.ErlangHandler()
handler.setFormatter(logging.Formatter('mine: %(message)s'))
own = logging.getLogger('own')
own.propagate = False
own.addHandler(handler)
own.warning('text')
own.addFilter(lambda record: 'secret' not in record.msg)
own.warning('secret')
own.removeHandler(handler)
">>),
    {warning, <<"mine: text">>, #{py_logger := <<"own">>}} = record(),
    none = no_record().

python_sets_it_up_itself(Config) ->
    ok = python(ctx(Config), <<"
import erlang, logging
erlang.setup_logging(level=20)
logging.debug('no')
logging.info('yes')
erlang.setup_logging(level=10, format='%(name)s: %(message)s')
logging.getLogger('n').debug('yes')
erlang.setup_logging('warning')
logging.info('no')
">>),
    {info, <<"yes">>, _} = record(),
    {debug, <<"n: yes">>, _} = record(),
    none = no_record(),
    {error, {'ValueError', _}} = py:exec(ctx(Config), <<"erlang.setup_logging(format='%(')">>),
    {error, {'ValueError', _}} = py:exec(ctx(Config), <<"erlang.setup_logging('loud')">>).

contexts_started_later_log_too(_Config) ->
    ok = py:configure_logging(#{level => info}),
    ep_ct:with_contexts(2, fun(Contexts) ->
        [begin
             ok = python(Context, <<"import logging; logging.debug('no'); logging.info('later')">>),
             {info, <<"later">>, _} = record()
         end || Context <- Contexts]
    end),
    none = no_record().

contexts_started_before_log_too(_Config) ->
    ep_ct:with_contexts(2, fun(Contexts) ->
        ok = py:configure_logging(#{level => error}),
        [begin
             ok = python(Context, <<"import logging; logging.warning('no'); logging.error('yes')">>),
             {error, <<"yes">>, _} = record()
         end || Context <- Contexts]
    end),
    ok = py:exec(<<"import logging; logging.error('default pool')">>),
    {error, <<"default pool">>, _} = record(),
    none = no_record().

wrong_options_are_refused(_Config) ->
    {error, {bad_option, {level, loud}}} = py:configure_logging(#{level => loud}),
    [{error, {bad_option, {format, Format}}} = py:configure_logging(#{format => Format})
     || Format <- [<<"no field">>, <<"%(name)">>, 5, [a], <<255>>]],
    {error, {bad_option, {colour, red}}} = py:configure_logging(#{colour => red}),
    {error, {bad_option, [{level, info}]}} = py:configure_logging([{level, info}]).

%% ---------------------------------------------------------------------------------------------------------------------

broken_records_break_nothing(Config) ->
    ok = py:configure_logging(),
    ok = python(ctx(Config), <<"
import logging
class Broken:
    def __str__(self):
        raise ValueError('no text')
    __repr__ = __str__
class Logs:
    def __str__(self):
        logging.info(self)
        return 'logs'
class Deep:
    def __str__(self):
        return str(self)
logging.info('%s', Broken())
logging.info(Broken())
logging.info('%d things', 'many')
logging.info('%s')
logging.info('too %s', 1, 2)
logging.info(Logs())
logging.info('%s', Deep())
strange = logging.makeLogRecord({'msg': 'strange', 'levelno': 20, 'module': Broken(), 'lineno': None, 'name': None})
logging.getLogger().handle(strange)
logging.info('fine')
">>),
    [{info, <<"%s [this record has no text: ValueError while it was formatted]">>, _},
     {info, <<"<Broken> [this record has no text: ValueError while it was formatted]">>, _},
     {info, <<"%d things [this record has no text: TypeError while it was formatted]">>, _},
     {info, <<"%s">>, _},
     {info, <<"too %s [this record has no text: TypeError while it was formatted]">>, _},
     {info, <<"logs">>, _},
     {info, <<"%s [this record has no text: RecursionError while it was formatted]">>, _},
     {info, <<"strange">>, #{py_meta := #{<<"module">> := <<"<Broken object, whose __str__ raises>">>}}},
     {info, <<"fine">>, _}] = [record() || _ <- lists:seq(1, 9)],
    none = no_record().

text_of_all_kinds(Config) ->
    ok = py:configure_logging(),
    ok = python(ctx(Config), <<"
import logging
logging.info('\\u00e4\\u20ac\\U0001f600')
logging.info('\\udc80')
logging.info('')
logging.info('~p ~s %s')
logging.getLogger('\\u00e4.\\udc80').info('x')
">>),
    {info, <<"ä€😀"/utf8>>, _} = record(),
    {info, <<"\\udc80">>, _} = record(),
    {info, <<>>, _} = record(),
    {info, <<"~p ~s %s">>, _} = record(),
    {info, <<"x">>, #{py_logger := <<"ä.\\udc80"/utf8>>}} = record().

a_long_text_is_cut(Config) ->
    ok = py:configure_logging(),
    ok = python(ctx(Config), <<"import logging; logging.info('x' * 10_000_000)">>),
    {info, Text, _} = record(),
    Expected = <<(binary:copy(<<"x">>, 65536))/binary, "... [9934464 characters more]">>,
    true = Text =:= Expected.

%% The reader is held up, so that the bound is reached whatever the machine does.
a_flood_is_bounded(Config) ->
    ok = py:configure_logging(#{level => info}),
    Reader = whereis(py_logger),
    ok = sys:suspend(Reader),
    ok = python(ctx(Config), <<"
import logging, time
start = time.perf_counter()
for n in range(100_000):
    logging.info('%d', n)
took = time.perf_counter() - start
">>),
    {message_queue_len, Length} = process_info(Reader, message_queue_len),
    true = Length =< 1001,
    {ok, Took} = py:eval(ctx(Config), <<"took">>),
    ct:pal("a dropped record: ~.2f us", [Took / ?FLOOD * 1.0e6]),
    ok = sys:resume(Reader),
    Seen = [binary_to_integer(element(2, record())) || _ <- lists:seq(1, 1000)],
    Seen = lists:seq(0, 999),
    {dropped, 99000} = ep_ct:message(),
    %% And without holding up: what arrives and what is dropped is everything, in order.
    ok = python(ctx(Config), <<"
for n in range(100_000):
    logging.info('%d', n)
logging.info('1000000')
">>),
    {Received, Dropped} = flood(0, -1, 0),
    ct:pal("received ~b, dropped ~b", [Received, Dropped]),
    true = Received + Dropped =:= ?FLOOD + 1,
    ok = python(ctx(Config), <<"logging.info('after')">>),
    {info, <<"after">>, _} = record().

flood(Received, _Last, Dropped) when Received + Dropped =:= ?FLOOD + 1 ->
    {Received, Dropped};
flood(Received, Last, Dropped) ->
    case ep_ct:message() of
        {record, info, Text, _} ->
            N = binary_to_integer(Text),
            true = N > Last,
            flood(Received + 1, N, Dropped);
        {dropped, More} ->
            flood(Received, Last, Dropped + More)
    end.

a_killed_logger_comes_back(Config) ->
    ok = py:configure_logging(#{level => info}),
    [begin
         Pid = whereis(py_logger),
         Before(Pid),
         exit(Pid, kill),
         ep_ct:wait_until(fun() -> not lists:member(whereis(py_logger), [Pid, undefined]) end),
         %% Once it answers it has opened the feed.
         {error, unknown_request} = gen_server:call(py_logger, ready),
         ok = python(ctx(Config), <<"import logging; logging.info('again')">>),
         {info, <<"again">>, _} = record()
     end || Before <- [fun(_) -> ok end, fun(Pid) -> has_much_to_do(Pid, Config) end, fun(_) -> ok end]].

%% As much as it may have, so that more is being dropped.
has_much_to_do(Pid, Config) ->
    ok = sys:suspend(Pid),
    ok = python(ctx(Config), <<"
import logging
for n in range(5000):
    logging.info('never seen')
">>).

a_context_ends_while_it_logs(_Config) ->
    ok = py:configure_logging(#{level => info}),
    [begin
         ep_ct:with_context(fun(Context) ->
             Busy = spawn_monitor(fun() ->
                 exit(py:exec(Context, <<"
import logging
while True:
    logging.info('endless')
">>))
             end),
             {info, <<"endless">>, _} = record(),
             ok = py_context:stop(Context),
             {error, context_stopped} = ep_ct:result(Busy)
         end),
         settle()
     end || _ <- [1, 2, 3]].

threads_log(Config) ->
    ok = py:configure_logging(#{level => info}),
    ok = python(ctx(Config), <<"
import logging, threading
def work(thread):
    for n in range(50):
        logging.info('%d %d', thread, n)
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
">>),
    Seen = [begin
                [Thread, N] = binary:split(element(2, record()), <<" ">>),
                {binary_to_integer(Thread), binary_to_integer(N)}
            end || _ <- lists:seq(1, 400)],
    [true = lists:seq(0, 49) =:= [N || {T, N} <- Seen, T =:= Thread] || Thread <- lists:seq(0, 7)].

interrupts_leave_no_lock(Config) ->
    ok = py:configure_logging(#{level => info}),
    [begin
         {error, timeout} = py_context:eval(ctx(Config), <<"
import logging
while True:
    logging.info('x')
0
">>, #{}, 5)
     end || _ <- lists:seq(1, 20)],
    ok = python(ctx(Config), <<"pass">>), % what was interrupted is over
    settle(),
    ok = python(ctx(Config), <<"import logging; logging.info('still')">>),
    {info, <<"still">>, _} = record().

all_is_taken_back_at_the_end(_Config) ->
    {ok, Before} = py:eval(<<"__import__('logging').getLogger().level">>),
    ok = py:configure_logging(#{level => info}),
    true = is_shown(),
    {ok, 20} = py:eval(<<"__import__('logging').getLogger().level">>),
    ep_ct:restart(),
    false = is_shown(),
    {ok, Level} = py:eval(<<"__import__('logging').getLogger().level">>),
    true = Level =/= 20 orelse Before =:= 20,
    ok = py:exec(<<"__import__('logging').error('nobody wants it')">>),
    none = no_record(),
    ok = py:configure_logging(),
    ok = py:exec(<<"__import__('logging').error('wanted')">>),
    {error, <<"wanted">>, _} = record().

%% A plain erl, as somebody would type it.
the_default_handler_shows_it(_Config) ->
    Shown = shell("ok = py:configure_logging(#{level => info}),"
                  "ok = py:exec(<<\"import logging; logging.debug('hid'); logging.info('shown'); "
                  "logging.getLogger('n').error('error')\">>)"),
    {match, _} = re:run(Shown, "shown"),
    {match, _} = re:run(Shown, "error"),
    nomatch = re:run(Shown, "hid"),
    %% Not configured from Erlang.
    {match, _} = re:run(shell("ok = py:exec(<<\"import erlang, logging; erlang.setup_logging(); "
                              "logging.info('shown')\">>)"), "shown").

shell(Code) ->
    Set = lists:flatten([io_lib:format("application:set_env(erlang_python, ~w, ~w),", [Key, Value])
                         || {Key, Value} <- ep_ct:environment()]),
    Args = lists:append([["-pa", Path] || Path <- ep_ct:code_paths()]) ++
           ["-noshell", "-eval", "application:load(erlang_python)," ++ Set ++
                "{ok, _} = application:ensure_all_started(erlang_python)," ++ Code ++
                ", ok = application:stop(erlang_python), init:stop()."],
    Port = open_port({spawn_executable, os:find_executable("erl")},
                     [{args, Args}, exit_status, stderr_to_stdout, binary]),
    output(Port, []).

output(Port, Seen) ->
    receive
        {Port, {data, Data}} -> output(Port, [Seen, Data]);
        {Port, {exit_status, 0}} -> iolist_to_binary(Seen);
        {Port, {exit_status, Status}} -> ct:fail({Status, iolist_to_binary(Seen)})
    end.

a_level_of_the_user_stays(Config) ->
    ep_ct:restart(),
    ok = logger:set_module_level(py_logger, error),
    ok = py:configure_logging(),
    {ok, Context} = py_context:new(#{mode => ep_ct:context_mode()}),
    ok = python(Context, <<"import logging; logging.warning('no'); logging.error('yes')">>),
    {error, <<"yes">>, _} = record(),
    none = no_record(),
    ok = py_context:stop(Context),
    ep_ct:restart(),
    [{py_logger, error}] = logger:get_module_level(py_logger),
    ok = logger:unset_module_level(py_logger),
    _ = Config.

no_default_handler_is_no_error(_Config) ->
    Default = logger:get_handler_config(default),
    _ = logger:remove_handler(default),
    ok = py:configure_logging(),
    ok = py:exec(<<"__import__('logging').error('seen')">>),
    {error, <<"seen">>, _} = record(),
    case Default of
        {ok, #{module := Module} = Handler} ->
            ok = logger:add_handler(default, Module, Handler),
            %% A new one is seen to when it is configured again.
            _ = logger:remove_handler_filter(default, erlang_python),
            ok = py:configure_logging(),
            true = is_shown();
        _ ->
            ok
    end,
    ep_ct:restart(),
    false = is_shown().

%% Whoever has the slots may wait for the context that starts.
a_start_waits_for_no_slot(_Config) ->
    ok = py:configure_logging(#{level => error}),
    Max = py_semaphore:max_concurrent(),
    [ok = py_semaphore:acquire(1000) || _ <- lists:seq(1, Max)],
    ok = application:set_env(erlang_python, setup_timeout, 5000),
    Started = py_context:new(#{mode => ep_ct:context_mode()}),
    application:unset_env(erlang_python, setup_timeout),
    [ok = py_semaphore:release() || _ <- lists:seq(1, Max)],
    {ok, Context} = Started,
    ok = python(Context, <<"import logging; logging.warning('no'); logging.error('yes')">>),
    {error, <<"yes">>, _} = record(),
    none = no_record(),
    ok = py_context:stop(Context).

not_running(_Config) ->
    ok = application:stop(erlang_python),
    {error, {not_running, erlang_python}} = py:configure_logging(),
    ok = application:start(erlang_python).

%% ---------------------------------------------------------------------------------------------------------------------

ctx(Config) -> proplists:get_value(ctx, Config).

python(Context, Code) -> py:exec(Context, Code).

record() ->
    case ep_ct:message() of
        {record, Level, Text, Meta} -> {Level, Text, Meta};
        {dropped, _} -> record()
    end.

%% What was sent before has arrived when py_logger answers.
no_record() ->
    {error, unknown_request} = gen_server:call(py_logger, ready, infinity),
    receive {record, _, _, _} = Record -> Record after 0 -> none end.

settle() ->
    {error, unknown_request} = gen_server:call(py_logger, ready, infinity),
    flush().

flush() ->
    receive
        {record, _, _, _} -> flush();
        {dropped, _} -> flush()
    after 0 -> ok
    end.

is_shown() ->
    case logger:get_handler_config(default) of
        {ok, #{filters := Filters}} -> lists:keymember(erlang_python, 1, Filters);
        _ -> logger:get_module_level(py_logger) =/= []
    end.
