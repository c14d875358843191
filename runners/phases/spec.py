"""Write the spec: what shall hold when the issue is done."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from bot.model.documents import parse_spec, render_spec
from runners.phases.protocol import Bench, Issue, Made, draft, example, prompt, said, texts

NAMED: Final = 5  # paths of one kind that are named


async def run(bench: Bench) -> Made | None:
    """Draft the next revision from the issue, the feedback and the draft before."""
    order = bench.order
    noted = beside(bench)
    if missing := sorted({each.kind for each in bench.beside if each.why}, reverse=True):
        bench.recorder.record("gate", {"rule": "absent content", "result": ", ".join(missing)})
    asked = prompt(
        "spec.md",
        absent=noted,
        issue=msgspec.json.decode(bench.read(order.issue_blob), type=Issue).seen,
        example=example("spec.md"),
        feedback=said(bench, order.feedback),
        previous=texts(bench, [order.spec.commitment])[0] if order.spec else "",
    )
    text, written = await draft(bench, asked, parse_spec)
    if unsaid := tuple(words for words in noted if words not in written.out_of_scope):
        text = render_spec(msgspec.structs.replace(written, out_of_scope=(*written.out_of_scope, *unsaid)))
    content = text.encode()
    data = {"spec_sha256": hashlib.sha256(content).hexdigest(), "rev": order.spec.rev + 1 if order.spec else 1}
    bench.recorder.record("spec.set", data, blobs={"text": content})
    return None


def beside(bench: Bench) -> tuple[str, ...]:
    """Say in words for people what the base commit only names, and how much of it agents see; mostly nothing."""
    groups: dict[tuple[str, bool], list[str]] = {}
    for each in bench.beside:
        path = each.path if each.path.isprintable() else ascii(each.path)
        groups.setdefault((each.kind, not each.why), []).append(": ".join(part for part in (path, each.why) if part))
    return tuple(
        prompt("beside.md", kind=kind, is_shown=is_shown, named=named[:NAMED], more=len(named[NAMED:])).strip()
        for (kind, is_shown), named in sorted(groups.items(), reverse=True)
    )
