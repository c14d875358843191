"""Write the spec: what shall hold when the issue is done."""

from __future__ import annotations

import hashlib

import msgspec

from bot.model.documents import parse_spec
from runners.phases.protocol import Bench, Issue, Made, draft, example, prompt, said, texts


async def run(bench: Bench) -> Made | None:
    """Draft the next revision from the issue, the feedback and the draft before."""
    order = bench.order
    asked = prompt(
        "spec.md",
        issue=msgspec.json.decode(bench.read(order.issue_blob), type=Issue).seen,
        example=example("spec.md"),
        feedback=said(bench, order.feedback),
        previous=texts(bench, [order.spec.commitment])[0] if order.spec else "",
    )
    text, _ = await draft(bench, asked, parse_spec)
    content = text.encode()
    data = {"spec_sha256": hashlib.sha256(content).hexdigest(), "rev": order.spec.rev + 1 if order.spec else 1}
    bench.recorder.record("spec.set", data, blobs={"text": content})
    return None
