%%% @doc Runs what a page of documentation shows, and so proves it.
%%%
%%% The blocks of a page run one after the other in one process, with the application started. By info string:
%%%   erlang          expressions as one types them in a shell: variables live to the end of the page, and a match that
%%%                   fails, fails the page; or a module, when it begins with -module
%%%   python          what py:exec/1 runs, in the same process
%%%   erlang owngil   the same as erlang, where contexts of that mode can be had; elsewhere it is left out, and why is said
%%%   erlang-config   terms of a file; the values of the application's own keys are checked
%%%   erlang-config start   the same, and the page's VM is started with them
%%%   KIND PATH       where PATH is that of a file of this repository: a part of it, word for word. A line that is `...'
%%%                   stands for what is left out
%%% Blocks of any other kind are only shown.
-module(doc_runner).

-export([main/1]).

%% Seconds for a page.
-define(LIMIT, 120).

%% @doc Ends the VM, with status 0 if everything the page says is so.
-spec main([file:filename()]) -> no_return().
main([Path]) ->
    {Pid, Monitor} = spawn_monitor(fun() -> page(Path) end),
    receive
        {'DOWN', Monitor, process, Pid, normal} ->
            halt(0);
        {'DOWN', Monitor, process, Pid, {shutdown, {failed, Line, Text, Why}}} ->
            io:format("~ts:~b: ~ts~n    ~ts~n", [Path, Line, Why, string:replace(Text, "\n", "\n    ", all)]),
            halt(1);
        {'DOWN', Monitor, process, Pid, Reason} ->
            io:format("~ts: ~tp~n", [Path, Reason]),
            halt(1)
    after ?LIMIT * 1000 ->
        io:format("~ts: not done after ~b seconds; now in ~tp~n",
                  [Path, ?LIMIT, process_info(Pid, current_stacktrace)]),
        halt(1)
    end.

page(Path) ->
    {ok, Binary} = file:read_file(Path),
    Page = unicode:characters_to_list(Binary),
    [filelib:is_file(filename:join(filename:dirname(Path), Target)) orelse failed(Line, Target, "leads nowhere")
     || {Line, Target} <- doc_page:links(Page)],
    Blocks = doc_page:blocks(Page),
    lists:foreach(fun(Block) -> part_of_file(Block, Path) end, Blocks),
    ok = application:load(erlang_python),
    [ok = application:set_env(erlang_python, Key, Value) || {Key, Value} <- wanted_at_start(Blocks)],
    {ok, _} = application:ensure_all_started(erlang_python),
    Bindings = lists:foldl(fun block/2, erl_eval:new_bindings(), Blocks),
    messages_left() =:= [] orelse failed(1, io_lib:format("~tp", [messages_left()]), "left messages behind"),
    io:format("~ts: all true; ~b variables~n", [Path, length(erl_eval:bindings(Bindings))]).

messages_left() ->
    {messages, Messages} = process_info(self(), messages),
    Messages.

block({Line, "erlang", "-module(" ++ Rest = Text}, Bindings) ->
    load_module(lists:takewhile(fun(C) -> C =/= $) end, Rest), Line, Text),
    Bindings;
block({Line, "erlang", Text}, Bindings) ->
    lists:foldl(fun evaluate/2, Bindings, sentences(Text, Line));
block({Line, "python", Text}, Bindings) ->
    case py:exec(Text) of
        ok -> Bindings;
        {error, Reason} -> failed(Line, Text, io_lib:format("~tp", [Reason]))
    end;
block({Line, "erlang owngil", Text}, Bindings) ->
    case py_nif:owngil_problem() of
        ok ->
            block({Line, "erlang", Text}, Bindings);
        {error, Reason} ->
            io:format("line ~b: left out, ~ts~n", [Line, Reason]),
            Bindings
    end;
block({Line, "erlang-config" ++ _, Text}, Bindings) ->
    lists:foreach(fun(Term) -> config(Term, Line) end, terms(Text, Line)),
    Bindings;
block(_Shown, Bindings) ->
    Bindings.

%% ---------------------------------------------------------------------------------------------------------------------
%% Files

part_of_file({Line, Info, Text}, Page) ->
    case string:lexemes(Info, " ") of
        [_Kind, Name] -> lists:member($/, Name) andalso part_of_file(Line, Text, Name, Page);
        _ -> false
    end.

part_of_file(Line, Text, Name, Page) ->
    Above = [filename:dirname(filename:absname(Page)), filename:dirname(filename:dirname(filename:absname(Page)))],
    case [File || Directory <- Above, File <- [filename:join(Directory, Name)], filelib:is_regular(File)] of
        [File | _] ->
            {ok, Binary} = file:read_file(File),
            parts(string:split(Text, "...\n", all), unicode:characters_to_list(Binary), Line, Name);
        [] ->
            failed(Line, Text, ["there is no file ", Name])
    end.

parts(Parts, Content, Line, Name) ->
    lists:foldl(
        fun(Part, Rest) ->
            case string:split(Rest, Part) of
                [_, After] -> After;
                [_] -> failed(Line, Part, ["is not in ", Name])
            end
        end,
        Content, [Part || Part <- Parts, string:trim(Part) =/= ""]).

%% ---------------------------------------------------------------------------------------------------------------------
%% Erlang

%% Lists of tokens that end with a dot.
sentences(Text, Line) ->
    case erl_scan:string(Text, Line, [text]) of
        {ok, Tokens, _} -> sentences(Tokens);
        {error, {At, Module, What}, _} -> failed(At, Text, Module:format_error(What))
    end.

sentences([]) ->
    [];
sentences(Tokens) ->
    case lists:splitwith(fun(Token) -> element(1, Token) =/= dot end, Tokens) of
        {Sentence, [Dot | Rest]} -> [Sentence ++ [Dot] | sentences(Rest)];
        {[First | _], []} -> failed(erl_scan:line(First), text(Tokens), "does not end with a dot")
    end.

parse(Parse, Tokens) ->
    case Parse(Tokens) of
        {ok, Parsed} -> Parsed;
        {error, {At, Module, What}} -> failed(At, text(Tokens), Module:format_error(What))
    end.

text(Tokens) ->
    lists:append(lists:join(" ", [erl_scan:text(Token) || Token <- Tokens])).

evaluate(Tokens, Bindings) ->
    Expressions = parse(fun erl_parse:parse_exprs/1, Tokens),
    try erl_eval:exprs(Expressions, Bindings) of
        {value, _, New} -> New
    catch
        Class:Reason:Stack ->
            failed(erl_scan:line(hd(Tokens)), pretty(Expressions), erl_error:format_exception(Class, Reason, Stack))
    end.

pretty(Expressions) ->
    lists:flatten(erl_pp:exprs(Expressions)).

%% By way of a file, because that is where the preprocessor reads.
load_module(Name, Line, Text) ->
    File = filename:join(filename:dirname(code:which(?MODULE)), Name ++ ".erl"),
    ok = file:write_file(File, unicode:characters_to_binary(Text)),
    case compile:file(File, [binary, return]) of
        {ok, Module, Binary, []} -> {module, Module} = code:load_binary(Module, File, Binary);
        {ok, _, _, Warnings} -> failed(Line, Text, io_lib:format("~tp", [Warnings]));
        {error, Errors, _} -> failed(Line, Text, io_lib:format("~tp", [Errors]))
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Configuration

wanted_at_start(Blocks) ->
    lists:append([Values || {Line, "erlang-config start", Text} <- Blocks, Applications <- terms(Text, Line),
                            {erlang_python, Values} <- Applications]).

terms(Text, Line) ->
    [parse(fun erl_parse:parse_term/1, Tokens) || Tokens <- sentences(Text, Line)].

config(Applications, Line) when is_list(Applications) ->
    [application_config(Values, Line) || {erlang_python, Values} <- Applications];
config(_OtherFile, _Line) ->
    ok.

application_config(Values, Line) ->
    Before = application:get_all_env(erlang_python),
    [ok = application:set_env(erlang_python, Key, Value) || {Key, Value} <- Values],
    try
        _ = py_config:native(),
        _ = [py_config:Key() || {Key, _} <- Values, erlang:function_exported(py_config, Key, 0)],
        ok
    catch
        error:Reason -> failed(Line, io_lib:format("~tp", [Values]), io_lib:format("~tp", [Reason]))
    after
        [ok = application:unset_env(erlang_python, Key) || {Key, _} <- Values],
        [ok = application:set_env(erlang_python, Key, Value) || {Key, Value} <- Before]
    end.

-spec failed(term(), iodata(), iodata()) -> no_return().
failed(At, Text, Why) ->
    Line = case At of {L, _} -> L; L -> L end,
    exit({shutdown, {failed, Line, lists:flatten(Text), lists:flatten(Why)}}).
