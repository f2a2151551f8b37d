"""Source text whose value is that of its last line."""

from __future__ import annotations

import ast
from types import CodeType


def split(source: bytes, refused: SyntaxError) -> tuple[CodeType, CodeType]:
    """Compile statements that end with an expression: the code of the statements, and that of the expression.

    What ends with a block (`with`, `for`, `def`) is complete as it stands, and its value is None. An assignment at the
    end is none of it: whoever writes that has forgotten the value.

    Raises `refused`, what eval() said of the source, when it is no such text.
    """
    try:
        tree = ast.parse(source, "<erlang>", "exec")
    except SyntaxError:
        raise refused from None
    if len(tree.body) < 2:
        raise refused
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        expression = ast.Expression(tree.body.pop().value)
    elif _is_block(last):
        expression = ast.parse("None", mode="eval")
    else:
        raise refused
    return compile(tree, "<erlang>", "exec"), compile(expression, "<erlang>", "eval")


def _is_block(statement: ast.stmt) -> bool:
    return "body" in statement._fields or isinstance(statement, ast.Match)
