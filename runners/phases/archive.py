"""Bring the whole evidence to the audit ref, after the task has come to its end."""

from __future__ import annotations

from runners.phases.protocol import Bench, Made


async def run(bench: Bench) -> Made | None:
    """Push the journal as ordered; every other step does so before its own work."""
    await bench.archive()
    return None
