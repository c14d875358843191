"""Files and functions stay as large as one can read at a sitting."""

from __future__ import annotations

import ast

import pytest

from tests.house.code import short, sources, tree

FILE_MAX = 360  # aim at 100, be uneasy at 300
FUNCTION_MAX = 60
LONGER = {
    "bot/audit/kinds.py": "a table: the closed list of record kinds, one struct each",
}


def lines(name: str) -> int:
    return sources()[name].read_text(encoding="utf-8").count("\n")


@pytest.mark.parametrize("name", sources())
def test_a_file_is_short_or_has_a_reason(name: str) -> None:
    assert lines(name) <= FILE_MAX or short(sources()[name]) in LONGER


def test_reasons_are_for_files_that_need_them() -> None:
    long = {short(path) for name, path in sources().items() if lines(name) > FILE_MAX}
    assert set(LONGER) == long


def test_functions_are_short() -> None:
    long = {
        f"{short(path)}:{node.lineno} {node.name}": size
        for path in sources().values()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (size := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_MAX
    }
    assert not long


def test_public_things_say_what_their_names_cannot() -> None:
    silent = [
        f"{short(path)}:{node.lineno} {node.name}"
        for path in sources().values()
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert not silent
    assert all(ast.get_docstring(tree(path)) for path in sources().values()), "a file says what it is"
