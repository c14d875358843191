"""Do the times in the journal agree with other people's clocks?"""

from __future__ import annotations

from typing import Final

from bot.audit import kinds
from bot.audit.checks.witnessed import stamp_ms, times
from bot.audit.matter import Matter
from bot.audit.report import when
from bot.audit.sheet import Severity, Sheet
from bot.audit.trust import TOLERANCE_S

CHECK: Final = "clock"


def check(matter: Matter, sheet: Sheet) -> None:
    """Find records that claim a time before what the forge says they answer, or after who saw them."""
    tolerance = matter.trust.tolerance_ms if matter.trust else TOLERANCE_S * 1000
    for entry in matter.entries:
        data = entry.data
        at_ms = data.forge_ts if isinstance(data, kinds.Approval | kinds.Command) else 0
        if at_ms > entry.record.ts + tolerance:
            what = "claims a time before the comment that it records, by the forge's clock"
            sheet.find(CHECK, what, entry, severity=Severity.INCOMPLETE, expected=f"after {when(at_ms)}")
    last = matter.entries[-1].record.ts
    for name, at_ms in _seen(matter):
        if at_ms + tolerance < last:
            what = f"claims a time after {name} saw it"
            sheet.find(CHECK, what, matter.entries[-1], severity=Severity.INCOMPLETE, expected=f"at most {when(at_ms)}")
        elif at_ms > last + tolerance:
            sheet.doubt(f"that the task ended at {when(last)} by its own clock: {name} saw it at {when(at_ms)}")


def _seen(matter: Matter) -> list[tuple[str, int]]:
    found = []
    if matter.is_sealed and matter.size in matter.proofs:
        found += [("a witness", at_ms) for at_ms in times(matter)[:1]]
    token, mark = matter.tokens.get(matter.size), matter.marks.get(matter.size)
    if token is not None and mark is not None and matter.trust is not None and matter.trust.tsa:
        stamped = stamp_ms(token, mark.raw, matter.trust.tsa)
        found += [("a time stamp", stamped)] if isinstance(stamped, int) else []
    return found
