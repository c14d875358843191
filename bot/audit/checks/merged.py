"""Is what was merged what was sealed?"""

from __future__ import annotations

from typing import Final

from bot.audit import kinds, layout, seal
from bot.audit.checks.anchors import TASK, base_of, path_to_base
from bot.audit.matter import Matter
from bot.audit.objects import ObjectAltered, ObjectMissing, Objects
from bot.audit.sheet import Severity, Sheet
from bot.audit.trees import Trees

CHECK: Final = "merged"
Files = dict[bytes, tuple[str, str]]


def check(matter: Matter, objects: Objects, tip: str, sheet: Sheet) -> None:
    """Find the commit that brought this evidence to the tip's branch, and hold it to the change, path by path."""
    try:
        said = seal.closing(matter.entries[:-1] if matter.is_sealed else matter.entries)
        merge = _merge(matter, objects, tip) if said.commit else ""
        if merge and said.source_sha256:
            _compare(matter, objects, merge, said, sheet)
    except ObjectAltered as error:
        sheet.find(CHECK, error.what, found=error.why)
    except ObjectMissing as error:
        sheet.find(CHECK, f"cannot be compared: {error.what}", severity=Severity.INCOMPLETE)


def _merge(matter: Matter, objects: Objects, tip: str) -> str:
    """Name the commit on the tip's own line that first held the evidence; empty where that is the bot's branch."""
    path = layout.folder(matter.folder.task).encode()
    naming = (kinds.CommitMade, kinds.CommitForeign, kinds.Pushed)
    named = {entry.data.commit for entry in matter.entries if isinstance(entry.data, naming)}
    found = ""
    trees = Trees(objects)
    if not tip or not trees.holds_source(tip):
        return ""  # an audit ref: evidence and nothing else
    for commit in path_to_base(objects, tip, base_of(matter.entries)):
        if objects.find(commit.oid, path) is None:
            break
        if commit.oid in named:
            return ""
        found = commit.oid
    if not found:
        return ""
    first = objects.commit(found)
    is_evidence = bool(first.parents) and trees.source(found) == trees.source(first.parents[0])
    return "" if is_evidence and matter.folder.task in first.trailers(TASK) else found


def _compare(matter: Matter, objects: Objects, merge: str, said: kinds.Seal, sheet: Sheet) -> None:
    trees = Trees(objects)
    source = trees.source(merge)
    if source == said.source_sha256:
        sheet.hold(CHECK, f"{merge[:12]} holds exactly what was sealed, sha256:{source[:12]}")
        return
    parents = objects.commit(merge).parents
    ours = trees.files(parents[0]) if parents else {}
    theirs, base = trees.files(said.commit), trees.files(base_of(matter.entries))
    differing, unjudged = _differing(trees.files(merge), ours, theirs, base)
    for path in differing[:5]:
        shown = path.decode("utf-8", errors="backslashreplace")
        what = f"merged tree differs: {merge[:12]} does not hold {shown} as it was sealed"
        sheet.find(CHECK, what, expected=said.source_sha256, found=source, file=shown)
    if unjudged:
        shown = unjudged[0].decode("utf-8", errors="backslashreplace")
        sheet.doubt(f"how {len(unjudged)} files changed on both sides were merged in {merge[:12]}, {shown} first")
    if not differing:
        sheet.hold(CHECK, f"{merge[:12]} holds the change as it was sealed, beside what its branch held before")


def _differing(merged: Files, ours: Files, theirs: Files, base: Files) -> tuple[list[bytes], list[bytes]]:
    """Name paths that no honest merge leaves so, and paths that both sides changed."""
    differing, unjudged = [], []
    for path in sorted({*merged, *ours, *theirs, *base}):
        here, own, change, before = (files.get(path) for files in (merged, ours, theirs, base))
        if here == change and here == own:
            continue
        if own in (before, change):
            is_right = here == change
        elif change == before:
            is_right = here == own
        else:
            unjudged.append(path)
            continue
        if not is_right:
            differing.append(path)
    return differing, unjudged
