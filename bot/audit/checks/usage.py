"""Does what attempts say they used fit their model calls, and cost.json the journal?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from bot.audit import kinds
from bot.audit.cost import SCHEMA, cost
from bot.audit.folder import Folder
from bot.audit.sheet import Entry, Sheet
from bot.model.task import Usage

NAME: Final = "cost.json"


def check(entries: Sequence[Entry], folder: Folder, sheet: Sheet) -> None:
    """Sum up model calls again; what control wrote in a lost worker's stead claims no sums."""
    found: dict[int, Usage] = {}
    for entry in entries:
        match entry.data:
            case kinds.ModelResult() as one:
                used = Usage(1, one.tokens_in, one.tokens_out, one.micro_usd)
                found[one.attempt] = found.get(one.attempt, Usage()) + used
            case kinds.AttemptEnded() as end if entry.record.actor.type == "agent":
                said = Usage(end.calls, end.tokens_in, end.tokens_out, end.micro_usd)
                summed = found.get(end.attempt, Usage())
                if said != summed:
                    what = f"attempt {end.attempt} says that it used something else than its model calls"
                    sheet.find("usage", what, entry, expected=_words(summed), found=_words(said))
    if found and not sheet.failed("usage"):
        sheet.hold("usage", _words(sum(found.values(), Usage())))
    _document(entries, folder, sheet)


def _document(entries: Sequence[Entry], folder: Folder, sheet: Sheet) -> None:
    """Derive cost.json again; evidence of older versions has none."""
    content = folder.files.get(NAME)
    if content is None or content == cost((entry.record, entry.data) for entry in entries):
        return
    if _schema(content) not in (SCHEMA, ""):
        sheet.doubt(f"that {NAME} reads as written: it is of another version")
        return
    sheet.find("usage", f"{NAME} does not say what the journal says", file=folder.path(NAME))


def _schema(content: bytes) -> str:
    try:
        body: Any = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    schema = body.get("schema", "") if isinstance(body, dict) else ""
    return schema if isinstance(schema, str) else ""


def _words(used: Usage) -> str:
    price = "price not set" if used.micro_usd is None else f"{used.micro_usd / 1_000_000:.6f} USD"
    return f"{used.calls} model calls, {used.tokens_in} tokens in, {used.tokens_out} out, {price}"
