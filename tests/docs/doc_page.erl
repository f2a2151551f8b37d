%%% @doc The fenced blocks of a Markdown page, and the files it links to.
-module(doc_page).

-export([blocks/1, links/1]).

-export_type([block/0]).

-type block() :: {Line :: pos_integer(), Info :: string(), Text :: string()}.
%% The line is that of the text's first line; the info string says what the block is written in.

%% @doc The blocks in their order. Those inside HTML comments count: what a reader need not see can be there.
-spec blocks(string()) -> [block()].
blocks(Page) ->
    outside(numbered(Page)).

outside([]) ->
    [];
outside([{Line, "```" ++ Info} | Lines]) ->
    {Text, Rest} = lists:splitwith(fun({_, Text}) -> not lists:prefix("```", Text) end, Lines),
    Rest =:= [] andalso error({never_ends, {line, Line}}),
    [{Line + 1, string:trim(Info), lists:append([Inside ++ "\n" || {_, Inside} <- Text])} | outside(tl(Rest))];
outside([_ | Lines]) ->
    outside(Lines).

%% @doc Targets of links that are no addresses, without the part of the page they name.
-spec links(string()) -> [{Line :: pos_integer(), string()}].
links(Page) ->
    [{Line, Target} || {Line, Text} <- numbered(Page), Target <- targets(Text), Target =/= "",
                       string:find(Target, ":") =:= nomatch].

targets(Text) ->
    case re:run(Text, "\\]\\(([^)#\\s]*)[^)]*\\)", [global, unicode, {capture, all_but_first, list}]) of
        {match, Found} -> lists:append(Found);
        nomatch -> []
    end.

numbered(Page) ->
    lists:enumerate(string:split(Page, "\n", all)).
