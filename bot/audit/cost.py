"""cost.json: what each phase and each attempt used, derived from the journal that it lies beside; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from bot.audit import kinds
from bot.audit.account import counted, settled
from bot.audit.record import Record, data_of, decode
from bot.model.task import Usage

SCHEMA: Final = "gatewright/cost/v1"


class Line(msgspec.Struct, frozen=True):
    """One attempt; money is integer micro-USD, null where a call had no known price."""

    attempt: int
    step: str
    models: tuple[str, ...]
    outcome: str = "running"
    dur_ms: int = 0
    usage: Usage = Usage()


def cost_of(lines: Iterable[bytes]) -> bytes:
    """Derive cost.json from a journal's lines."""
    return cost((record, data_of(record)) for record in map(decode, lines))


def cost(entries: Iterable[tuple[Record, kinds.Data]]) -> bytes:
    """Write cost.json: canonical order, two-space indent, a final newline; attempts that ask no model are left out."""
    task, found = "", dict[int, Line]()
    for record, data in entries:
        task = task or record.task
        _take(found, record, data)
    asked = [line for line in found.values() if line.models or line.usage.calls]
    body = {
        "schema": SCHEMA,
        "task": task,
        "total": _figures(asked),
        "phases": {
            step: {"models": sorted({model for one in asked if one.step == step for model in one.models})}
            | _figures([one for one in asked if one.step == step])
            for step in dict.fromkeys(line.step for line in asked)
        },
        "attempts": [
            {"attempt": one.attempt, "step": one.step, "models": one.models, "outcome": one.outcome}
            | _figures([one], is_one=True)
            for one in asked
        ],
    }
    return msgspec.json.format(msgspec.json.encode(body, order="sorted"), indent=2) + b"\n"


def _take(found: dict[int, Line], record: Record, data: kinds.Data) -> None:
    if isinstance(data, kinds.AttemptStarted):
        found[data.attempt] = Line(data.attempt, data.step, (data.model,) if data.model else ())
        return
    line = found.get(getattr(data, "attempt", -1))
    if line is None:
        return
    if isinstance(data, kinds.AttemptEnded):
        usage = settled(line.usage, data)
        line = msgspec.structs.replace(line, usage=usage, outcome=record.outcome, dur_ms=data.dur_ms)
    elif isinstance(data, kinds.GateResult) and data.rule == "fallback":
        line = msgspec.structs.replace(line, models=(*line.models, data.result))
    elif isinstance(data, kinds.ModelCall | kinds.ModelResult):
        line = msgspec.structs.replace(line, usage=counted(line.usage, data))
    found[line.attempt] = line


def _figures(lines: list[Line], *, is_one: bool = False) -> dict[str, Any]:
    used = sum((line.usage for line in lines), Usage())
    figures: dict[str, Any] = {
        "calls": used.calls, "tokens_in": used.tokens_in, "tokens_out": used.tokens_out, "micro_usd": used.micro_usd,
        "dur_ms": sum(line.dur_ms for line in lines),
    }  # fmt: skip
    return figures if is_one else figures | {"attempts": len(lines)}
