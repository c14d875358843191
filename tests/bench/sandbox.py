"""What the jail costs beside the bare command and bubblewrap alone: `python -m tests.bench.sandbox`.

Rounds alternate, each starts `true` once in each way, after a first round that nobody counts. The relay is waited for,
since the agent may use it at once. A root worker drops to the jail's user, an ordinary one does not have to: a root
measures itself, and then all of it once more as a user of the bench's own making. Where the machine grants control
groups, the jail's group is part of it. `unshare` makes the same namespaces and mounts nothing: less cannot be had.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from bot import settings
from runners.workspace import cgroup, options
from runners.workspace.files import open_root
from runners.workspace.reach import blocked
from runners.workspace.sandbox import Sandbox, probe
from tests.bench.figures import Figure, machine, percentiles
from tests.conftest import ROOT

ROUNDS = int(os.environ.get("ROUNDS", "60"))
AIM_MS, AIM_RELAY_MS = 20.0, 100.0
BWRAP = [
    "bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", *options.system(),
    "--proc", "/proc", "--dev", "/dev", "true",
]  # fmt: skip

UNSHARE = ["unshare", "--user", "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--fork", "true"]
STRANGERS = 400_000  # first of a range of users that no machine has

Way = Callable[[], Awaitable[object]]


class Seen(msgspec.Struct, frozen=True):
    """What one worker has measured: milliseconds of every round for each way."""

    who: str
    groups: str
    times: dict[str, list[float]]

    def half(self, way: str) -> float:
        """Give the median of one way."""
        return statistics.median(self.times[way])


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
        "unshare alone": lambda: plain(*UNSHARE),
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


def look() -> Seen:
    """Measure as whoever we are."""
    place = Path(tempfile.mkdtemp(prefix="gw-bench-"))
    place.chmod(0o711)
    try:
        times = asyncio.run(measure(place))
    finally:
        shutil.rmtree(place)
    who = "a root worker, dropped" if os.geteuid() == 0 else "an ordinary worker"
    home = cgroup.find()
    return Seen(who, ", ".join(sorted(home.holds)) or f"none ({home.why})", times)


def stranger() -> Seen | None:
    """Have somebody who is no root measure, who sees nothing of ours but the checkout; says why where it cannot be."""
    user = STRANGERS + secrets.randbelow(100_000)
    python = interpreter(user)
    if blocked(ROOT / "bot", user) or not python:
        print(
            "not measured as an ordinary worker: this checkout, or every Python of its version, lies in a private home"
        )
        return None
    home = Path(tempfile.mkdtemp(prefix="gw-bench-"))
    os.chown(home, user, user)
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home), "ROUNDS": str(ROUNDS),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path.endswith("site-packages")),
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    become = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"]
    try:
        done = subprocess.run(
            [*become, python, "-m", "tests.bench.sandbox", "--json"],
            cwd=ROOT, env=env, stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
    finally:
        shutil.rmtree(home)
    return msgspec.json.decode(done.stdout, type=Seen)


def interpreter(user: int) -> str | None:
    """Find a Python of this version that another user may start."""
    version = f"python3.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}", "/usr/bin/python3"):
        path = Path(candidate).resolve()
        if path.exists() and version in path.name and blocked(path, user) is None:
            return candidate
    return None


def show(seen: Seen) -> None:
    """Print one table."""
    print(f"start to end of `true`, medians of {ROUNDS} rounds; {seen.who}; control groups: {seen.groups}; {machine()}")
    print(f"{'':24}{'p50':>8}{'p95':>8}{'min':>8}   ms")
    for name, times in seen.times.items():
        middle, high = percentiles(times)
        print(f"{name:24}{middle:>8.1f}{high:>8.1f}{min(times):>8.1f}")


def run() -> Sequence[Figure]:
    """Measure and print."""
    if why := probe():
        print(f"no jail can start here: {why}")
        return ()
    measured = [look()]
    show(measured[0])
    if os.geteuid() == 0 and (other := stranger()):
        measured.append(other)
        show(other)
    return [figure for seen in measured for figure in figures(seen)]


def figures(seen: Seen) -> Sequence[Figure]:
    """Set the start of the jail beside its aims and beside what it is made of."""
    beside = "; ".join(f"{name}: {seen.half(name):.1f}" for name in ("true", "unshare alone", "bwrap alone"))
    return (
        Figure(f"sandbox start, {seen.who}", seen.half("jail"), "ms", AIM_MS, note=beside),
        Figure("  with relay", seen.half("jail, with relay"), "ms", AIM_RELAY_MS),
    )


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sandbox", description=__doc__)
    parser.add_argument("--json", action="store_true", help="measure as this user alone, and print for programs")
    if parser.parse_args().json:
        print(msgspec.json.encode(look()).decode())
    else:
        run()


if __name__ == "__main__":
    main()
