%%% @doc An actor that has read a file: a gen_server whose state is a Python object.
%%%
%%% The object lives in the Python environment of this process: no other process sees it, and it goes with the process.
-module(word_counter).

-behaviour(gen_server).

-export([start_link/1, top/2, store/2, recount/1]).
-export([init/1, handle_call/3, handle_cast/2]).

%% @doc Reads a file; `{error, {Exception, Message}}' says why it could not.
-spec start_link(file:filename()) -> {ok, pid()} | {error, term()}.
start_link(Path) ->
    gen_server:start_link(?MODULE, Path, []).

%% @doc The most frequent words.
-spec top(pid(), pos_integer()) -> [{binary(), pos_integer()}].
top(Actor, Size) ->
    gen_server:call(Actor, {top, Size}, infinity).

%% @doc Puts all words into a database.
-spec store(pid(), file:filename()) -> ok.
store(Actor, Database) ->
    gen_server:call(Actor, {store, Database}, infinity).

%% @doc Asks Python about every word, one call after the other: how many calls that took, and the sum of the counts.
-spec recount(pid()) -> {non_neg_integer(), non_neg_integer()}.
recount(Actor) ->
    gen_server:call(Actor, recount, infinity).

init(Path) ->
    ok = py:exec(<<"
from words import Document

def read(path):
    global document
    document = Document(path)

def count(word):
    return document.counts[word]
">>),
    case py:call('__main__', read, [unicode:characters_to_binary(Path)], #{}, infinity) of
        {ok, none} -> {ok, Path};
        {error, Reason} -> {stop, Reason}
    end.

handle_call({top, Size}, _From, Path) ->
    {ok, Top} = py:eval(<<"document.counts.most_common(size)">>, #{size => Size}),
    {reply, Top, Path};
handle_call({store, Database}, _From, Path) ->
    {ok, none} = py:eval(<<"document.store(database)">>, #{database => Database}, infinity),
    {reply, ok, Path};
handle_call(recount, _From, Path) ->
    {ok, Words} = py:eval(<<"list(document.counts)">>),
    Counts = [begin {ok, Count} = py:call('__main__', count, [Word]), Count end || Word <- Words],
    {reply, {length(Counts), lists:sum(Counts)}, Path}.

handle_cast(_Message, Path) ->
    {noreply, Path}.
