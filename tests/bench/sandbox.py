"""What the jail costs beside the bare command and bubblewrap alone: `python -m tests.bench.sandbox`.

Rounds alternate, each starts `true` once in each way, after a first round that nobody counts. A root worker drops to
the jail's user, an ordinary one does not have to; the figure is for whoever runs it. The relay is waited for, since the
agent may use it at once. Where the machine grants control groups, the jail's group is part of it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from bot import settings
from runners.workspace import cgroup, options
from runners.workspace.files import open_root
from runners.workspace.sandbox import Sandbox, probe
from tests.bench.figures import Figure, machine, percentiles

ROUNDS = int(os.environ.get("ROUNDS", "60"))
AIM_MS, AIM_RELAY_MS = 20.0, 100.0
BWRAP = [
    "bwrap", "--unshare-all", "--die-with-parent", "--new-session", *options.system(),
    "--proc", "/proc", "--dev", "/dev", "true",
]  # fmt: skip

Way = Callable[[], Awaitable[object]]


async def plain(*argv: str) -> None:
    """Start a program and wait for its end."""
    process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL)
    if await process.wait():
        raise RuntimeError(f"{argv[0]} ended with {process.returncode}")


async def jailed(jail: Sandbox) -> None:
    """Run a program in a jail that is there already."""
    ended = await jail.run(["true"], timeout=30)
    if ended.exit_code:
        raise RuntimeError(ended.output)


async def fresh(make: Callable[[], Sandbox]) -> None:
    """Make a jail, run a program in it, and end it."""
    jail = make()
    await jailed(jail)
    await jail.close()


async def measure(place: Path) -> dict[str, list[float]]:
    """Time every way, in milliseconds."""
    table = settings.Sandbox()
    work = open_root(place / "work", table.user)
    tree = work / "tree"
    tree.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(tree, table.user, table.user)
    server = await asyncio.start_unix_server(lambda _, writer: writer.close(), work / "gw.sock")
    (work / "gw.sock").chmod(0o777)
    closed = Sandbox.create(table, tree, directory=work / "closed")
    opened = Sandbox.create(table, tree, directory=work / "opened", socket=work / "gw.sock")
    ways: dict[str, Way] = {
        "true": lambda: plain("true"),
        "bwrap alone": lambda: plain(*BWRAP),
        "jail": lambda: jailed(closed),
        "jail, with relay": lambda: jailed(opened),
        "jail, made and ended": lambda: fresh(lambda: Sandbox.create(table, tree, directory=work / "fresh")),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            await way()
            times[name].append((time.perf_counter() - began) * 1e3)
    await closed.close()
    await opened.close()
    server.close()
    await server.wait_closed()
    return {name: seen[1:] for name, seen in times.items()}


def run() -> Sequence[Figure]:
    """Measure and print."""
    if why := probe():
        print(f"no jail can start here: {why}")
        return ()
    place = Path(tempfile.mkdtemp(prefix="gw-bench-"))
    place.chmod(0o711)
    try:
        times = asyncio.run(measure(place))
    finally:
        shutil.rmtree(place)
    who = "a root worker, dropped" if os.geteuid() == 0 else "an ordinary worker"
    group = ", ".join(sorted(cgroup.find().holds)) or "none"
    print(f"start to end of `true`, medians of {ROUNDS} rounds; {who}; control groups: {group}; {machine()}")
    print(f"{'':24}{'p50':>8}{'p95':>8}{'min':>8}   ms")
    for name, seen in times.items():
        middle, high = percentiles(seen)
        print(f"{name:24}{middle:>8.1f}{high:>8.1f}{min(seen):>8.1f}")
    half = {name: statistics.median(seen) for name, seen in times.items()}
    beside = f"bwrap alone: {half['bwrap alone']:.1f}, fork and exec: {half['true']:.1f}"
    return (
        Figure("sandbox start", half["jail"], "ms", AIM_MS, note=beside),
        Figure("sandbox start with relay", half["jail, with relay"], "ms", AIM_RELAY_MS, note=beside),
    )


if __name__ == "__main__":
    run()
