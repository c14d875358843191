"""Are the documents beside the journal those that it speaks of?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from bot.audit.folder import Folder
from bot.audit.sheet import Severity, Sheet
from bot.model.documents import DocumentError, parse_plan, parse_spec, plan_json

TEXTS = {"spec": "spec.md", "plan": "plan.md"}


def check(
    folder: Folder,
    drafts: Mapping[str, str],
    approved: Collection[str],
    judged: str,
    bound: Collection[str],
    sheet: Sheet,
) -> None:
    """Compare with the drafts in force (gate -> sha256) and the judged commit; `bound` are documents held already."""
    for gate, name in TEXTS.items():
        _text(folder, name, gate, drafts.get(gate), sheet, is_approved=gate in approved)
    derived = _plan_json(folder, sheet)
    _trace(folder, judged, sheet)
    unbound = {"qa.md", "trace.json"} - set(bound) | ({"plan.json"} if not derived else set())
    named = sorted(unbound & set(folder.files))
    if named:
        sheet.doubt(
            f"that {', '.join(named)} {'reads' if len(named) == 1 else 'read'} as written: no record binds that"
        )


def _text(folder: Folder, name: str, gate: str, sha256: str | None, sheet: Sheet, *, is_approved: bool) -> None:
    content = folder.files.get(name)
    if content is None:
        if is_approved:
            what = f"{name} was approved and is not here"
            sheet.find(gate, what, severity=Severity.INCOMPLETE, file=folder.path(name))
        return
    found = hashlib.sha256(content).hexdigest()
    if sha256 is None:
        sheet.find(gate, "no record speaks of it", file=folder.path(name), found=found)
    elif found != sha256:
        what = f"{name} is not the text that the journal names"
        sheet.find(gate, what, file=folder.path(name), expected=sha256, found=found)


def _plan_json(folder: Folder, sheet: Sheet) -> bool:
    """Derive plan.json again; tell whether that could be done."""
    texts = [folder.files.get(name) for name in ("spec.md", "plan.md", "plan.json")]
    if None in texts:
        return False
    spec, plan, derived = (text or b"" for text in texts)
    try:
        expected = plan_json(parse_plan(plan.decode(), parse_spec(spec.decode())))
    except (DocumentError, UnicodeDecodeError):
        return False  # another version's grammar
    if expected != derived:
        sheet.find("plan", "plan.json does not say what plan.md says", file=folder.path("plan.json"))
    return True


def _trace(folder: Folder, judged: str, sheet: Sheet) -> None:
    """Hold trace.json to the commit of the last verdict."""
    content, path = folder.files.get("trace.json"), folder.path("trace.json")
    if content is None:
        return
    try:
        body: Any = json.loads(content)
        said = (body["judged"] or {}).get("commit", "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        sheet.find("trace", "is not the document it should be", file=path)
        return
    if said != judged:
        what = "names another judged commit than the journal"
        sheet.find("trace", what, file=path, expected=judged or "none", found=str(said) or "none")
