"""Carry out the approved plan, step by step, one commit a step."""

from __future__ import annotations

import re
from typing import Final

from bot.model.documents import parse_plan, parse_spec
from bot.model.errors import GatewrightError
from bot.model.evidence import Plan, PlanStep
from runners.phases.protocol import Bench, Change, Made, prompt, said, texts
from runners.providers.protocol import Access, Result

SATISFIED: Final = re.compile(r"^\W{0,3}NO CHANGE NEEDED:\s*(\S.*)$", re.MULTILINE)


async def run(bench: Bench) -> Made | None:
    """Go on after the last step that has a commit, and deliver the branch when all are done."""
    order = bench.order
    if order.spec is None or order.plan is None:
        raise GatewrightError("GW-ORDER-PLAN", "coding was ordered without a spec and a plan", fix="`revise` the plan")
    spec_text, plan_text = texts(bench, [order.spec.commitment, order.plan.commitment])
    plan = parse_plan(plan_text, parse_spec(spec_text))
    done = {work.step for work in await bench.work()}
    _report(bench, plan, len(done & {step.number for step in plan.steps}))
    for position, step in enumerate(plan.steps, 1):
        if step.number not in done:
            reason = await _carry_out(bench, step, spec_text, plan_text)
            _report(bench, plan, position, reason)
    await bench.deliver()
    return Made(bench.head, await bench.source())


async def _carry_out(bench: Bench, step: PlanStep, spec: str, plan: str) -> str:
    """Do one step; answer why it needed no change where that is so."""
    asked = prompt("coding.md", step=step, spec=spec, plan=plan, feedback=said(bench, bench.order.feedback))
    result, change = await _attempt(bench, asked)
    if not change.files or change.findings:
        result, change = await _attempt(bench, prompt("coding_again.md", asked=asked, change=change))
    if change.findings:
        await bench.reset()
        raise refused(change)
    if change.files:
        await bench.commit(step.title, _body(step), step=step.number, label=str(step.number))
        return ""
    satisfied = SATISFIED.search(result.text)
    if satisfied:
        return satisfied[1]
    raise GatewrightError(
        "GW-CODING-NO-CHANGE",
        f"step {step.number} ({step.title}) changed nothing",
        why="the model ended twice without a change and without saying that none is needed",
        fix="`retry`, `revise` the plan, or name another model for coding",
    )


async def _attempt(bench: Bench, asked: str) -> tuple[Result, Change]:
    result = await bench.ask(asked, access=Access.WRITE)
    return result, await bench.changes()


def refused(change: Change) -> GatewrightError:
    """Say which parts of a change may not be committed."""
    return GatewrightError(
        "GW-PATCH-REFUSED",
        "the model's change holds what may not be committed",
        why="; ".join(change.findings[:5]),
        fix="`retry`, or `revise` the plan so that it does without",
    )


def _report(bench: Bench, plan: Plan, done: int, reason: str = "") -> None:
    blobs = {"no_change": reason.encode()} if reason else None
    bench.recorder.record("progress", {"done": done, "total": len(plan.steps)}, blobs=blobs)


def _body(step: PlanStep) -> str:
    return f"{step.detail}\n\nServes {', '.join(step.criteria)}." if step.criteria else step.detail
