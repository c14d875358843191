"""Put the evidence beside the change, before people are asked to approve it."""

from __future__ import annotations

from runners.phases.protocol import Bench, Made


async def run(bench: Bench) -> Made | None:
    """Commit spec, plan, QA report, trace and journal on top of the work, and push."""
    made = await bench.seal()
    await bench.push()
    return made
