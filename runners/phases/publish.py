"""Put the evidence beside the change, before people are asked to approve it."""

from __future__ import annotations

import msgspec

from bot.model.documents import parse_plan, parse_spec, plan_json
from bot.model.errors import GatewrightError
from bot.model.evidence import QaReport
from runners.phases.protocol import Bench, Made, texts
from runners.phases.qa import render
from runners.quality.trace import trace


async def run(bench: Bench) -> Made | None:
    """Commit spec, plan, QA report, trace and journal on top of the work, and push."""
    made = await bench.seal(await documents(bench))
    await bench.push()
    return made


async def documents(bench: Bench) -> dict[str, bytes]:
    """Gather the documents that exist so far."""
    order = bench.order
    if order.spec is None:
        return {}
    spec_text = texts(bench, [order.spec.commitment])[0]
    found = {"spec.md": spec_text.encode()}
    if order.plan is None:
        return found
    plan_text = texts(bench, [order.plan.commitment])[0]
    spec = parse_spec(spec_text)
    plan = parse_plan(plan_text, spec)
    report = msgspec.json.decode(bench.read(order.verdict_blob), type=QaReport) if order.verdict_blob else None
    found |= {"plan.md": plan_text.encode(), "plan.json": plan_json(plan)}
    if report is not None:
        found |= {"qa.md": render(report, spec).encode()}
    if order.head:
        found |= {"trace.json": trace(order.task, spec, plan, await bench.work(), report)}
    return found
