"""Code -> why a task is blocked and the ways out, from problems.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from bot.reports.views import Problem, Way

FILE: Final = Path(__file__).with_name("problems.toml")
ALWAYS: Final = (Way("Not worth it", "cancel"),)
AGAIN: Final = (Way("Try this step again", "retry", "<hint, if you have one>"),)


def problem(code: str, explanation: str) -> Problem:
    """Describe a block: what the worker explained, else what is known of the code."""
    known = _known().get(code, {})
    said = _read(explanation.replace(f" [{code}]", "", 1))  # the code has its own place
    ways = tuple(msgspec.convert(known["ways"], tuple[Way, ...])) if "ways" in known else AGAIN
    return Problem(
        code=code,
        what=said.get("what") or known.get("what", "This step did not come to its end."),
        why=said.get("why") or known.get("why", ""),
        fix=said.get("fix") or "",
        log=said.get("log", ""),
        ways=(*ways, *(w for w in ALWAYS if w.verb not in {way.verb for way in ways})),
    )


@cache
def _known() -> dict[str, dict[str, Any]]:
    return tomllib.loads(FILE.read_text("utf-8"))


def _read(explanation: str) -> dict[str, str]:
    """Read `what`, `why: ...`, `fix: ...` line by line; what follows a blank line is a log."""
    head, _, log = explanation.strip().partition("\n\n")
    said = {"log": log.strip()} if log.strip() else {}
    what: list[str] = []
    for line in head.splitlines():
        key, colon, rest = line.partition(": ")
        if colon and key in ("why", "fix"):
            said[key] = rest
        else:
            what.append(line)
    if what:
        said["what"] = "\n".join(what)
    return said
