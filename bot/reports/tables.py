"""Code -> words, from the TOML files beside this one."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from bot.model.hygiene import Removed
from bot.model.hygiene_characters import Hidden
from bot.model.task import Task
from bot.reports.neutral import Markdown, plain
from bot.reports.views import Broken, ScopeGroup, ScopeItem

FOLDER: Final = Path(__file__).parent


@cache
def table(name: str) -> dict[str, Any]:
    """Read one table."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))


def hidden(removed: Iterable[Removed]) -> Markdown:
    """List what was hidden: `2 HTML comments, 14 zero-width characters`."""
    counts: dict[Hidden, int] = {}
    for each in removed:
        counts[each.kind] = counts.get(each.kind, 0) + each.count
    return Markdown(", ".join(f"{count} {kind_words(kind, count)}" for kind, count in counts.items()))


def kind_words(kind: Hidden, count: int = 1) -> Markdown:
    """Name a kind of hidden text."""
    words = table("hidden")[kind.value]
    return Markdown(words["one"] if count == 1 else words.get("many", words["one"] + "s"))


def grouped(findings: Sequence[ScopeItem]) -> tuple[ScopeGroup, ...]:
    """Group scope findings by rule, in the order in which rules appear."""
    rules = dict.fromkeys(item.rule for item in findings)
    names = table("scope")
    return tuple(
        ScopeGroup(str(names.get(rule, rule)), tuple(item for item in findings if item.rule == rule)) for rule in rules
    )


def alarms(task: Task) -> tuple[Markdown, ...]:
    """Say aloud what happened around the gates that should not have."""
    known = table("alarms")
    return tuple(
        Markdown(known[code]["what"]) if code in known else plain(f"Alarm {code}")
        for code in dict.fromkeys(task.alarms)
    )


def broken(task: Task) -> tuple[Broken, ...]:
    """List the gates that were passed by breaking the glass, each with the day by which it has to be reviewed."""
    still = {passed.gate for passed in task.passed if passed.is_emergency}
    found = []
    for gate in dict.fromkeys(each.gate for each in task.glass if each.gate in still or not each.reviewer):
        due = [each.due_ms for each in task.unreviewed if each.gate is gate]
        found.append(Broken(gate.value, min(due, default=0)))
    return tuple(found)
