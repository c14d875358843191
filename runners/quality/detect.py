"""Which checks a repository has of its own, read from the approved base commit and never from the agent's tree."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from bot.model.errors import GatewrightError

CONFIG: Final = ".gatewright.toml"
READ: Final = (CONFIG, "Makefile", "package.json")  # files whose content decides; of others the name is enough
MAKE_TEST: Final = re.compile(rb"^test\s*:(?!=)", re.MULTILINE)
PYTHON_TEST: Final = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")
NPM_PLACEHOLDER: Final = "no test specified"


class Check(msgspec.Struct, frozen=True):
    """One command for `sh -c`; where `needs` fails in the jail, `otherwise` is run in its place."""

    name: str
    command: str
    needs: str = ""
    otherwise: str = ""


class Checks(msgspec.Struct, frozen=True):
    """What to run on the final commit; `is_waived` when the repository says in words that it has no checks."""

    setup: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    env: dict[str, str] = {}
    is_waived: bool = False


def detect(files: Mapping[str, bytes], paths: Collection[str]) -> Checks:
    """Find the checks in the base commit: `.gatewright.toml` decides alone, then a Makefile, then the ecosystems.

    `files` holds those of READ that exist, `paths` every path of the commit.
    """
    env = {"PYTHONPATH": ".:src"} if any(PYTHON_TEST.search(path) for path in paths) else {}
    if CONFIG in files:
        configured = _configured(files[CONFIG])
        if configured.checks or configured.is_waived:
            return configured
        return Checks(configured.setup, _found(files, paths), env)
    return Checks((), _found(files, paths), env)


def _configured(raw: bytes) -> Checks:
    try:
        table = tomllib.loads(raw.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _unreadable(str(error)) from None
    setup = table.get("setup", [])
    if not isinstance(setup, list) or not all(isinstance(command, str) for command in setup):
        raise _unreadable("`setup` must be a list of commands")
    checks = table.get("checks", {})
    if checks == []:
        return Checks(tuple(setup), is_waived=True)
    if not isinstance(checks, dict) or not all(isinstance(command, str) for command in checks.values()):
        raise _unreadable("`[checks]` must be a table of name = command, or `checks = []`")
    return Checks(tuple(setup), tuple(Check(name[:64], command) for name, command in checks.items()))


def _found(files: Mapping[str, bytes], paths: Collection[str]) -> tuple[Check, ...]:
    if MAKE_TEST.search(files.get("Makefile", b"")):
        return (Check("make", "make test"),)
    found = []
    if any(PYTHON_TEST.search(path) for path in paths):
        found.append(_python(paths))
    if _has_npm_test(files.get("package.json", b"")):
        found.append(Check("npm", "npm test"))
    if "go.mod" in paths:
        found.append(Check("go", "go test ./..."))
    if "Cargo.toml" in paths:
        found.append(Check("cargo", "cargo test"))
    return tuple(found)


def _python(paths: Collection[str]) -> Check:
    # unittest does not descend into a folder without __init__.py: such a one has to be named.
    is_bare = any(p.startswith("tests/") for p in paths) and "tests/__init__.py" not in paths
    unittest = f"python3 -m unittest discover{' -s tests' if is_bare else ''}"
    return Check("python", "python3 -m pytest -q", needs="python3 -c 'import pytest'", otherwise=unittest)


def _has_npm_test(raw: bytes) -> bool:
    try:
        package: Any = json.loads(raw or b"{}")
    except ValueError:
        return False
    scripts = package.get("scripts") if isinstance(package, dict) else None
    test = scripts.get("test") if isinstance(scripts, dict) else None
    return isinstance(test, str) and bool(test.strip()) and NPM_PLACEHOLDER not in test


def _unreadable(why: str) -> GatewrightError:
    return GatewrightError(
        "GW-QA-CONFIG",
        f"{CONFIG} of the base commit does not say which checks to run",
        why=why,
        fix='write [checks] as `name = "command"` lines, or `checks = []` for none, and merge that first',
    )
