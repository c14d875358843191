"""The source as the house tests read it: files, syntax trees, imports and error codes."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from bot.policy.rules import TALLIES

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("bot", "runners")
SAMPLE: Final = ROOT / "bot" / "terminal" / "sample"  # somebody else's project
CODE: Final = re.compile(r"GW(-[A-Z0-9]+)+")
PREFIX: Final = re.compile(r"GW(-[A-Z0-9]+)*-")


@cache
def sources() -> dict[str, Path]:
    """Dotted name -> file, of everything that is shipped."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if SAMPLE not in path.parents:
                found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    """Parse a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def short(path: Path) -> str:
    """Name a file from the root of the project."""
    return path.relative_to(ROOT).as_posix()


def imported(node: ast.AST) -> Iterator[str]:
    """Name what an import statement names; `from bot import tether` is `bot.tether`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            yield whole if whole in sources() else str(node.module)


@cache
def ours(name: str) -> frozenset[str]:
    """Name the modules of ours that a module imports anywhere, in functions and for types as well."""
    found = {each for node in ast.walk(tree(sources()[name])) for each in imported(node)}
    return frozenset(each for each in found if each in sources())


def at_import(statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Walk what runs when a module is imported: no functions, and nothing that only type checkers see."""
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        yield statement
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            yield from at_import(statement.orelse)
            continue
        for block in ("body", "orelse", "finalbody"):
            yield from at_import(getattr(statement, block, []))
        for handler in getattr(statement, "handlers", []):
            yield from at_import(handler.body)


# Codes that are put together at run time: beginning -> where its endings come from.
ASSEMBLED: Final = {
    "GW-GATEWAY-": "the second argument of Denied(...)",
    "GW-MODEL-": "the names of runners.providers.protocol.Cause",
    "GW-JOURNAL-": "what the script of bot/tasks/journal.py answers",
    "GW-APPROVE-": "the keys of TALLIES in bot/policy/rules.py",
}


def prefixes() -> set[str]:
    """Find the beginnings of codes that are put together: `f"GW-X-{...}"`, `"GW-X-" + ...`."""
    return {
        node.value
        for path in sources().values()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and PREFIX.fullmatch(node.value)
    }


@cache
def codes() -> dict[str, str]:
    """Error code -> one place where it is raised, of every code that people can meet."""
    found: dict[str, str] = {}
    for path in sources().values():
        for node in ast.walk(tree(path)):
            for code in _written(node):
                found.setdefault(code, f"{short(path)}:{getattr(node, 'lineno', 0)}")
    protocol = sources()["runners.providers.protocol"]
    found |= {f"GW-MODEL-{name}": short(protocol) for name in _members(tree(protocol), "Cause")}
    journal = sources()["bot.tasks.journal"]
    answers = re.findall(r"then return '(\w+)' end", journal.read_text(encoding="utf-8"))
    found |= {f"GW-JOURNAL-{answer.upper()}": short(journal) for answer in answers}
    tallies = (name.upper().replace("_", "-") for name in TALLIES)
    return found | {f"GW-APPROVE-{name}": "bot/policy/rules.py" for name in tallies}


def _written(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if CODE.fullmatch(node.value):
            yield node.value
        elif said := re.match(r"error\[(GW-[A-Z0-9-]+)\]", node.value):
            yield said[1]
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Denied":
        ending = node.args[1]
        assert isinstance(ending, ast.Constant), ast.unparse(node)
        yield f"GW-GATEWAY-{ending.value!s}"


def _members(module: ast.Module, name: str) -> Iterator[str]:
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for statement in node.body:
                if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                    yield statement.targets[0].id


def version() -> str:
    """Read the version in pyproject.toml."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
