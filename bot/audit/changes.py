"""The population of changes, one row a task, as auditors sample it: CSV (RFC 4180) or JSON."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from bot.audit.facts import Facts
from bot.audit.gathering import Told
from bot.audit.report import FAR_FUTURE_MS, plain, when
from bot.model.state import Gate

SCHEMA: Final = "gatewright/audit-changes/v1"
FOUR_EYES: Final = 3  # number of the regulators' question
# In this order; docs/audit.md says what each holds.
COLUMNS: Final = (
    "task", "repository", "issue", "title", "requester", "author", "state", "opened", "approved", "merged",
    "spec_approvers", "plan_approvers", "scope_approvers", "change_approvers", "four_eyes", "emergency",
    "models", "calls", "tests_passed", "tests_failed", "qa", "commit", "source_sha256", "cost_usd",
    "tokens_in", "tokens_out", "level", "findings", "attention",
)  # fmt: skip
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for the beginning of one
Row = dict[str, str]


def row(one: Told, *, with_title: bool = False) -> Row:
    """Fill one row; what is not known is empty."""
    verdict = one.verdict
    cells = {"task": verdict.task, "state": verdict.state, "level": verdict.level}
    cells |= {"findings": str(len(verdict.findings)), "attention": str(len(verdict.attention))}
    rule = next((rule.result for rule in verdict.regulator if rule.number == FOUR_EYES), "")
    cells["four_eyes"] = {"ok": "yes", "failed": "no"}.get(rule, "")
    if one.facts is not None:
        cells |= _known(one.facts)
        cells["title"] = _title(one) if with_title else ""
    return {name: cells.get(name, "") for name in COLUMNS}


def as_csv(rows: Iterable[Row]) -> str:
    """Spell rows with a header; lines end with CRLF, and no cell is a formula to a spreadsheet."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(one[name]) for name in COLUMNS] for one in rows)
    return out.getvalue()


def as_json(rows: Sequence[Row]) -> str:
    """Spell rows as one document."""
    body = {"schema": SCHEMA, "changes": rows}
    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode()


def stamp(ms: int) -> str:
    """Spell a time as ISO 8601, in UTC, to the second; empty for none."""
    return when(ms).replace(" UTC", "Z").replace(" ", "T") if 0 < ms <= FAR_FUTURE_MS else ""


def usd(micro_usd: int | None) -> str:
    """Spell money in US dollars without rounding; empty where a call had no known price."""
    if micro_usd is None:
        return ""
    whole, rest = divmod(abs(micro_usd), 1_000_000)
    return f"{'-' if micro_usd < 0 else ''}{whole}.{rest:06d}"


def _known(said: Facts) -> Row:
    runs = [run for run in said.tests if said.qa and run.commit == said.qa.commit]
    people = {f"{gate.value}_approvers": _list(said.people(gate.value)) for gate in Gate}
    return people | {
        "repository": said.repository,
        "issue": str(said.issue) if said.issue else "",
        "requester": said.requester,
        "author": said.author,
        "opened": stamp(said.opened_ms),
        "approved": stamp(said.approved_ms),
        "merged": stamp(said.merged_ms),
        "emergency": "yes" if said.emergencies else "no",
        "models": _list(f"{used.provider}/{used.model} x{used.calls}" for used in said.models),
        "calls": str(said.calls),
        "tests_passed": str(sum(run.exit == 0 for run in runs)),
        "tests_failed": str(sum(run.exit != 0 for run in runs)),
        "qa": said.qa.verdict if said.qa else "",
        "commit": said.commit,
        "source_sha256": said.source_sha256,
        "cost_usd": usd(said.micro_usd),
        "tokens_in": str(said.tokens_in),
        "tokens_out": str(said.tokens_out),
    }


def _title(one: Told) -> str:
    """Read the first heading of the spec, where that is the text which the records name."""
    text = one.folder.files.get("spec.md", b"")
    named = [entry.data for entry in one.entries if entry.record.kind == "spec.set"]
    if not named or hashlib.sha256(text).hexdigest() != getattr(named[-1], "spec_sha256", ""):
        return ""
    lines = text.decode("utf-8", errors="replace").splitlines()
    return next((line.lstrip("#").strip() for line in lines if line.startswith("#")), "")


def _list(items: Iterable[str]) -> str:
    return "; ".join(items)


def _cell(text: str) -> str:
    safe = plain(text)
    return f"'{safe}" if safe.lstrip().startswith(FORMULA) or text.startswith(FORMULA) else safe
