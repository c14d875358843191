"""What tests of the upper levels share."""

from __future__ import annotations

from typing import Any

from bot.audit.sheet import Finding, Verdict
from bot.audit.trust import Trust, load
from bot.audit.verify import Terms, terms, verify
from tests.bot.audit.signed import SignedStory, judged


def trusted(task: SignedStory, **changes: Any) -> Trust:
    """Trust what the task's auditor would."""
    return load(task.trust_file(**changes))


def by(task: SignedStory, *, level: int | None = None, log: bool = False, **changes: Any) -> Terms:
    """Judge with that trust, and with the published log where asked."""
    return terms(trusted(task, **changes), task.log.write(task.root / "log") if log else None, level)


def alone(task: SignedStory, files: dict[str, bytes] | None = None, **how: Any) -> Verdict:
    """Judge files without git."""
    return judged(task.files() if files is None else files, by=by(task, **how))


def in_git(task: SignedStory, rev: str | None = None, **how: Any) -> Verdict:
    """Judge the repository."""
    return verify(task.repo, rev=rev, by=by(task, **how))[0]


def found(verdict: Verdict, check: str) -> Finding:
    """Name the first finding of a check."""
    return next(one for one in verdict.findings if one.check == check)
