"""Changes in one line, for tables of hits and near misses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from bot.model.evidence import Plan, PlanStep
from runners.scope.view import NONE, Document, File, Finding, View, compared


def changed(path: str, old: str = "", new: str = "x\n", **more: object) -> File:
    """A file that was there before."""
    digest = hashlib.sha256(new.encode("utf-8", "replace")).hexdigest()
    values = {"old_mode": "100644", "sha256": digest} | more
    return compared(File(path=path, old=old, new=new, **values))  # type: ignore[arg-type]


def new(path: str, text: str = "x\n", **more: object) -> File:
    """A file that was not there before."""
    return changed(path, "", text, **({"old_mode": NONE} | more))


def gone(path: str, old: str = "x\n") -> File:
    """A file that is not there any more."""
    before = hashlib.sha256(old.encode()).hexdigest()
    return compared(File(path=path, old_mode="100644", mode=NONE, old=old, old_sha256=before))


def view(*files: File, **documents: str) -> View:
    """A change; documents are named by what CI calls them."""
    names = {"gitlab": ".gitlab-ci.yml", "github": ".github/workflows/test.yml"}
    return View(tuple(files), tuple(Document(names[name], text) for name, text in documents.items()))


def plan(*files: str) -> Plan:
    """A plan of one step."""
    return Plan("P", "", (PlanStep(1, "Do", "", files, ("AC-1",), "look"),))


def paths(found: Iterable[Finding]) -> list[str]:
    """Where the findings are."""
    return [finding.path for finding in found]


def said(found: Iterable[Finding]) -> str:
    """What the only finding says, empty where there is none."""
    findings = list(found)
    assert len(findings) <= 1, findings
    return findings[0].detail if findings else ""
