"""docs/security.md promises nothing that no test holds."""

from __future__ import annotations

import ast
import re

import pytest

from tests.house.code import ROOT

PAGE = ROOT / "docs" / "security.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")


def promises() -> dict[str, list[tuple[str, str]]]:
    """Read the table: each promise and the tests beside it, as file and name."""
    section = PAGE.read_text(encoding="utf-8").partition("\n## Promises\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return {row[0].strip(): TEST.findall(row[1]) for row in rows[1:]}


def names_of(file: str) -> set[str]:
    """Name every test of a file; those of a class as `Class::test`, and the class itself."""
    found = set()
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            inner = [each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
            found |= {node.name, *(f"{node.name}::{name}" for name in inner)}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
    return {name for name in found if name.startswith(("test_", "Test"))}


def test_there_are_promises() -> None:
    assert len(promises()) >= 25


@pytest.mark.parametrize("promise", promises())
def test_a_promise_names_tests_that_exist(promise: str) -> None:
    named = promises()[promise]
    assert named, "no test holds this promise"
    assert [f"{file}::{name}" for file, name in named if not (ROOT / file).exists() or name not in names_of(file)] == []


def test_every_file_of_attacks_holds_a_promise() -> None:
    named = {file for tests in promises().values() for file, _ in tests}
    written = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "attacks").glob("test_*.py")}
    assert written - named == set()
