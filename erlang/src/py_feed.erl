%%% @doc What the reader of a feed has read and not acknowledged yet.
%%%
%%% It acknowledges in batches, and when nothing more is there to be read. Python drops what comes while too much is
%%% unread, and an acknowledgement tells how much that was.
-module(py_feed).

-export([reader/2, read/1, acknowledge/1]).

-export_type([reader/0]).

-record(reader, {feed :: py_nif:feed(),
                 batch :: pos_integer(),
                 read = 0 :: non_neg_integer()}).

-opaque reader() :: #reader{}.

%% @doc Of a feed that the calling process opens, and may open anew.
-spec reader(py_nif:feed(), Batch :: pos_integer()) -> reader().
reader(Feed, Batch) -> #reader{feed = Feed, batch = Batch}.

%% @doc One more message was read. How many were dropped, as far as that was asked now.
-spec read(reader()) -> {Dropped :: non_neg_integer(), reader()}.
read(#reader{batch = Batch, read = Read} = Reader) when Read + 1 < Batch ->
    {0, Reader#reader{read = Read + 1}};
read(#reader{read = Read} = Reader) ->
    acknowledge(Reader#reader{read = Read + 1}).

%% @doc Makes room for as many as were read. How many were dropped since the last time.
-spec acknowledge(reader()) -> {Dropped :: non_neg_integer(), reader()}.
acknowledge(#reader{read = 0} = Reader) ->
    {0, Reader};
acknowledge(#reader{feed = Feed, read = Read} = Reader) ->
    {py_nif:feed_taken(Feed, Read), Reader#reader{read = 0}}.
