"""Write the spec: what shall hold when the issue is done."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from bot.model.documents import parse_spec, render_spec
from runners.phases.protocol import Bench, Issue, Made, draft, example, prompt, said, texts

ATTRIBUTES: Final = 50  # files of this name that are read


async def run(bench: Bench) -> Made | None:
    """Draft the next revision from the issue, the feedback and the draft before."""
    order = bench.order
    missing = await absent(bench)
    if missing:
        bench.recorder.record("gate", {"rule": "absent content", "result": ", ".join(missing)})
    asked = prompt(
        "spec.md",
        absent=tuple(missing.values()),
        issue=msgspec.json.decode(bench.read(order.issue_blob), type=Issue).seen,
        example=example("spec.md"),
        feedback=said(bench, order.feedback),
        previous=texts(bench, [order.spec.commitment])[0] if order.spec else "",
    )
    text, written = await draft(bench, asked, parse_spec)
    if unsaid := tuple(words for words in missing.values() if words not in written.out_of_scope):
        text = render_spec(msgspec.structs.replace(written, out_of_scope=(*written.out_of_scope, *unsaid)))
    content = text.encode()
    data = {"spec_sha256": hashlib.sha256(content).hexdigest(), "rev": order.spec.rev + 1 if order.spec else 1}
    bench.recorder.record("spec.set", data, blobs={"text": content})
    return None


async def absent(bench: Bench) -> dict[str, str]:
    """Name what of the base commit agents see no content of, with words for people; most repositories have none."""
    found, paths = [], await bench.base_paths()
    if ".gitmodules" in paths:
        found.append("submodules")
    for path in [path for path in paths if path.rpartition("/")[2] == ".gitattributes"][:ATTRIBUTES]:
        if b"filter=lfs" in (await bench.base_file(path) or b""):
            found.append("lfs")
            break
    return {kind: prompt("absent.md", kind=kind).strip() for kind in found}
