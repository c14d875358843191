"""Mend what QA, or a person, found: one commit on top of the work."""

from __future__ import annotations

import msgspec

from bot.model.errors import GatewrightError
from bot.model.evidence import Met, QaReport
from runners.phases.protocol import Bench, Change, Made, prompt, said, texts
from runners.providers.protocol import Access


async def run(bench: Bench) -> Made | None:
    """Give the report and people's words to the model and commit what it mends."""
    order = bench.order
    if order.spec is None or not order.head:
        raise GatewrightError("GW-ORDER-HEAD", "a fix was ordered before there was any work", fix="`retry`")
    report = msgspec.json.decode(bench.read(order.verdict_blob), type=QaReport) if order.verdict_blob else None
    asked = prompt(
        "fixing.md",
        spec=texts(bench, [order.spec.commitment])[0],
        failed=[check for check in report.checks if not check.ok] if report else [],
        unmet=[verdict for verdict in report.criteria if verdict.met is not Met.MET] if report else [],
        notes=report.notes if report else (),
        feedback=said(bench, order.feedback),
        secrets=await bench.secrets(),
    )
    change = await _attempt(bench, asked)
    if not change.files or change.findings:
        change = await _attempt(bench, prompt("coding_again.md", asked=asked, change=change))
    if change.files or not await bench.unburden():  # what was wrong may have been in the history alone
        await _commit(bench, change, report)
    await bench.deliver()
    return Made(bench.head, await bench.source())


async def _attempt(bench: Bench, asked: str) -> Change:
    await bench.ask(asked, access=Access.WRITE)
    return await bench.changes()


async def _commit(bench: Bench, change: Change, report: QaReport | None) -> None:
    if change.findings:
        await bench.reset()
        raise GatewrightError(
            "GW-PATCH-REFUSED",
            "the model's fix holds what may not be committed",
            why="; ".join(change.findings[:5]),
            fix="`retry`, or say with `fix` how to do without",
        )
    if not change.files:
        raise GatewrightError(
            "GW-FIXING-NO-CHANGE",
            "the fixer changed nothing",
            why="the model ended twice without a change although QA had findings",
            fix="`fix` with a hint in your own words, or name another model for qa_fixer",
        )
    is_failed = report is not None and not report.passed
    subject = f"Fix what QA found in round {report.round}" if report and is_failed else "Change what review asked for"
    await bench.commit(subject, "", step=0, label=f"fix-{bench.order.round}")
