"""Are the blobs that records name there, and are they what they were?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from bot.audit import kinds, layout
from bot.audit.blobs import SALT, BlobError, Blobs, commitment
from bot.audit.folder import Folder
from bot.audit.record import Ref
from bot.audit.sheet import Entry, Severity, Sheet

NOTHING: Final[Mapping[str, str]] = {}
# Kind -> the ref whose text it gives the digest of, and the field.
ARTIFACTS = {
    "spec.set": ("text", "spec_sha256"), "plan.set": ("text", "plan_sha256"), "command.run": ("argv", "argv_sha256"),
}  # fmt: skip

REDACTORS: Final = ("operator", "service")  # roles; agents and those who ask or approve have no part in it


class Tally(msgspec.Struct):
    """How many blobs are there, gone on purpose, and elsewhere."""

    present: int = 0
    redacted: int = 0
    logged: int = 0  # of these, those that the instance log names and no record
    elsewhere: int = 0


def check(
    entries: Sequence[Entry], folder: Folder, blobs: Blobs | None, sheet: Sheet, pruned: Mapping[str, str] = NOTHING
) -> set[str]:
    """Hold every named blob to its commitment and size, and name the documents that blobs bind.

    `blobs` None means that no store is at hand; `pruned` are commitments that a trusted log says were deleted, with
    the reason.
    """
    redacted = {entry.data.target: entry for entry in entries if isinstance(entry.data, kinds.BlobRedacted)}
    for entry in redacted.values():
        if entry.record.actor.role not in REDACTORS:
            sheet.find("blobs", "was redacted by somebody who may not", entry, found=entry.record.actor.id)
    inside = _inside(folder, sheet)
    verdict = next((entry for entry in reversed(entries) if entry.record.kind == "qa.verdict"), None)
    tally, seen, bound = Tally(), set[str](), set[str]()
    for entry in entries:
        for ref in entry.record.refs:
            if ref.commit in seen:
                continue
            seen.add(ref.commit)
            content = inside.get(ref.commit)
            if content is None and blobs is not None:
                content = _stored(blobs, ref, entry, sheet)
            is_gone = ref.commit in redacted or ref.commit in pruned
            tally.logged += ref.commit not in redacted and content is None and is_gone
            _account(content, ref, entry, tally, sheet, is_redacted=is_gone, looked=blobs is not None)
            if entry is verdict and ref.name == "qa.md" and content is not None:
                bound |= _report(content, folder, sheet)
    for name in sorted(set(inside) - seen):
        sheet.find("blobs", "no record names it", file=folder.path(f"audit/blobs/{name[:2]}/{name}"))
    _summary(tally, sheet)
    return bound


def _inside(folder: Folder, sheet: Sheet) -> dict[str, bytes]:
    """Read the blobs that lie in the folder itself."""
    found: dict[str, bytes] = {}
    for path, stored in folder.files.items():
        shape = layout.BLOB.fullmatch(path)
        if shape is None:
            continue
        name = shape[2]
        if commitment(stored) != name or len(stored) < SALT:
            sheet.find(
                "blobs", "is not what its name says", file=folder.path(path), expected=name, found=commitment(stored)
            )
        found[name] = stored[SALT:]
    return found


def _stored(blobs: Blobs, ref: Ref, entry: Entry, sheet: Sheet) -> bytes | None:
    try:
        return blobs.get(ref.commit)
    except BlobError as error:
        if error.code == "GW-AUDIT-BLOB-ALTERED":
            sheet.find(
                "blobs", f"blob {ref.name} was altered", entry, expected=ref.commit, file=str(blobs.path(ref.commit))
            )
            return blobs.path(ref.commit).read_bytes()[SALT:]
        return None


def _account(
    content: bytes | None, ref: Ref, entry: Entry, tally: Tally, sheet: Sheet, *, is_redacted: bool, looked: bool
) -> None:
    if content is not None:
        tally.present += 1
        if len(content) != ref.size:
            what = f"blob {ref.name} has another size than recorded"
            sheet.find("blobs", what, entry, expected=str(ref.size), found=str(len(content)))
        if is_redacted:
            sheet.doubt(f"that blob {ref.commit[:12]} is gone: it was redacted, as is said, and it is still here")
        _artifact(content, ref, entry, sheet)
    elif is_redacted:
        tally.redacted += 1
    elif looked:
        what = f"blob {ref.name} is not in the store, and no record says that it was redacted"
        sheet.find("blobs", what, entry, severity=Severity.INCOMPLETE, expected=ref.commit)
    else:
        tally.elsewhere += 1


def _artifact(content: bytes, ref: Ref, entry: Entry, sheet: Sheet) -> None:
    """Hold a draft's text, or a command, to the digest that its record gives."""
    name, field = ARTIFACTS.get(entry.record.kind, ("", ""))
    if not field or ref.name != name:
        return
    expected, found = getattr(entry.data, field), hashlib.sha256(content).hexdigest()
    if expected != found:
        what = "command" if name == "argv" else "draft"
        sheet.find("blobs", f"the stored {what} is not the one recorded", entry, expected=expected, found=found)


def _report(content: bytes, folder: Folder, sheet: Sheet) -> set[str]:
    """Compare qa.md with the report that was stored; where secrets were cut out of either, the two may differ."""
    beside = folder.files.get("qa.md")
    if beside is None or (beside != content and b"[redacted:" in beside + content):
        return set()
    if beside != content:
        sheet.find("qa", "qa.md is not the report that was stored", file=folder.path("qa.md"))
    return {"qa.md"}


def _summary(tally: Tally, sheet: Sheet) -> None:
    if tally.redacted:
        by_log = f", {tally.logged} of them by the instance log" if tally.logged else ", each by a record"
        sheet.hold("blobs", f"{tally.redacted} REDACTED{by_log}")
    if tally.present and not sheet.failed("blobs"):
        sheet.hold("blobs", f"{tally.present} present, each as its name says")
    if tally.elsewhere:
        sheet.doubt(f"what the {tally.elsewhere} blobs say (prompts, outputs, drafts): they are not here; see --blobs")
