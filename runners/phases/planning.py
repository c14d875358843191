"""Write the plan: in which steps the approved spec is carried out."""

from __future__ import annotations

import hashlib

from bot.model.documents import parse_plan, parse_spec
from bot.model.errors import GatewrightError
from runners.phases.protocol import Bench, Made, draft, example, prompt, said, texts


async def run(bench: Bench) -> Made | None:
    """Draft the next revision from the spec, the feedback and the draft before."""
    order = bench.order
    if order.spec is None:
        raise GatewrightError("GW-ORDER-SPEC", "a plan was ordered without a spec", fix="`revise` the spec")
    spec_text = texts(bench, [order.spec.commitment])[0]
    spec = parse_spec(spec_text)
    asked = prompt(
        "planning.md",
        spec=spec_text,
        example=example("plan.md"),
        feedback=said(bench, order.feedback),
        previous=texts(bench, [order.plan.commitment])[0] if order.plan else "",
    )
    text, _ = await draft(bench, asked, lambda written: parse_plan(written, spec))
    content = text.encode()
    data = {"plan_sha256": hashlib.sha256(content).hexdigest(), "rev": order.plan.rev + 1 if order.plan else 1}
    bench.recorder.record("plan.set", data, blobs={"text": content})
    return None
