"""What a step of our tool loop costs over the bare command, beside mini-swe-agent: `python -m tests.bench.loop`.

Each round is a process of its own which runs N times `true` bare and then through the loop with a model that answers at
once; rounds of the contenders alternate. CPU is user + system of the process and its children, from getrusage. There is
no jail and records go into a list, so that what is left is the loop. mini-swe-agent is no dependency of ours: it is
measured where this Python has it, or GATEWRIGHT_BENCH_MINI names one that does.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bench.figures import Figure

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SIZES = (50, 400)
AIM_MS = 1.0  # CPU a step over the bare command


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Do some work; give wall and CPU seconds."""
    before, started = _cpu(), time.perf_counter()
    work()
    return time.perf_counter() - started, _cpu() - before


def _cpu() -> float:
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def ours(steps: int, folder: Path) -> dict[str, float]:
    """Play a recording of `steps` commands."""
    import msgspec

    from bot.model.state import Phase
    from runners.loop.loop import Loop
    from runners.providers.protocol import Access, Limits, Request
    from runners.providers.scripted import Recording, connector
    from tests.runners.loop.parts import BareJail, PlainDoor

    class Records(list[object]):
        def record(self, *report: object, **more: object) -> None:
            self.append((report, more))

    # The number makes each call a new one: the same over and over would be noticed as going in circles.
    turns = [{"calls": [{"tool": "run", "arguments": {"command": f"true {n}"}}]} for n in range(steps)]
    recording = msgspec.convert(
        {"format": "gatewright-recording/1", "phases": {"coding": [[*turns, {"text": "done"}]]}}, Recording
    )
    loop, jail = Loop("scripted", connector(recording)), BareJail(folder)
    request = Request(
        phase=Phase.CODING, model="bench", system="You are a bot.", prompt="Task: noop", access=Access.WRITE,
        limits=Limits(turns=steps + 1),
    )  # fmt: skip

    async def bare(count: int) -> None:
        for n in range(count):
            await jail.run(("/bin/sh", "-c", f"true {n}"), timeout=30)

    with asyncio.Runner() as runner:
        runner.run(bare(20))  # imports and caches are warm for both
        floor = measured(lambda: runner.run(bare(steps)))
        records = Records()
        spent = measured(lambda: runner.run(loop.run(request, jail, PlainDoor(), records)))
    assert len(records) == 4 * steps + 2, "a call and a result for each command and for each answer"
    return _per_step(steps, floor, spent)


def mini(steps: int, folder: Path, *, save: bool) -> dict[str, float]:
    """Let mini-swe-agent's own deterministic model do the same; `save` keeps its trajectory file, as `mini` does."""
    os.environ |= {"MSWEA_SILENT_STARTUP": "1", "MSWEA_GLOBAL_CONFIG_DIR": str(folder)}
    from minisweagent.agents.default import DefaultAgent  # type: ignore[import-not-found]
    from minisweagent.environments.local import LocalEnvironment  # type: ignore[import-not-found]
    from minisweagent.models.test_models import DeterministicModel, make_output  # type: ignore[import-not-found]

    end = [{"command": "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"}]
    outputs = [make_output(f"step {n}", [{"command": f"true {n}"}], 0.0) for n in range(steps)]
    agent = DefaultAgent(
        DeterministicModel(outputs=[*outputs, make_output("end", end, 0.0)]), LocalEnvironment(cwd=str(folder)),
        system_template="You are a bot.", instance_template="Task: {{task}}", cost_limit=0,
        output_path=folder / "trajectory.json" if save else None,
    )  # fmt: skip

    def bare() -> None:
        for n in range(steps + 1):
            subprocess.run(f"true {n}", shell=True, check=True, cwd=folder, capture_output=True, timeout=30)

    floor = measured(bare)
    spent = measured(lambda: agent.run("noop"))
    assert agent.n_calls == steps + 1
    return _per_step(steps + 1, floor, spent)


def _per_step(steps: int, floor: tuple[float, float], spent: tuple[float, float]) -> dict[str, float]:
    wall, cpu = (1_000 * value / steps for value in spent)
    bare_wall, bare_cpu = (1_000 * value / steps for value in floor)
    return {"wall": wall, "bare_wall": bare_wall, "cpu": cpu, "bare_cpu": bare_cpu, "over": cpu - bare_cpu}


def contenders() -> dict[str, str]:
    """Name who can run here, with the Python to run it."""
    found = {"gatewright": sys.executable}
    python = os.environ.get("GATEWRIGHT_BENCH_MINI", "")
    if not python and importlib.util.find_spec("minisweagent"):
        python = sys.executable
    if python:
        found |= {"mini-swe-agent": python, "mini-swe-agent, trajectory": python}
    return found


def child(name: str, steps: int) -> None:
    """Run one round and print it."""
    with tempfile.TemporaryDirectory() as folder:
        if name == "gatewright":
            result = ours(steps, Path(folder))
        else:
            result = mini(steps, Path(folder), save=name.endswith("trajectory"))
    print(json.dumps(result))


def run() -> Sequence[Figure]:
    """Alternate the contenders and print medians."""
    from tests.bench.figures import Figure, machine  # the Python of a contender need not have what this takes

    found = contenders()
    rounds: dict[tuple[str, int], list[dict[str, float]]] = {}
    for _ in range(ROUNDS):
        for steps in SIZES:
            for name, python in found.items():
                ran = subprocess.run(
                    [python, "-P", __file__, name, str(steps)], capture_output=True, text=True, check=True,
                    env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
                )  # fmt: skip
                rounds.setdefault((name, steps), []).append(json.loads(ran.stdout.splitlines()[-1]))
    print(
        f"tool loop, `true` at each step, medians of {ROUNDS} rounds, ms a step; "
        f"aim: <= {AIM_MS:g} ms CPU over bare, flat in N; {machine()}"
    )
    print(f"{'':28} {'N':>4} {'CPU over bare':>14} {'(min)':>7} {'CPU':>6} {'bare':>6} {'wall':>6} {'bare':>6}")
    for (name, steps), results in rounds.items():
        median = {key: statistics.median(result[key] for result in results) for key in results[0]}
        least = min(result["over"] for result in results)
        rest = "".join(f" {median[key]:>6.2f}" for key in ("cpu", "bare_cpu", "wall", "bare_wall"))
        print(f"{name:28} {steps:>4} {median['over']:>14.2f} {least:>7.2f}{rest}")
    if len(found) == 1:
        print("mini-swe-agent: absent; GATEWRIGHT_BENCH_MINI=/path/to/python measures one that is installed elsewhere")
    few, many = (statistics.median(r["over"] for r in rounds["gatewright", steps]) for steps in SIZES)
    return (
        Figure(f"tool loop, CPU a step over bare, N = {SIZES[0]}", few, "ms", AIM_MS),
        Figure(f"tool loop, CPU a step over bare, N = {SIZES[1]}", many, "ms", AIM_MS),
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1], int(sys.argv[2]))
    else:
        run()
