%%% @doc What Erlang has and Python has not: pids, references and atoms, in Python.
-module(pids_and_atoms_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    pids_are_opaque_and_return/1, pids_compare_and_hash/1, python_sends_to_a_pid/1, python_sends_to_a_name/1,
    sending_to_a_dead_process_raises/1, sending_refuses_what_is_no_destination/1, references_return/1,
    whereis_finds_registered_processes/1, atoms_are_made_by_name_only/1, the_atoms_python_makes_are_bounded/1,
    invented_exceptions_do_not_fill_the_atom_table/1, nothing_is_left_behind/1
]).
-export([raise_invented/1]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        pids_are_opaque_and_return, pids_compare_and_hash, python_sends_to_a_pid, python_sends_to_a_name,
        sending_to_a_dead_process_raises, sending_refuses_what_is_no_destination, references_return,
        whereis_finds_registered_processes, atoms_are_made_by_name_only, the_atoms_python_makes_are_bounded,
        invented_exceptions_do_not_fill_the_atom_table, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

pids_are_opaque_and_return(_Config) ->
    Self = self(),
    {ok, {true, Self}} = py:eval(<<"(isinstance(p, erlang.Pid), p)">>, #{p => Self}),
    {ok, [Self, Self]} = py:eval(<<"[p, p]">>, #{p => Self}).

pids_compare_and_hash(_Config) ->
    Locals = #{a => self(), b => self(), c => whereis(init)},
    [{Code, {ok, true}} = {Code, py:eval(Code, Locals)} || Code <- [
        <<"a == b">>, <<"a != c">>, <<"not (a == c)">>, <<"hash(a) == hash(b)">>, <<"{a: 'value'}[b] == 'value'">>,
        <<"b in {a}">>, <<"c not in {a, b}">>, <<"a != 1 and a != None">>, <<"isinstance(repr(a), str)">>
    ]].

python_sends_to_a_pid(_Config) ->
    ok = py:exec(<<"
def post(to, letter):
    erlang.send(to, ('letter', letter))
">>),
    {ok, none} = py:call('__main__', post, [self(), [1, #{a => 2.0}, self()]]),
    Self = self(),
    {<<"letter">>, [1, #{<<"a">> := 2.0}, Self]} = ep_ct:message(),
    ok = py:exec(<<"
def count(pid, n):
    for i in range(1, n + 1):
        erlang.send(pid, i)
">>),
    {ok, none} = py:call('__main__', count, [self(), 100]),
    true = [ep_ct:message() || _ <- lists:seq(1, 100)] =:= lists:seq(1, 100).

python_sends_to_a_name(_Config) ->
    true = register(ep_named, self()),
    {ok, _} = py:eval(<<"erlang.send(('ep_named', n), {'event': 'login'})">>, #{n => node()}),
    #{<<"event">> := <<"login">>} = ep_ct:message(),
    true = unregister(ep_named).

sending_to_a_dead_process_raises(_Config) ->
    Dead = spawn(fun() -> ok end),
    _ = ep_ct:down(Dead),
    {error, {'ProcessError', _}} = py:eval(<<"erlang.send(p, 1)">>, #{p => Dead}),
    ok = py:exec(<<"
def send_or_say(pid):
    try:
        erlang.send(pid, 1)
    except erlang.ProcessError as e:
        return 'gone'
">>),
    {ok, <<"gone">>} = py:call('__main__', send_or_say, [Dead]).

sending_refuses_what_is_no_destination(_Config) ->
    [{Code, {error, {_, _}}} = {Code, py:eval(Code)} || Code <- [
        <<"erlang.send(1, 'x')">>, <<"erlang.send(None, 'x')">>, <<"erlang.send([], 'x')">>, <<"erlang.send()">>
    ]].

references_return(_Config) ->
    Ref = make_ref(),
    {ok, {true, Ref}} = py:eval(<<"(isinstance(r, erlang.Ref), r)">>, #{r => Ref}),
    {ok, true} = py:eval(<<"a == b and a != c and hash(a) == hash(b)">>, #{a => Ref, b => Ref, c => make_ref()}).

whereis_finds_registered_processes(_Config) ->
    true = register(ep_found, self()),
    Self = self(),
    [{Code, {ok, Self}} = {Code, py:eval(Code)} || Code <- [
        <<"erlang.whereis('ep_found')">>, <<"erlang.whereis(b'ep_found')">>,
        <<"erlang.whereis(erlang.atom('ep_found'))">>
    ]],
    true = unregister(ep_found),
    {ok, none} = py:eval(<<"erlang.whereis('ep_found')">>),
    {ok, none} = py:eval(<<"erlang.whereis('ep_name_that_is_no_atom_yet')">>),
    [{Code, {error, {'TypeError', _}}} = {Code, py:eval(Code)} || Code <- [
        <<"erlang.whereis(1)">>, <<"erlang.whereis(None)">>, <<"erlang.whereis(['ep_found'])">>
    ]].

atoms_are_made_by_name_only(_Config) ->
    {ok, ep_made_atom} = py:eval(<<"erlang.atom('ep_made_atom')">>),
    {ok, [ok, {error, #{reason := <<"text">>}}]} =
        py:eval(<<"[erlang.atom('ok'), (erlang.atom('error'), {erlang.atom('reason'): 'text'})]">>),
    [{Code, {ok, true}} = {Code, py:eval(Code)} || Code <- [
        <<"erlang.atom('ep_same') is erlang.atom('ep_same')">>,
        <<"erlang.atom('ep_same') is not erlang.atom('ep_other')">>,
        <<"isinstance(erlang.atom('ok'), erlang.Atom)">>
    ]],
    [{Code, {error, {_, _}}} = {Code, py:eval(Code)} || Code <- [
        <<"erlang.atom('x' * 256)">>, <<"erlang.atom(1)">>, <<"erlang.atom()">>
    ]].

%% In VMs of their own: what the budget of new atoms is spent on is gone for the rest of the VM's life.
the_atoms_python_makes_are_bounded(_Config) ->
    ep_ct:with_peer(fun(Call) ->
        #{atoms_left := Left} = Call(py_nif, counters, []),
        Before = Call(erlang, system_info, [atom_count]),
        Make = <<"[erlang.atom('ep_bounded_%d' % i) for i in range(n)]">>,
        {error, {_, _}} = Call(py, eval, [Make, #{n => Left + 10}, 100000]),
        true = Call(erlang, system_info, [atom_count]) - Before < Left + 1000,
        {ok, ep_bounded_0} = Call(py, eval, [<<"erlang.atom('ep_bounded_0')">>]),
        {ok, ok} = Call(py, eval, [<<"erlang.atom('ok')">>])
    end).

invented_exceptions_do_not_fill_the_atom_table(_Config) ->
    ep_ct:with_peer(fun(Call) ->
        #{atoms_left := Left} = Call(py_nif, counters, []),
        {error, _} = Call(py, eval, [<<"1/0">>]),
        Before = Call(erlang, system_info, [atom_count]),
        ok = Call(?MODULE, raise_invented, [Left + 1000]),
        true = Call(erlang, system_info, [atom_count]) - Before =< Left + 100,
        {error, {'ZeroDivisionError', "division by zero"}} = Call(py, eval, [<<"1/0">>])
    end).

%% Runs on the other VM.
raise_invented(Count) ->
    ok = py:exec(<<"
def raise_invented(n):
    raise type('EpInvented%d' % n, (Exception,), {})('invented')
">>),
    [begin
        {error, {Name, Message}} = py:call('__main__', raise_invented, [N]),
        true = is_atom(Name) andalso lists:suffix("invented", Message)
    end || N <- lists:seq(1, Count)],
    ok.
