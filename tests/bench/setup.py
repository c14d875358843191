"""What the [setup] of a repository costs a task, the first time and afterwards: `python -m tests.bench.setup`.

Whole QA attempts on one commit, real jails and real git, recorded answers: without a set-up, with one that has to be
made, and with one that is kept. The set-up waits as long as a small installation takes, and leaves COUNT files in the
tree and as many in its home. Rounds alternate, after a first one that nobody counts.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bot.embedded import EmbeddedRedis
from bot.model.state import Step
from runners.workspace.sandbox import probe
from tests.bench.figures import Figure, machine, percentiles
from tests.runners.stage import CODED, FILES, Stage, judged, raised

ROUNDS = int(os.environ.get("ROUNDS", "8"))
SECONDS = 2.0  # for which the set-up itself waits
COUNT = 1_000
LINE = (
    f"mkdir -p lib ~/.cache/tool; for n in $(seq {COUNT}); do echo $n >lib/$n; echo $n >~/.cache/tool/$n; done; "
    f"sleep {SECONDS}"
)
CHECKS = "[checks]\nunit = 'true'\n"
NONE, MADE, KEPT = "no set-up", "set-up made", "set-up kept"


async def measure(first: str, second: str) -> dict[str, list[float]]:
    """Time the ways, in milliseconds; each repository has a Redis of its own, for their tasks have one name."""
    files = {**FILES, ".gitignore": "lib/\n", "package.lock": "1\n"}
    bare, full = {".gatewright.toml": CHECKS}, {".gatewright.toml": f"setup = ['{LINE}']\n{CHECKS}"}
    times: dict[str, list[float]] = {NONE: [], MADE: [], KEPT: []}
    with raised(first, {**files, **bare}) as plain, raised(second, {**files, **full}) as stage:
        heads = {each: await _coded(each) for each in (plain, stage)}
        for _ in range(ROUNDS + 1):
            times[NONE].append(await _judged(plain, heads[plain]))
            shutil.rmtree(stage.site.work / "setup")
            times[MADE].append(await _judged(stage, heads[stage]))
            times[KEPT].append(await _judged(stage, heads[stage]))
    return {name: seen[1:] for name, seen in times.items()}


async def _coded(stage: Stage) -> str:
    stage.record(coding=CODED, qa=[judged("met", "met")])
    reports = await stage.perform(stage.order(Step.CODING))
    commit: str = reports.end["data"]["commit"]
    return commit


async def _judged(stage: Stage, head: str) -> float:
    order = stage.order(Step.QA, head=head)
    began = time.perf_counter()
    reports = await stage.perform(order)
    took = (time.perf_counter() - began) * 1e3
    if reports.end["outcome"] != "ok":
        raise RuntimeError(reports.explanation())
    return took


def run() -> Sequence[Figure]:
    """Measure and print."""
    if why := probe():
        print(f"no jail can start here: {why}")
        return ()
    with (
        tempfile.TemporaryDirectory(prefix="gw-bench-") as name,
        EmbeddedRedis(Path(name) / "a") as first, EmbeddedRedis(Path(name) / "b") as second,
    ):  # fmt: skip
        times = asyncio.run(measure(first.url, second.url))
    print(f"a whole QA attempt, {ROUNDS} rounds; the set-up waits {SECONDS:.0f} s and leaves 2 x {COUNT} files")
    print(f"{machine()}\n{'':16}{'p50':>8}{'p95':>8}{'min':>8}   ms")
    for label, seen in times.items():
        middle, high = percentiles(seen)
        print(f"{label:16}{middle:>8.0f}{high:>8.0f}{min(seen):>8.0f}")
    half = {label: statistics.median(seen) for label, seen in times.items()}
    beside = f"making it: {half[MADE] - half[NONE]:.0f}; the attempt without any: {half[NONE]:.0f}"
    return (Figure("kept set-up, per attempt", half[KEPT] - half[NONE], "ms", note=beside),)


if __name__ == "__main__":
    run()
