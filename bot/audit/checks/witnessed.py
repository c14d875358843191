"""Level 5: did others see the log's head, or stamp the seal, and when?"""

from __future__ import annotations

from datetime import UTC
from hashlib import sha256
from typing import Final

from bot.audit.checks.logged import head_problem
from bot.audit.matter import Matter
from bot.audit.report import when
from bot.audit.sheet import Severity, Sheet

CHECK: Final = "witness"
TIME: Final = "time"


def check(matter: Matter, sheet: Sheet) -> bool:
    """Tell whether level 5 is reached: cosigned by the quorum, or time-stamped."""
    trust = matter.trust
    if trust is None or matter.task_key is None:
        return False
    cosigned = _cosigned(matter, sheet) if trust.witnesses else False
    stamped = _stamped(matter, sheet) if trust.tsa else False
    return (cosigned or stamped) and not sheet.failed(CHECK, Severity.TAMPERED) and not sheet.failed(TIME)


def times(matter: Matter) -> list[int]:
    """List when trusted witnesses saw a head above the newest proven checkpoint (Unix ms)."""
    trust, last = matter.trust, max(matter.proofs, default=0)
    if trust is None or not last or head_problem(matter.proofs[last].checkpoint, trust, matter.log):
        return []
    note = matter.proofs[last].checkpoint
    return sorted(seen * 1000 for key in trust.witnesses if (seen := note.cosigned_s(key)) is not None)


def _cosigned(matter: Matter, sheet: Sheet) -> bool:
    trust = matter.trust
    if trust is None:
        return False
    seen = times(matter)
    last = max(matter.proofs, default=0)
    if len(seen) >= trust.quorum:
        at = seen[trust.quorum - 1]
        sheet.hold(
            CHECK, f"{len(seen)} of {len(trust.witnesses)} cosigned the log above record {last - 1}, by {when(at)}"
        )
        return last == matter.size or not matter.is_sealed
    what = f"{len(seen)} trusted witnesses cosigned the log above this task, {trust.quorum} are wanted"
    if matter.is_ended:
        sheet.find(CHECK, what, severity=Severity.INCOMPLETE)
    else:
        sheet.doubt(f"that witnesses saw it: {what}")
    return False


def _stamped(matter: Matter, sheet: Sheet) -> bool:
    token = matter.tokens.get(matter.size)
    path = matter.folder.path(f"audit/proofs/{matter.size:010d}.tsr")
    if token is None or matter.size not in matter.marks:
        if matter.is_sealed and matter.trust is not None and not matter.trust.witnesses:
            sheet.find(TIME, "the seal has no time stamp", severity=Severity.INCOMPLETE, file=path)
        elif matter.is_sealed:
            sheet.doubt("when the seal was made by another clock: it has no time stamp")
        return False
    stamped = stamp_ms(token, matter.marks[matter.size].raw, matter.trust.tsa if matter.trust else ())
    if isinstance(stamped, str):
        is_gap = stamped.startswith("cannot")
        sheet.find(TIME, stamped, severity=Severity.INCOMPLETE if is_gap else Severity.TAMPERED, file=path)
        return False
    sheet.hold(TIME, f"sealed not later than {when(stamped)}, by a trusted time stamp")
    return True


def stamp_ms(token: bytes, content: bytes, roots: tuple[str, ...]) -> int | str:
    """Verify an RFC 3161 response over SHA-256 of the content: its time (Unix ms), or why it does not count."""
    try:
        from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415 - what is optional is asked for here
        from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response  # noqa: PLC0415
    except ImportError:
        return "cannot be checked: install gatewright[tsa]"
    try:
        builder = VerifierBuilder()
        for pem in roots:
            builder = builder.add_root_certificate(load_pem_x509_certificate(pem.encode()))
        response = decode_timestamp_response(token)
        builder.build().verify(response, sha256(content).digest())
    except (ValueError, VerificationError) as error:
        return f"is no time stamp over this seal by a trusted authority: {error}"
    return int(response.tst_info.gen_time.replace(tzinfo=UTC).timestamp() * 1000)
