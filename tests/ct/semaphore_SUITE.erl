%%% @doc The bound on concurrent requests, taken by hand.
-module(semaphore_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    the_bound_defaults_to_the_schedulers/1, the_bound_is_configurable/1, the_bound_is_adjustable/1,
    acquiring_counts_and_releasing_uncounts/1, acquiring_beyond_the_bound_is_refused/1,
    a_waiting_acquire_gets_the_released_slot/1, waiters_are_served_in_order/1, raising_the_bound_serves_waiters/1,
    lowering_the_bound_takes_no_slot_away/1, releasing_without_a_slot_is_harmless/1,
    a_dead_holder_gives_its_slots_back/1, a_dead_waiter_gives_its_turn_up/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        the_bound_defaults_to_the_schedulers, the_bound_is_configurable, the_bound_is_adjustable,
        acquiring_counts_and_releasing_uncounts, acquiring_beyond_the_bound_is_refused,
        a_waiting_acquire_gets_the_released_slot, waiters_are_served_in_order, raising_the_bound_serves_waiters,
        lowering_the_bound_takes_no_slot_away, releasing_without_a_slot_is_harmless,
        a_dead_holder_gives_its_slots_back, a_dead_waiter_gives_its_turn_up, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

end_per_testcase(_Case, _Config) ->
    ok = py_semaphore:set_max_concurrent(erlang:system_info(schedulers) * 2 + 1),
    ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

the_bound_defaults_to_the_schedulers(_Config) ->
    true = py_semaphore:max_concurrent() =:= (erlang:system_info(schedulers) * 2 + 1),
    ok = py_semaphore:init(),
    true = py_semaphore:max_concurrent() =:= (erlang:system_info(schedulers) * 2 + 1).

the_bound_is_configurable(_Config) ->
    ep_ct:with_environment([{max_concurrent, 7}], fun() -> 7 = py_semaphore:max_concurrent() end),
    true = py_semaphore:max_concurrent() =:= (erlang:system_info(schedulers) * 2 + 1).

the_bound_is_adjustable(_Config) ->
    ok = py_semaphore:set_max_concurrent(50),
    50 = py_semaphore:max_concurrent(),
    ok = py_semaphore:set_max_concurrent(1),
    1 = py_semaphore:max_concurrent().

acquiring_counts_and_releasing_uncounts(_Config) ->
    0 = py_semaphore:current(),
    ok = py_semaphore:acquire(0),
    1 = py_semaphore:current(),
    ok = py_semaphore:acquire(infinity),
    2 = py_semaphore:current(),
    ok = py_semaphore:release(),
    ok = py_semaphore:release(),
    0 = py_semaphore:current().

acquiring_beyond_the_bound_is_refused(_Config) ->
    ok = py_semaphore:set_max_concurrent(2),
    [ok = py_semaphore:acquire(0) || _ <- [1, 2]],
    {error, max_concurrent} = py_semaphore:acquire(0),
    {error, max_concurrent} = py_semaphore:acquire(20),
    2 = py_semaphore:current(),
    ok = py_semaphore:release(),
    ok = py_semaphore:acquire(0),
    [ok = py_semaphore:release() || _ <- [1, 2]],
    0 = py_semaphore:current().

a_waiting_acquire_gets_the_released_slot(_Config) ->
    ok = py_semaphore:set_max_concurrent(1),
    ok = py_semaphore:acquire(0),
    Waiter = acquirer(),
    ok = py_semaphore:release(),
    {acquired, Waiter} = ep_ct:message(),
    1 = py_semaphore:current(),
    let_go(Waiter),
    0 = py_semaphore:current().

waiters_are_served_in_order(_Config) ->
    ok = py_semaphore:set_max_concurrent(1),
    ok = py_semaphore:acquire(0),
    Waiters = [acquirer() || _ <- lists:seq(1, 10)],
    ok = py_semaphore:release(),
    [begin
        {acquired, Waiter} = ep_ct:message(),
        let_go(Waiter)
    end || Waiter <- Waiters],
    0 = py_semaphore:current().

raising_the_bound_serves_waiters(_Config) ->
    ok = py_semaphore:set_max_concurrent(1),
    ok = py_semaphore:acquire(0),
    Waiters = [acquirer() || _ <- [1, 2]],
    ok = py_semaphore:set_max_concurrent(3),
    [{acquired, Waiter} = ep_ct:message() || Waiter <- Waiters],
    3 = py_semaphore:current(),
    [let_go(Waiter) || Waiter <- Waiters],
    ok = py_semaphore:release(),
    0 = py_semaphore:current().

lowering_the_bound_takes_no_slot_away(_Config) ->
    ok = py_semaphore:set_max_concurrent(3),
    [ok = py_semaphore:acquire(0) || _ <- [1, 2, 3]],
    ok = py_semaphore:set_max_concurrent(1),
    3 = py_semaphore:current(),
    [begin
        {error, max_concurrent} = py_semaphore:acquire(0),
        ok = py_semaphore:release()
    end || _ <- [1, 2, 3]],
    0 = py_semaphore:current(),
    ok = py_semaphore:acquire(0),
    ok = py_semaphore:release().

releasing_without_a_slot_is_harmless(_Config) ->
    ok = py_semaphore:release(),
    0 = py_semaphore:current().

a_dead_holder_gives_its_slots_back(_Config) ->
    [begin
        Holder = spawn(fun() ->
            [ok = py_semaphore:acquire(0) || _ <- [1, 2]],
            receive {'end', How} -> exit(How) end
        end),
        ep_ct:wait_until(fun() -> py_semaphore:current() =:= 2 end),
        End(Holder),
        ep_ct:wait_until(fun() -> py_semaphore:current() =:= 0 end)
    end || End <- [fun(Pid) -> Pid ! {'end', normal} end, fun(Pid) -> exit(Pid, kill) end]].

a_dead_waiter_gives_its_turn_up(_Config) ->
    ok = py_semaphore:set_max_concurrent(1),
    ok = py_semaphore:acquire(0),
    [Dead, Alive] = [acquirer() || _ <- [1, 2]],
    true = unlink(Dead),
    exit(Dead, kill),
    _ = ep_ct:down(Dead),
    ok = py_semaphore:release(),
    {acquired, Alive} = ep_ct:message(),
    let_go(Alive),
    0 = py_semaphore:current().

%% A process that waits for a slot when this returns, or has one and said so.
acquirer() ->
    Owner = self(),
    Pid = spawn_link(fun() ->
        ok = py_semaphore:acquire(infinity),
        Owner ! {acquired, self()},
        receive release -> ok = py_semaphore:release(), Owner ! {released, self()} end
    end),
    waits(Pid),
    Pid.

let_go(Pid) ->
    Pid ! release,
    receive {released, Pid} -> ok end.

waits(Pid) ->
    ep_ct:wait_until(fun() -> process_info(Pid, status) =:= {status, waiting} end).
