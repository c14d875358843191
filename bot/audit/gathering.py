"""Every task's evidence at one place, judged and read for people: what lists, pages and bundles are made of."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import msgspec

from bot.audit import place, sources
from bot.audit import trust as trusts
from bot.audit.checks import chain
from bot.audit.facts import Facts, facts
from bot.audit.folder import Folder
from bot.audit.objects import git_dir_of
from bot.audit.place import Found, NoEvidence
from bot.audit.sheet import Entry, Sheet, Verdict
from bot.audit.verify import Terms, judge, terms
from bot.model.errors import UsageError

DAY_MS: Final = 86_400_000
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Told(msgspec.Struct, frozen=True):
    """One task: its fullest copy, the records in it that can be believed, what they come to, and the verdict."""

    folder: Folder
    entries: tuple[Entry, ...]
    facts: Facts | None
    verdict: Verdict


class Period(msgspec.Struct, frozen=True):
    """Days, both counted in (UTC); 0 where it is open."""

    since_ms: int = 0
    until_ms: int = 0

    def holds(self, one: Told) -> bool:
        """Tell whether a task ended in it, or still runs and was last active in it; what cannot be dated is in."""
        at = one.facts.ended_ms if one.facts else self.since_ms
        return self.since_ms <= at and (not self.until_ms or at < self.until_ms)


class Where(msgspec.Struct, frozen=True):
    """What to read and how to judge, as the command line says it."""

    path: str = "."
    task: str | None = None
    rev: str | None = None
    trust: Path | None = None
    log: Path | None = None
    blobs: Path | None = None


def period(since: str, until: str) -> Period:
    """Read two days; raise UsageError for what is none."""
    return Period(_day(since) if since else 0, _day(until) + DAY_MS if until else 0)


@contextlib.contextmanager
def gathered(where: Where, beside: str = "") -> Iterator[tuple[list[Found], Terms]]:
    """Open all evidence at a place, tasks that only an audit ref holds among it, and what it is to be judged by.

    `beside` is a revision whose tasks count as well, where they lie nowhere else.
    """
    trusted = trusts.load(where.trust) if where.trust is not None else None
    with sources.opened(where.path) as source:
        log = where.log or (source.log if trusted is not None else None)
        by = terms(trusted, log, None, where.blobs or source.blobs)
        is_repository = git_dir_of(source.path) is not None
        opening = place.everything if is_repository and not where.rev else place.evidence
        with contextlib.ExitStack() as stack:
            found = stack.enter_context(opening(source.path, where.task or None, where.rev or None))
            if beside and is_repository:
                here = {one.folder.task for one in found}
                more = stack.enter_context(place.everything(source.path, where.task or None, beside))
                found = [*found, *(one for one in more if one.folder.task not in here)]
            if not found:
                raise NoEvidence(
                    "GW-AUDIT-NONE", f"no evidence at {where.path}", why="no commit or audit ref there holds any",
                    fix="run: git fetch origin '+refs/gatewright/*:refs/gatewright/*'",
                )  # fmt: skip
            yield found, by


def told(found: Found, by: Terms) -> Told:
    """Judge one task and read what of it can be believed."""
    verdict = judge(found, by)
    folder = (found.fuller or found).folder
    entries = tuple(chain.read(folder, Sheet()))
    return Told(folder, entries, facts(entries), verdict)


def _day(text: str) -> int:
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        raise UsageError("GW-AUDIT-DAY", f"not a day: {text[:20]!a}", fix="write it as 2026-01-31")
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
