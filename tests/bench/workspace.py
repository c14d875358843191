"""What a task's own tree costs on 50,000 files, beside git's own ways to make one: `python -m tests.bench.workspace`.

One repository is generated for a run. Each way makes 1, 8 and 32 trees at once and removes them again; every figure is
shown as a ratio to `git worktree add` of the same number as well. Called alone, all is measured, or what its options
name: 14 GB of disk. From `make bench`, ways that would take longer than LONGEST are left out, and that is said.

Where it measures, TMPDIR says, and it has to be a file system with a journal: ext4 without one does not use the inode
of a deleted file again for minutes and looks at each of them, so that every tree takes longer than the one before.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from bot import settings
from bot.model.event import ForgeKind, Repo
from runners.workspace.files import erase, open_root
from runners.workspace.mirror import Mirror
from runners.workspace.worktree import Worktree
from tests.bench.figures import Figure, machine

FILES, SEED = 50_000, 7
MEDIAN_BYTES, SPREAD = 1_800, 1.1  # of file sizes, log-normal: 3.3 kB on average
TASKS = (1, 8, 32)
ROUNDS = 3  # of one tree, in turns: medians count
LONGEST = 60.0  # seconds that one way may take for one number of tasks in `make bench`
AIM = 1.5  # times the wall time of `git worktree add`
OWNER = settings.Sandbox().user if os.geteuid() == 0 else None
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C"}
YARDSTICK = "git worktree add"
SHORT = ("ours", YARDSTICK, "git clone --shared")
# The lock is needed: several at once fail ("failed to read .../commondir"), because each reads all others' folders.
ADD = 'flock "$1.lock" git -C "$1" worktree add -q --detach --no-checkout "$2" "$3"; git -C "$2" reset -q --hard'

Step = Callable[[int], Awaitable[object]]


class Way(msgspec.Struct, frozen=True):
    """One way to a tree: how the n-th is made, where it lies, and how it is removed."""

    make: Step
    remove: Step
    place: Callable[[int], Path]


class Cost(msgspec.Struct, frozen=True):
    """What some trees cost together; `disk` is of one, in MB, what was added to the shared repository included.

    `cpu` is of this process and of its children that have ended; what the kernel writes later is nobody's.
    """

    tasks: int
    wall: float
    cpu: float
    disk: float
    removal: float
    removal_cpu: float


def run() -> Sequence[Figure]:
    """Measure one tree in the ways that were in question, once each; called alone, the file measures all of it."""
    return measured(LONGEST, SHORT, 1)


def measured(
    longest: float, names: Sequence[str] = (), rounds: int = ROUNDS, counts: Sequence[int] = TASKS
) -> Sequence[Figure]:
    """Measure in a folder that the jail's user can pass through; `names` chooses among the ways."""
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as folder:
        Path(folder).chmod(0o711)
        print(unjournalled(Path(folder)), end="")
        work = open_root(Path(folder) / "work", settings.Sandbox().user)
        return asyncio.run(measure(work, generate(Path(folder) / "source.git"), longest, names, rounds, counts))


def unjournalled(place: Path) -> str:
    """Warn of a file system on which figures drift from tree to tree; empty where there is no sign of one."""
    found = subprocess.run(
        ["findmnt", "-nro", "FSTYPE,SOURCE", "-T", place], capture_output=True, text=True, check=True
    )
    kind, _, source = found.stdout.strip().partition(" ")
    if kind != "ext4" or any(Path("/proc/fs/jbd2").glob(f"{Path(source).resolve().name}-*")):
        return ""
    return f"{place} lies on ext4 without a journal: each tree takes longer than the one before; set TMPDIR\n"


async def measure(
    work: Path, source: Path, longest: float, names: Sequence[str], rounds: int, counts: Sequence[int]
) -> Sequence[Figure]:
    """Make the repository, try every way, and print one table."""
    figures: list[Figure] = []
    ways = {name: way for name, way in (await _ways(work, source)).items() if not names or name in names}
    print(f"a tree of {FILES:,} files for each task; x: times {YARDSTICK}; {machine()}")
    made, removed = f"{'wall s':>8}{'x':>6}{'CPU s':>8}{'x':>6}", f"{'remove s':>10}{'x':>6}{'CPU s':>8}{'x':>6}"
    print(f"{'tasks':>5}  {'':24}{made}{'disk MB':>9}{removed}", flush=True)
    expected = dict.fromkeys(ways, 0.0)
    for tasks in counts:
        left_out = {name for name in ways if expected[name] > longest}
        tried: dict[str, list[Cost]] = {name: [] for name in ways if name not in left_out}
        for _ in range(rounds if tasks == 1 else 1):
            for name, costs in tried.items():
                costs.append(await _tried(ways[name], tasks, work))
                print(f"  {tasks} x {name}: {msgspec.structs.asdict(costs[-1])}", file=sys.stderr, flush=True)
        medians = {name: _median(costs) for name, costs in tried.items()}
        for name, way_expected in expected.items():
            if name in left_out:
                print(f"{tasks:>5}  {name:24}left out: about {way_expected:.0f} s")
                continue
            cost = medians[name]
            print(_row(name, cost, medians.get(YARDSTICK)), flush=True)
            following = next((more for more in counts if more > tasks), tasks)
            expected[name] = (cost.wall + cost.removal) * following / tasks
        if "ours" in medians and YARDSTICK in medians:
            cost, yard = medians["ours"], medians[YARDSTICK]
            note = f"{cost.wall:.1f} s, {cost.cpu:.1f} CPU s, {cost.disk:.0f} MB a task"
            title = f"workspace, {tasks} at once, x {YARDSTICK}"
            figures.append(Figure(title, cost.wall / yard.wall, "x", AIM, note=note))
    return figures


def generate(path: Path) -> Path:
    """Write a bare repository of one commit; the same one every time."""
    _git("init", "-q", "--bare", "-b", "main", str(path))
    _git("-C", str(path), "config", "uploadpack.allowFilter", "true")
    _git("-C", str(path), "config", "gc.auto", "0")
    subprocess.run(["git", "fast-import", "--quiet"], cwd=path, env=ENV, input=b"".join(_stream()), check=True)
    _git("-C", str(path), "repack", "-adq")
    return path


def _stream() -> Iterator[bytes]:
    dice = random.Random(SEED)
    words = [f"{dice.getrandbits(40):x}" for _ in range(4_000)]
    folders = [f"part{n % 10}/" + "/".join(f"d{dice.randrange(9)}" for _ in range(n % 5 + 1)) for n in range(5_000)]
    yield b"commit refs/heads/main\ncommitter A <a@example.org> 1700000000 +0000\ndata 2\nx\n"
    for number in range(FILES):
        size = min(int(dice.lognormvariate(0, SPREAD) * MEDIAN_BYTES), 500_000)
        text = (f"# {number}\n" + "\n".join(dice.choices(words, k=size // 11 + 1))).encode()[: size + 8]
        name = f"{folders[number % len(folders)]}/file{number}.py"
        yield f"M 100644 inline {name}\ndata {len(text)}\n".encode() + text + b"\n"


async def _ways(work: Path, source: Path) -> dict[str, Way]:
    mirror = await Mirror.open(work / "mirrors", Repo(ForgeKind.LOCAL, "localhost", 1, "acme/big"), str(source))
    await mirror.fetch()
    base = (await _out("git", "-C", str(source), "rev-parse", "main")).strip()
    made: dict[int, Worktree] = {}

    async def ours(number: int) -> None:
        made[number] = await Worktree.create(mirror, work / f"ours{number}", base, owner=OWNER)

    async def unmade(number: int) -> None:
        await made.pop(number).remove()

    def shell(line: str, removal: str = 'rm -rf "$2"') -> Way:
        def place(number: int) -> Path:
            return work / f"theirs{number}"

        def step(words: str) -> Step:
            return lambda number: _out("bash", "-ec", words, "-", str(source), str(place(number)), base)

        return Way(step(line), step(removal), place)

    return {
        YARDSTICK: shell(ADD, 'flock "$1.lock" git -C "$1" worktree remove --force "$2"'),
        "ours": Way(ours, unmade, lambda number: work / f"ours{number}"),
        "git clone --shared": shell('git clone -q --shared "$1" "$2"'),
        "sparse, a tenth": shell(
            'git clone -q --shared --no-checkout "$1" "$2"; cd "$2"; git sparse-checkout set part1; git checkout -q'
        ),
        "git clone": shell('git clone -q "file://$1" "$2"'),
        "partial, blob:none": shell('git clone -q --filter=blob:none "file://$1" "$2"'),
    }


async def _tried(way: Way, tasks: int, work: Path) -> Cost:
    os.sync()
    shared = _disk(work.parent / "source.git") + _disk(work / "mirrors")
    before, began = _cpu(), time.perf_counter()
    await asyncio.gather(*(way.make(number) for number in range(tasks)))
    wall, cpu = time.perf_counter() - began, _cpu() - before
    grown = _disk(work.parent / "source.git") + _disk(work / "mirrors") - shared
    disk = _disk(way.place(0)) + grown / tasks
    os.sync()  # a file that is still being written makes its removal wait
    before, began = _cpu(), time.perf_counter()
    await asyncio.gather(*(way.remove(number) for number in range(tasks)))
    removal, removal_cpu = time.perf_counter() - began, _cpu() - before
    for number in range(tasks):
        await erase(way.place(number))
    return Cost(tasks, wall, cpu, disk, removal, removal_cpu)


def _median(costs: Sequence[Cost]) -> Cost:
    names = Cost.__struct_fields__[1:]
    return Cost(costs[0].tasks, *(statistics.median(getattr(cost, name) for cost in costs) for name in names))


def _row(name: str, cost: Cost, yard: Cost | None) -> str:
    def pair(field: str, width: int) -> str:
        mine = getattr(cost, field)
        ratio = f"{mine / getattr(yard, field):.2f}" if yard else "-"
        return f"{mine:>{width}.1f}{ratio:>6}"

    made, removed = pair("wall", 8) + pair("cpu", 8), pair("removal", 10) + pair("removal_cpu", 8)
    return f"{cost.tasks:>5}  {name:24}{made}{cost.disk:>9.1f}{removed}"


def _cpu() -> float:
    """Read the seconds of this process and of all its children that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in both)


def _disk(path: Path) -> float:
    said = subprocess.run(["du", "-s", "-B1", str(path)], capture_output=True, text=True, check=True).stdout
    return int(said.split()[0]) / 1e6


def _git(*args: str) -> None:
    subprocess.run(["git", *args], env=ENV, check=True)


async def _out(*argv: str) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, env=ENV, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{argv}: {err.decode()}")
    return out.decode()


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.workspace", description=__doc__)
    parser.add_argument("--tasks", type=int, nargs="+", default=TASKS, help="how many trees at once, in rising order")
    parser.add_argument("--ways", nargs="+", default=(), metavar="WAY", help="as the table names them; all without it")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of one tree; medians count")
    chosen = parser.parse_args()
    measured(float("inf"), chosen.ways, chosen.rounds, chosen.tasks)


if __name__ == "__main__":
    main()
