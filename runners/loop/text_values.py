"""Values in the text of a model: JSON, Python literals and Python calls, read without ever mending a quote; pure.

Nothing here guesses: what reads in two ways, or ends in the middle, raises Unclear.
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
import warnings
from typing import Any, Final

MAX_PYTHON: Final = 256 * 1024  # characters of Python that are parsed; its parser is slow beside that of JSON
_SIMPLE: Final = {"true": True, "false": False, "null": None}
_CLOSING: Final = re.compile(
    r"\n[ \t]*```|</?(?:tool_call|TOOLCALL|function|tools?)\b|<\|/?tool_call|<\|(?:eot|im_end|end)"
)
_BROKEN: Final = (ValueError, SyntaxError, RecursionError, MemoryError, TypeError)


class Unclear(Exception):
    """A value that is cut off, or could mean several things."""


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


# Not strict: models put raw newlines into strings, which can mean only one thing.
_DECODER: Final = json.JSONDecoder(strict=False, object_pairs_hook=_pairs, parse_constant=_constant)


def json_at(text: str, at: int) -> tuple[object, int]:
    """Read the JSON value that begins at a place, and tell where it ends."""
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise Unclear(str(error)) from None


def value_at(text: str, at: int) -> tuple[object, int]:
    """Read a value as JSON, as JSON that lacks its very last brace, or as a Python literal."""
    try:
        return json_at(text, at)
    except Unclear:
        pass
    closing = _CLOSING.search(text, at)
    end = closing.start() if closing else len(text)
    piece = text[at:end].strip()
    try:
        return json_at(piece + "}", 0)[0], end
    except Unclear:
        return literal(piece), end


def whole(text: str) -> object:
    """Read a text that is one JSON value and nothing else."""
    stripped = text.strip()
    value, end = json_at(stripped, 0)
    if end != len(stripped):
        raise Unclear("there is more behind the value")
    return value


def literal(piece: str) -> object:
    """Read a Python literal; strings side by side are refused: they are mostly one string with quotes not escaped."""
    return _plain(_parsed(piece, "eval").body)


def calls(piece: str, *, wrapped: bool = False) -> list[tuple[str, list[object], dict[str, Any]]]:
    """Read a text that is Python calls and nothing else: name, positional and named arguments of each.

    `wrapped` reads `print(default_api.name(...))` as `name(...)`: so Gemma and Gemini write them into code blocks.
    """
    text = piece.strip()
    # Lines of calls, and lists of calls, are read as what they have in common.
    nodes: list[ast.expr] = []
    for statement in _parsed(text, "exec").body:
        if not isinstance(statement, ast.Expr):
            raise Unclear("more than calls")
        value = statement.value
        nodes += value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
    return [_call(_unwrapped(node) if wrapped else node) for node in nodes]


def _unwrapped(node: ast.expr) -> ast.expr:
    match node:
        case ast.Call(ast.Name("print"), [ast.Call() as inner], []):
            return _unwrapped(inner)
        case ast.Call(ast.Attribute(ast.Name("default_api"), name), args, keywords):
            return ast.Call(ast.Name(name), args, keywords)
        case _:
            return node


def _call(node: ast.expr) -> tuple[str, list[object], dict[str, Any]]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise Unclear("more than calls")
    named: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in named:
            raise Unclear("arguments that cannot be told apart")
        named[keyword.arg] = _plain(keyword.value)
    return node.func.id, [_plain(argument) for argument in node.args], named


def _parsed(text: str, mode: str) -> Any:
    _check(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes that Python does not know
            return ast.parse(text, mode=mode)
    except _BROKEN as error:
        raise Unclear(str(error)) from None


def _check(text: str) -> None:
    if len(text) > MAX_PYTHON:
        raise Unclear("too long for Python")
    before = -1
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in (tokenize.NL, tokenize.COMMENT):
                continue
            if token.type == before == tokenize.STRING:
                raise Unclear("strings side by side")
            before = token.type
    except (tokenize.TokenError, *_BROKEN) as error:
        raise Unclear(str(error)) from None


def _plain(node: ast.expr) -> Any:
    try:
        return _value(node)
    except _BROKEN as error:
        raise Unclear(str(error)) from None


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value) if value is None or isinstance(value, str | bool | int | float):
            return value
        case ast.Name(name) if name in _SIMPLE:
            return _SIMPLE[name]
        case ast.UnaryOp(ast.USub(), ast.Constant(value)) if type(value) in (int, float):
            return -value  # type: ignore[operator]  # checked one line above
        case ast.List(items) | ast.Tuple(items):
            return [_value(item) for item in items]
        case ast.Dict(keys, values):
            pairs = [(_key(key), _value(value)) for key, value in zip(keys, values, strict=True)]
            return _pairs(pairs)
        case _:
            raise ValueError("not a plain value")


def _key(node: ast.expr | None) -> str:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        raise TypeError("a key that is no string")
    return node.value
