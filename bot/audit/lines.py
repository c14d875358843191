"""Which task a line of a merged change comes from: the commit, its task, and what that rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from bot.audit import kinds
from bot.audit.checks.anchors import TASK
from bot.audit.facts import Facts
from bot.audit.folder import TASK as TASK_ID
from bot.audit.gathering import Told
from bot.audit.objects import ObjectAltered, ObjectMissing, Objects
from bot.audit.origins import Origin, origins
from bot.audit.population import touched
from bot.audit.trees import Trees

SCHEMA: Final = "gatewright/audit-lines/v1"


class Range(msgspec.Struct, frozen=True):
    """Lines that follow each other and come from one commit.

    `by` says what names the task: the commit's trailer, the evidence folder that came with it, or the source that a
    task sealed. `is_recorded`: the task's records name that commit, or its source. `is_judged`: each of these lines
    stands in that file as QA judged it; None where that commit is not here.
    """

    first: int
    last: int
    commit: str
    task: str = ""
    by: str = ""
    is_recorded: bool = False
    is_judged: bool | None = None


class Lines:
    """Follows lines of one commit's files; what git says of them is held to the objects."""

    def __init__(self, objects: Objects, tip: str, tasks: Sequence[Told]) -> None:
        self.objects, self.tip = objects, tip
        self.tasks = {one.verdict.task: one for one in tasks}
        self.trees = Trees(objects)
        self._blobs: dict[tuple[str, bytes], list[bytes]] = {}
        self._named: dict[str, tuple[str, str]] = {}
        self._held: set[tuple[str, bytes]] = set()
        self._recorded: dict[str, bool] = {}
        self._judged: dict[tuple[str, bytes], frozenset[bytes] | None] = {}

    def ranges(self, path: str, line: int = 0) -> list[Range]:
        """Answer for one line, or for all; raise ObjectAltered where git names a commit that does not hold the line."""
        found: list[Range] = []
        here = self._lines(self.tip, path.encode())
        for origin in origins(self.objects, self.tip, path, line, line) if len(here) >= max(line, 1) else ():
            self._hold(origin, here)
            one = self._range(origin, here[origin.line - 1])
            if found and _is_next(found[-1], one):
                found[-1] = msgspec.structs.replace(found[-1], last=one.last)
            else:
                found.append(one)
        return found

    def _hold(self, origin: Origin, here: Sequence[bytes]) -> None:
        """Make sure that the commit holds this very line there, and that no parent of it has the same file."""
        there = self._lines(origin.commit, origin.path)
        if not 0 < origin.there <= len(there) or there[origin.there - 1] != here[origin.line - 1]:
            raise ObjectAltered(origin.commit, f"git takes line {origin.line} from it, and it does not hold that line")
        if (origin.commit, origin.path) in self._held:
            return
        self._held.add((origin.commit, origin.path))
        for parent in self.objects.commit(origin.commit).parents:
            try:
                if self._lines(parent, origin.path) == there:
                    raise ObjectAltered(origin.commit, "git says that it changed a file, which its parent has as well")
            except ObjectMissing:
                continue  # a shallow clone ends here; git then names its last commit

    def _range(self, origin: Origin, content: bytes) -> Range:
        task, by = self._task(origin.commit)
        found = Range(origin.line, origin.line, origin.commit, task, by)
        told = self.tasks.get(task)
        if told is None or told.facts is None:
            return found
        return msgspec.structs.replace(
            found,
            is_recorded=self._is_recorded(origin.commit, told),
            is_judged=self._is_judged(told.facts, origin.path, content),
        )

    def _task(self, commit: str) -> tuple[str, str]:
        if commit not in self._named:
            self._named[commit] = self._of(commit)
        return self._named[commit]

    def _of(self, oid: str) -> tuple[str, str]:
        commit = self.objects.commit(oid)
        if named := sorted({name for name in commit.trailers(TASK) if TASK_ID.fullmatch(name)}):
            return (named[0], "trailer") if len(named) == 1 else ("", "")
        if came := touched(self.objects, commit):
            return (came[0], "folder") if len(came) == 1 else ("", "")
        sealed = {one.facts.source_sha256: name for name, one in self.tasks.items() if _is_sealed(one) and one.facts}
        source = self.trees.source(oid) if sealed else ""
        return (sealed[source], "source") if source in sealed else ("", "")

    def _is_recorded(self, commit: str, told: Told) -> bool:
        if commit not in self._recorded:
            self._recorded[commit] = self._is_known(commit, told)
        return self._recorded[commit]

    def _is_known(self, commit: str, told: Told) -> bool:
        naming = (kinds.CommitMade, kinds.CommitForeign, kinds.Pushed)
        named = {entry.data.commit for entry in told.entries if isinstance(entry.data, naming)}
        if commit in named:
            return True
        sources = {getattr(entry.data, "source_sha256", "") for entry in told.entries}
        return self.trees.source(commit) in sources

    def _is_judged(self, said: Facts, path: bytes, content: bytes) -> bool | None:
        key = said.commit, path
        if key not in self._judged:
            try:
                self._judged[key] = frozenset(self._lines(*key)) if said.commit else None
            except ObjectMissing:
                self._judged[key] = None
        judged = self._judged[key]
        return None if judged is None else content in judged

    def _lines(self, commit: str, path: bytes) -> list[bytes]:
        """Read a file's lines from a commit, each object hashed again; none where it is no file."""
        if (commit, path) not in self._blobs:
            entry = self.objects.find(commit, path)
            is_file = entry is not None and entry.mode.startswith("100")
            raw = self.objects.read(entry.oid, "blob") if entry is not None and is_file else b""
            self._blobs[commit, path] = raw.removesuffix(b"\n").split(b"\n") if raw else []
        return self._blobs[commit, path]


def basis(said: Facts) -> Iterator[str]:
    """Say for people what a change rests on; docs/verify.py says the same in the same words."""
    yield f"asked for  issue {said.issue} of {said.repository}, label set by {said.requester}"
    for one in said.gates:
        text = f", text sha256:{one.text_sha256}" if one.text_sha256 else ""
        yield f"{one.gate:<10} approved by {', '.join(one.people)}: digest {one.digest[:12]}{text}"
    for used in said.models:
        yield f"model      {used.model} by {used.provider}, {used.calls} calls"
    if said.qa is not None:
        met = f"{said.qa.met} of {said.qa.criteria} criteria met"
        yield f"qa         {said.qa.verdict}, {met}, on {said.qa.commit}"
    for run in said.tests:
        yield f"test       {run.suite}: exit {run.exit}, on {run.commit}"


def _is_next(before: Range, one: Range) -> bool:
    return msgspec.structs.replace(before, first=one.first, last=one.last) == one and before.last + 1 == one.first


def _is_sealed(one: Told) -> bool:
    return one.verdict.state == "sealed"
