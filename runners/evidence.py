"""What lies beside a change: the journal as far as the order names it, and the documents of the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis

from bot.audit.blobs import Blobs
from bot.audit.chain import ChainError, digest, walk
from bot.audit.cost import cost_of
from bot.model.documents import parse_plan, parse_spec, plan_json
from bot.model.errors import GatewrightError
from bot.model.evidence import Plan, QaReport
from bot.model.order import Order
from bot.model.qa_document import render_qa
from bot.model.state import Step
from runners.names import Names
from runners.quality.trace import Work, trace
from runners.workspace.git import Git

LABEL: Final = "evidence"  # the step that a commit of evidence names


async def journal(redis: Redis, names: Names, order: Order) -> tuple[bytes, ...]:
    """Read the journal up to what the order names, and only if it is the very chain that control signed for."""
    if order.journal_size == 0:
        return ()
    stored = await redis.lrange(names.journal, 0, order.journal_size - 1)
    lines = [line for line in stored if isinstance(line, bytes)]
    try:
        for _ in walk(lines, order.genesis):
            pass
    except ChainError as error:
        raise _foreign(error.what) from error
    if len(lines) != order.journal_size or digest(lines[-1]) != order.journal_head:
        raise _foreign("it does not end where the order says")
    return tuple(lines)


def plan(order: Order, blobs: Blobs) -> Plan:
    """Read the approved plan; one without steps where there is none, which covers nothing."""
    if order.spec is None or order.plan is None:
        return Plan("", "", ())
    return parse_plan(blobs.get(order.plan.commitment).decode(), parse_spec(blobs.get(order.spec.commitment).decode()))


def documents(order: Order, blobs: Blobs, work: Sequence[Work], lines: Sequence[bytes] = ()) -> dict[str, bytes]:
    """Gather the documents there are so far: spec, plan, QA report, trace, and what the journal's `lines` cost."""
    found = {"cost.json": cost_of(lines)} if lines else {}
    if order.spec is None:
        return found
    spec_text = blobs.get(order.spec.commitment)
    found["spec.md"] = spec_text
    if order.plan is None or order.step is Step.PLANNING:  # there the plan is a draft that people sent back
        return found
    spec = parse_spec(spec_text.decode())
    plan_text = blobs.get(order.plan.commitment)
    written = parse_plan(plan_text.decode(), spec)
    found |= {"plan.md": plan_text, "plan.json": plan_json(written)}
    report = msgspec.json.decode(blobs.get(order.verdict_blob), type=QaReport) if order.verdict_blob else None
    if report is not None:
        found["qa.md"] = render_qa(report, spec).encode()
    if order.head:
        found["trace.json"] = trace(order.task, spec, written, work, report)
    return found


def _foreign(why: str) -> GatewrightError:
    return GatewrightError(
        "GW-JOURNAL-FOREIGN",
        "the journal in Redis is not the one that control signed for",
        why=why,
        fix="verify it with `gatewright audit verify`; somebody else has written to Redis",
    )


def trailers(order: Order, label: str = "", model: str = "") -> dict[str, str]:
    """Name in a commit whose it is, for which step, by which model, and up to where the journal was signed."""
    named = {"Gatewright-Step": label, "Gatewright-Model": model, "Audit-Checkpoint": order.checkpoint}
    return {"Gatewright-Task": order.task} | {key: value for key, value in named.items() if value}


async def work(git: Git, order: Order, head: str) -> tuple[Work, ...]:
    """Read the steps out of the trailers of our own commits."""
    form = "%H%x00%(trailers:key=Gatewright-Task,valueonly)%x00%(trailers:key=Gatewright-Step,valueonly)%x01"
    raw = await git.run("log", "--reverse", f"--format={form}", f"{order.base_commit}..{head}")
    rows = [row.strip("\n").split("\0") for row in raw.decode("utf-8", "replace").split("\x01") if row.strip()]
    ours = [(commit, label.strip()) for commit, task, label in rows if task.strip() == order.task]
    return tuple(
        Work(int(step) if step.isdecimal() else 0, commit)
        for commit, label in ours
        if label != LABEL
        for step in label.split(",")  # several where commits were made anew as one
    )
