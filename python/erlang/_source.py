"""Source text whose value is that of its last line."""

from __future__ import annotations

import ast
from types import CodeType


def split(source: bytes, refused: SyntaxError) -> tuple[CodeType, CodeType]:
    """Compile statements that end with an expression: the code of the statements, and that of the expression.

    Raises `refused`, what eval() said of the source, when it is no such text.
    """
    try:
        tree = ast.parse(source, "<erlang>", "exec")
    except SyntaxError:
        raise refused from None
    if len(tree.body) < 2 or not isinstance(tree.body[-1], ast.Expr):
        raise refused
    expression = ast.Expression(tree.body.pop().value)
    return compile(tree, "<erlang>", "exec"), compile(expression, "<erlang>", "eval")
