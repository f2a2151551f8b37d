%%% @doc The same cases once for each selector of the event loop, as groups of a suite.
-module(ep_selectors).

-export([all/0, groups/1, init/2, finish/1]).

-spec all() -> [{group, native | beam}].
all() ->
    [{group, native}, {group, beam}].

-spec groups([atom()]) -> [{native | beam, [], [atom()]}].
groups(Cases) ->
    [{Selector, [], Cases} || {group, Selector} <- all()].

%% @doc The body of init_per_group: loops have this selector unless they say otherwise.
-spec init(native | beam, [tuple()]) -> [tuple()].
init(Selector, Config) ->
    ok = application:set_env(erlang_python, event_loop_selector, Selector),
    ok = ep_ct:restart(),
    [{selector, Selector} | Config].

%% @doc The body of end_per_group.
-spec finish([tuple()]) -> ok.
finish(_Config) ->
    ok = application:unset_env(erlang_python, event_loop_selector),
    ok = ep_ct:restart().
