"""Does git hold what the journal says was committed?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from bot.audit import kinds
from bot.audit.objects import ObjectAltered, ObjectMissing, Objects
from bot.audit.sheet import Entry, Severity, Sheet
from bot.audit.trees import Trees

LONGEST: Final = 10_000  # commits that one task may have made


def check(entries: Sequence[Entry], objects: Objects, tip: str, sheet: Sheet) -> None:
    """Hold named commits to the objects behind them; `tip` is the commit that the evidence was read from, or empty."""
    trees = Trees(objects)
    missing: list[Entry] = []
    sound = 0
    for entry in entries:
        if isinstance(entry.data, (kinds.CommitMade, kinds.CommitForeign, kinds.QaVerdict)):
            try:
                sound += _commit(entry, entry.data, objects, trees, sheet)
            except ObjectMissing:
                missing.append(entry)
            except ObjectAltered as error:
                sheet.find("commits", error.what, entry, found=error.why)
    kept_back = unpushed(entries)
    _missing([entry for entry in missing if _named(entry) not in kept_back], objects, sheet)
    if kept := [entry for entry in missing if _named(entry) in kept_back]:
        sheet.doubt(f"what {len(kept)} commits held: they were sent back or given up before they were pushed")
    if sound and not sheet.failed("commits"):
        sheet.hold("commits", f"{sound} named commits are there, each with the tree and source recorded")
    if not sheet.failed("commits", Severity.TAMPERED):
        _unnamed(entries, objects, sheet)
        _tip(entries, tip, trees, sheet)


def _commit(
    entry: Entry,
    data: kinds.CommitMade | kinds.CommitForeign | kinds.QaVerdict,
    objects: Objects,
    trees: Trees,
    sheet: Sheet,
) -> bool:
    """Compare one commit; a verdict's commit counts as named by its commit.made or commit.foreign."""
    commit = objects.commit(data.commit)
    if not isinstance(data, kinds.QaVerdict) and commit.tree != data.tree:
        sheet.find("commits", f"{data.commit[:12]} has another tree", entry, expected=data.tree, found=commit.tree)
    if isinstance(data, kinds.CommitForeign):
        return True  # its parents and source are for QA to judge
    if isinstance(data, kinds.CommitMade) and data.parent not in commit.parents:
        found = " ".join(commit.parents) or "none"
        sheet.find("commits", f"{data.commit[:12]} has another parent", entry, expected=data.parent, found=found)
    source = trees.source(data.commit)
    if source != data.source_sha256:
        what = f"{data.commit[:12]} holds another source than recorded"
        sheet.find("commits", what, entry, expected=data.source_sha256, found=source)
    return isinstance(data, kinds.CommitMade)


def unpushed(entries: Sequence[Entry]) -> set[str]:
    """Name commits that never left their runner: `revise` throws away what was held, and so does the end of a task."""
    waiting: set[str] = set()
    thrown: set[str] = set()
    for entry in entries:
        data = entry.data
        if isinstance(data, kinds.CommitMade):
            waiting.add(data.commit)
        elif isinstance(data, kinds.Pushed) and data.ref.startswith("refs/heads/"):
            waiting.clear()
        elif isinstance(data, kinds.Command) and data.verb == "revise" and data.accepted:
            thrown |= waiting
            waiting.clear()
    return thrown | waiting


def _named(entry: Entry) -> str:
    return entry.data.commit if isinstance(entry.data, kinds.CommitMade) else ""


def _missing(missing: Sequence[Entry], objects: Objects, sheet: Sheet) -> None:
    if not missing:
        return
    first: Any = missing[0].data
    why = "this clone is shallow" if objects.is_shallow else "a squash or a deleted branch leaves them behind"
    what = f"{len(missing)} records name commits that are not in this repository ({why})"
    sheet.find("commits", what, missing[0], severity=Severity.INCOMPLETE, expected=first.commit)


def _unnamed(entries: Sequence[Entry], objects: Objects, sheet: Sheet) -> None:
    """Walk from the judged commit back to the base: every commit between has to be in the journal."""
    bases = [e.data.base_commit for e in entries if isinstance(e.data, (kinds.TaskOpened, kinds.BaseMoved))]
    base = bases[-1] if bases else ""
    judged = next((e.data.commit for e in reversed(entries) if isinstance(e.data, kinds.QaVerdict)), "")
    if not judged:
        return
    try:
        path = _first_parents(objects, judged, base)
    except (ObjectMissing, ObjectAltered) as error:
        sheet.doubt(f"that only named commits lead from {base[:12]} to {judged[:12]}: {error.what}")
        return
    made = (kinds.CommitMade, kinds.Pushed, kinds.AttemptEnded)
    named = {entry.data.commit for entry in entries if isinstance(entry.data, made)}
    foreign = {entry.data.commit for entry in entries if isinstance(entry.data, kinds.CommitForeign)}
    unnamed = _nobodys(path[:-1], named, foreign)  # the last one is the base itself
    if not path or path[-1] != base:
        sheet.doubt(f"that the work began at {base[:12]}: {judged[:12]} does not descend from it by first parents")
    elif unnamed:
        sheet.find("branch", f"{len(unnamed)} commits of the work are in no record", found=unnamed[0])
    else:
        sheet.hold("branch", f"every commit from {base[:12]} to {judged[:12]} is named by a record")


def _nobodys(path: Sequence[str], named: Collection[str], foreign: Collection[str]) -> list[str]:
    """List the commits that no record accounts for; one push by a person may bring several, and names the last."""
    unnamed: list[str] = []
    is_theirs = False
    for commit in path:
        is_theirs = commit in foreign or (is_theirs and commit not in named)
        if commit not in named and not is_theirs:
            unnamed.append(commit)
    return unnamed


def _first_parents(objects: Objects, commit: str, base: str) -> list[str]:
    """List a commit and its first parents down to the base, or as far as they lead."""
    path = [commit]
    while path[-1] != base and len(path) < LONGEST:
        parents = objects.commit(path[-1]).parents
        if not parents:
            break
        path.append(parents[0])
    return path


def _tip(entries: Sequence[Entry], tip: str, trees: Trees, sheet: Sheet) -> None:
    """Compare the tree that the evidence lies in with the judged one."""
    judged = next((entry.data for entry in reversed(entries) if isinstance(entry.data, kinds.QaVerdict)), None)
    if not tip or judged is None:
        return
    try:
        if not trees.holds_source(tip):
            return  # the audit ref holds nothing but evidence
        source = trees.source(tip)
    except (ObjectMissing, ObjectAltered) as error:
        sheet.doubt(f"that {tip[:12]} holds what QA judged: {error.what}")
        return
    if source == judged.source_sha256:
        sheet.hold("source", f"{tip[:12]} holds what QA judged, sha256:{source[:12]}")
    else:
        sheet.doubt(f"that {tip[:12]} holds what QA judged: its source is another (later commits, or a merge)")
