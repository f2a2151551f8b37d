%%% @doc What Linux says about an operating system process, this one: memory, and what its threads do.
-module(bench_proc).

-export([resident/0, resident_stacks/1, threads/0, activity/1]).

-export_type([thread/0, activity/0]).

-type thread() :: file:name().
-type activity() :: #{wakeups := non_neg_integer(), cpu_ns := non_neg_integer()}.

%% @doc Resident memory in bytes.
-spec resident() -> non_neg_integer().
resident() ->
    [_Size, Pages | _] = string:lexemes(read("/proc/self/statm"), " "),
    binary_to_integer(Pages) * page_size().

%% @doc How much of the stacks of threads is resident, in bytes. A stack is told by its size, in KB, that no other
%% mapping has.
-spec resident_stacks(pos_integer()) -> non_neg_integer().
resident_stacks(Size) ->
    Mappings = mappings(binary:split(read("/proc/self/smaps"), <<"\n">>, [global])),
    %% A guard page is taken off it.
    1024 * lists:sum([Rss || {Whole, Rss} <- Mappings, Whole =< Size, Whole >= Size - 64]).

%% The size of each and how much of that is resident, which come on lines of their own, in this order.
mappings([<<"Size:", Size/binary>> | Lines]) -> resident(first_number(Size), Lines);
mappings([_ | Lines]) -> mappings(Lines);
mappings([]) -> [].

resident(Size, [<<"Rss:", Rss/binary>> | Lines]) -> [{Size, first_number(Rss)} | mappings(Lines)];
resident(Size, [_ | Lines]) -> resident(Size, Lines).

first_number(Text) ->
    binary_to_integer(hd(string:lexemes(Text, " \n"))).

page_size() ->
    list_to_integer(string:trim(os:cmd("getconf PAGESIZE"))).

%% @doc The threads there are now.
-spec threads() -> [thread()].
threads() ->
    filelib:wildcard("/proc/self/task/*").

%% @doc How often threads have gone to sleep since they began, which is how often they were woken, and for how long
%% they ran.
-spec activity([thread()]) -> activity().
activity(Threads) ->
    #{wakeups => lists:sum([wakeups(Thread) || Thread <- Threads]),
      cpu_ns => lists:sum([ran(Thread) || Thread <- Threads])}.

wakeups(Thread) ->
    {match, [Count]} = re:run(read(filename:join(Thread, "status")), "^voluntary_ctxt_switches:\\s*(\\d+)",
                              [multiline, {capture, all_but_first, list}]),
    list_to_integer(Count).

ran(Thread) ->
    first_number(read(filename:join(Thread, "schedstat"))).

%% file:read_file/1 would trust the size, which is 0 for these.
read(Path) ->
    {ok, File} = file:open(Path, [read, raw, binary]),
    Text = read_all(File),
    ok = file:close(File),
    iolist_to_binary(Text).

read_all(File) ->
    case file:read(File, 65536) of
        {ok, Data} -> [Data | read_all(File)];
        eof -> []
    end.
