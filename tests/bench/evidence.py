"""What evidence costs on 50,000 records: verifying and appending, beside peers: `python -m tests.bench.evidence`.

The limit of verifying is what no verifier can do without: read the file, SHA-256 over each line, parse each line.
Ratios are of CPU time, taken in turns, so that other work on the machine touches all of them alike.
"""

from __future__ import annotations

import hashlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from bot.audit.chain import RECORD_DOMAIN, Link, extend, walk
from bot.audit.merkle import Tree
from tests.bench.figures import Figure, machine
from tests.bench.journal import GENESIS, TASK, drafts

RECORDS = 50_000
ROUNDS = 7
SHORT, LONG = 10_000, 100_000  # records, between which memory must not grow


def journal(count: int) -> Iterator[bytes]:
    """Tell attempts one after the other until there are so many lines."""
    story, tail, made = drafts(), Link(-1, GENESIS), 0
    while made < count:
        lines, tail = extend(tail, story[: count - made], task=TASK, now_ms=1_795_300_000_000)
        made += len(lines)
        yield from lines


def read(path: Path) -> Iterator[bytes]:
    """Read the lines of a file without their line feeds."""
    with path.open("rb") as file:
        for line in file:
            yield line[:-1]


def limit(path: Path) -> None:
    """Do the least that a verifier must: read, hash, parse."""
    parse = msgspec.json.Decoder().decode
    for line in read(path):
        hashlib.sha256(RECORD_DOMAIN + line).digest()
        parse(line)


def strict(path: Path) -> None:
    """Check schema, canonical form and chain of each record."""
    for _ in walk(read(path), GENESIS):
        pass


def whole(path: Path) -> None:
    """Check the same, and compute the root that checkpoints sign."""
    tree = Tree()
    for _, line in walk(read(path), GENESIS):
        tree.append(line)
    tree.root()


def our_root(path: Path) -> None:
    """Compute the root alone."""
    tree = Tree()
    for line in read(path):
        tree.append(line)
    tree.root()


def peer_root(path: Path) -> None:
    """Compute the same root with pymerkle."""
    from pymerkle import InmemoryTree  # type: ignore[import-untyped]

    tree = InmemoryTree(algorithm="sha256")
    for line in read(path):
        tree.append_entry(line)
    if tree.get_root() != _reference(path):
        raise RuntimeError("pymerkle has another root")


def _reference(path: Path) -> bytes:
    tree = Tree(read(path))
    return tree.root()


def cpu(work: Callable[[], object]) -> float:
    """Measure CPU seconds, those of child processes included."""
    began = time.process_time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    children = after.ru_utime + after.ru_stime - began[1].ru_utime - began[1].ru_stime
    return time.process_time() - began[0] + children


def in_turns(works: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Measure all, one after the other, some times over."""
    rounds = [{name: cpu(work) for name, work in works.items()} for _ in range(ROUNDS)]
    return {name: [each[name] for each in rounds] for name in works}


def committed(folder: Path, lines: Sequence[bytes]) -> Path:
    """Make a git repository with a commit for each record."""
    repo = folder / "peer.git"
    subprocess.run(["git", "init", "-q", "--bare", repo], check=True)
    stream = b"".join(
        b"commit refs/heads/main\ncommitter b <b@example.org> 1795300000 +0000\ndata %d\n%b\n" % (len(line), line)
        for line in lines
    )
    subprocess.run(["git", f"--git-dir={repo}", "fast-import", "--quiet"], input=stream, check=True)
    return repo


def peak_kb(count: int) -> int:
    """Measure the peak memory of a process that verifies a journal of so many records."""
    code = (
        "import sys,resource;from pathlib import Path;from tests.bench.evidence import whole;"
        "whole(Path(sys.argv[1]));print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    with tempfile.NamedTemporaryFile(prefix="gw-bench-") as file:
        file.writelines(line + b"\n" for line in journal(count))
        file.flush()
        done = subprocess.run([sys.executable, "-c", code, file.name], stdout=subprocess.PIPE, check=True)
    return int(done.stdout)


def run() -> Sequence[Figure]:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        folder = Path(name)
        lines = list(journal(RECORDS))
        path = folder / "journal.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        story = drafts()
        repo = committed(folder, lines)
        works: dict[str, Callable[[], object]] = {
            "limit: read, sha256, parse": lambda: limit(path),
            "verify, strict": lambda: strict(path),
            "verify and Merkle root": lambda: whole(path),
            "Merkle root alone": lambda: our_root(path),
            "pymerkle, root alone": lambda: peer_root(path),
            "git fsck, a commit a record": lambda: subprocess.run(
                ["git", f"--git-dir={repo}", "fsck", "--full", "--no-progress"], check=True, capture_output=True
            ),
        }
        taken = in_turns(works)
    print(f"journal of {RECORDS:,} records, {sum(map(len, lines)) // RECORDS} bytes each; {machine()}")
    for label, seconds in taken.items():
        print(f"{label:34}{RECORDS / statistics.median(seconds):>12,.0f} records a CPU second")
    grown = peak_kb(LONG) / peak_kb(SHORT)
    appending = len(story) / min(cpu(lambda: extend(Link(-1, GENESIS), story, task=TASK, now_ms=1)) for _ in range(9))
    return (
        Figure("verify, strict, of the limit", ratio(taken, "verify, strict"), "x", 0.65, more=True),
        Figure("verify with the root, of the limit", ratio(taken, "verify and Merkle root"), "x", 0.50, more=True),
        Figure("append without fsync", appending, "records/s", 40_000, more=True),
        Figure("memory of 100,000 over 10,000 records", grown, "x", 1.1),
    )


def ratio(taken: dict[str, list[float]], name: str) -> float:
    """Compare with the limit, round by round, and take the median."""
    floor = taken["limit: read, sha256, parse"]
    return statistics.median(least / mine for least, mine in zip(floor, taken[name], strict=True))


if __name__ == "__main__":
    run()
