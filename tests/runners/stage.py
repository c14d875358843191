"""A stage for attempts: real Redis, a real repository, signed orders, recorded answers; only control is played here."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import redis

from bot import settings as tables
from bot.audit import kinds
from bot.audit.blobs import Blobs
from bot.audit.chain import Draft, Link, extend, genesis
from bot.audit.order import sign_order
from bot.audit.record import Who
from bot.keyring import instance_key
from bot.model.event import ForgeKind, Repo
from bot.model.gates import Artifact
from bot.model.order import Order
from bot.model.policy import Policy
from bot.model.state import Gate, Step
from bot.settings import Settings
from runners.job import carry_out
from runners.names import Names
from runners.process import take_slot
from runners.site import Site

TASK = "42-k7f3qd"
INSTANCE = "test"
SPEC = """# Subtract numbers

The calculator only adds. Afterwards it subtracts too.

## Acceptance criteria

- **AC-1**: `subtract(5, 3)` answers 2.
- **AC-2**: `add` is unchanged.
"""
PLAN = """# Plan: Subtract numbers

One function and its test.

## Steps

### 1. Add subtract

- Files: `calc.py`
- Criteria: AC-1
- Verify: `python3 -m unittest`

Beside `add`.

### 2. Test subtract

- Files: `tests/test_calc.py`
- Criteria: AC-1, AC-2
- Verify: `python3 -m unittest`

Beside the test of `add`.
"""
FILES = {
    "calc.py": "def add(a, b):\n    return a + b\n",
    "tests/__init__.py": "",
    "tests/test_calc.py": (
        "import unittest\n\nfrom calc import add\n\n\n"
        "class CalcTest(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(add(2, 2), 4)\n"
    ),
    ".gatewright.toml": '[checks]\nunit = "python3 -m unittest"\n',
}
SUBTRACT = "\n\ndef subtract(a, b):\n    return a - b\n"
SUBTRACT_TEST = (
    "\n    def test_subtract(self):\n        from calc import subtract\n        self.assertEqual(subtract(5, 3), 2)\n"
)


def git(path: Path, *args: str, **env: str) -> str:
    """Run a git of the tests' own."""
    who = {f"GIT_{role}_{part}": "t" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **who, **env}
    done = subprocess.run(["git", "-C", str(path), *args], env=clean, capture_output=True, check=True, text=True)
    return done.stdout.strip()


def text(words: str) -> list[dict[str, Any]]:
    """A recorded run that only answers."""
    return [{"text": words}]


def write(path: str, content: str, words: str = "Done.") -> list[dict[str, Any]]:
    """A recorded run that writes one file."""
    return [{"calls": [{"tool": "write", "arguments": {"path": path, "content": content}}]}, {"text": words}]


def judged(*met: str) -> list[dict[str, Any]]:
    """A recorded QA run: one finding per criterion in order."""
    findings = [{"id": f"AC-{n}", "met": one, "evidence": f"calc.py:{n}"} for n, one in enumerate(met, 1)]
    return text(json.dumps({"criteria": findings, "summary": "Looked at calc.py."}))


CODED = [
    write("calc.py", FILES["calc.py"] + SUBTRACT),
    write("tests/test_calc.py", FILES["tests/test_calc.py"] + SUBTRACT_TEST),
]


class Stage:
    """One repository, one task, one worker's machine."""

    def __init__(self, folder: Path, url: str, files: Mapping[str, str] = FILES) -> None:
        self.folder = folder
        self.redis = redis.Redis.from_url(url)
        self.settings = Settings(
            server=tables.Server(data_dir=str(folder / "data"), instance=INSTANCE),
            redis=tables.Redis(url=url),
            worker=tables.Worker(work_dir=str(folder / "work")),
            providers={"scripted": tables.ProviderTable(base_url=str(folder))},
        )
        # A slot of its own, as every worker has: other workers of this machine sweep what runs as their user.
        slot, self._slot = take_slot(self.settings.sandbox.user)
        self.site = Site(self.settings, slot)
        (folder / "data").mkdir(mode=0o700)
        self.key = instance_key(folder / "data", INSTANCE)
        self.blobs = Blobs(self.site.blobs)
        self.origin = folder / "origin.git"
        self.base = self._repository(files)
        self.repo = Repo(ForgeKind.LOCAL, "local", 7, str(self.origin))
        self.genesis = genesis(INSTANCE, self.repo.key, TASK)
        self.tail = Link(-1, self.genesis)
        self.attempts = 0

    def close(self) -> None:
        """Drop the connection and the slot."""
        self.redis.close()
        self._slot.close()

    def _repository(self, files: Mapping[str, str]) -> str:
        seed = self.folder / "seed"
        for path, content in files.items():
            (seed / path).parent.mkdir(parents=True, exist_ok=True)
            (seed / path).write_text(content)
        git(seed, "init", "-q", "-b", "main")
        git(seed, "add", "-A")
        git(seed, "commit", "-q", "-m", "Begin")
        git(self.folder, "clone", "-q", "--bare", str(seed), str(self.origin))
        return git(self.origin, "rev-parse", "main")

    def record(self, **phases: Sequence[Any]) -> None:
        """Write the recorded answers: phase -> runs -> turns."""
        body = {"format": "gatewright-recording/1", "phases": phases}
        (self.folder / "story.json").write_text(json.dumps(body))

    def journal(self, *drafts: Draft) -> None:
        """Append records as control would."""
        lines, self.tail = extend(self.tail, drafts, task=TASK, now_ms=1_000)
        self.redis.rpush(f"gw:journal:{TASK}", *lines)

    def opened(self) -> None:
        """Begin the journal."""
        digest = hashlib.sha256(b"").hexdigest()
        data = kinds.TaskOpened(
            repo=self.repo.key, forge="local", host="local", repo_id=7, path=self.repo.path, issue=42, labeller=1,
            base_branch="main", base_commit=self.base, policy_sha256=digest, config_sha256=digest, bot_version="0",
            instance=INSTANCE, vkey=self.key.vkey(INSTANCE),
        )  # fmt: skip
        self.journal(Draft("task.opened", data, Who(f"inst:{INSTANCE}", "service", "system")))

    def take_in(self, reports: Reports) -> None:
        """Record the commits of an attempt, as control does before it orders the next."""
        who = Who(f"inst:{INSTANCE}", "service", "system")
        made = [entry["data"] for entry in reports.of("commit.made")]
        self.journal(*(Draft("commit.made", msgspec.convert(data, kinds.CommitMade), who) for data in made))

    def artifact(self, gate: Gate, content: str, rev: int = 1) -> Artifact:
        """Store an approved document."""
        digest = hashlib.sha256(content.encode()).hexdigest()
        return Artifact(gate, rev, digest, self.blobs.put(content.encode()), "model")

    def order(self, step: Step, **changes: Any) -> Order:
        """Make the next order; spec and plan are the stock ones for the steps that have them."""
        self.attempts += 1
        has_spec, has_plan = step is not Step.SPEC, step not in (Step.SPEC, Step.PLANNING)
        issue = msgspec.json.encode({"title": "Subtract", "body": "Please add subtract.", "author": "ada"})
        order = Order(
            task=TASK, attempt=self.attempts, step=step, round=1, instance=INSTANCE, repo=self.repo,
            clone_url=str(self.origin), issue=42, title="Subtract", issue_blob=self.blobs.put(issue),
            base_branch="main", base_commit=self.base, branch=f"gatewright/{TASK}-subtract", head="",
            held_blob="", scope_approved=(), policy=Policy(), server_policy_sha256=self.settings.policy.sha256(),
            model="" if step.phase is None else "scripted:story", fallbacks=(), allowances=(), day="2026-11-22",
            spec=self.artifact(Gate.SPEC, SPEC) if has_spec else None,
            plan=self.artifact(Gate.PLAN, PLAN) if has_plan else None,
            feedback=(), verdict_blob="", genesis=self.genesis, journal_size=self.tail.seq + 1,
            journal_head=self.tail.hash, audit_ref=f"refs/gatewright/audit/{TASK}", wall_seconds=60.0, turns=20,
            issued_ms=1_000,
        )  # fmt: skip
        return msgspec.structs.replace(order, **changes)

    def give(self, order: Order) -> Names:
        """Sign an order and make its attempt the current one."""
        names = Names(order.task, order.attempt)
        self.redis.set(names.order, sign_order(order, self.key))
        self.redis.set(names.current, str(order.attempt))
        return names

    async def perform(self, order: Order) -> Reports:
        """Give an order and carry it out in this process."""
        names = self.give(order)
        await carry_out(self.site, names)
        return self.reports(names)

    def reports(self, names: Names) -> Reports:
        """Read an attempt's stream."""
        entries = self.redis.xrange(names.stream)
        return Reports([(key.decode(), msgspec.json.decode(fields[b"r"])) for key, fields in entries], self.blobs)

    def push(self, files: Mapping[str, str], parent: str, *, allow_empty: bool = False) -> str:
        """Push a person's commit onto the task's branch."""
        clone = self.folder / "person"
        if not clone.exists():
            git(self.folder, "clone", "-q", str(self.origin), str(clone))
        git(clone, "fetch", "-q", "origin")
        git(clone, "checkout", "-q", "--detach", parent)
        for path, content in files.items():
            (clone / path).parent.mkdir(parents=True, exist_ok=True)
            (clone / path).write_text(content)
        git(clone, "add", "-A")
        git(clone, "commit", "-q", "-m", "By hand", *(["--allow-empty"] if allow_empty else []))
        git(clone, "push", "-q", "-f", "origin", f"HEAD:refs/heads/gatewright/{TASK}-subtract")
        return git(clone, "rev-parse", "HEAD")

    def head(self) -> str:
        """Name the newest commit of the work, empty before the first."""
        ref = f"refs/heads/gatewright/{TASK}-subtract"
        return git(self.origin, "for-each-ref", "--format=%(objectname)", ref)

    def move(self) -> None:
        """Go on with a machine that has no mirror and no worktree."""
        worker = tables.Worker(work_dir=str(self.folder / "elsewhere"))
        self.site = Site(msgspec.structs.replace(self.settings, worker=worker), self.site.slot)

    def allow(self, workspace: tables.Workspace) -> None:
        """Let trees show what the operator allows."""
        self.site = Site(msgspec.structs.replace(self.site.settings, workspace=workspace), self.site.slot)

    def branch(self, name: str = "") -> str:
        """Read where the task's branch points to."""
        return git(self.origin, "rev-parse", name or f"refs/heads/gatewright/{TASK}-subtract")


class Reports:
    """What an attempt reported."""

    def __init__(self, entries: list[tuple[str, dict[str, Any]]], blobs: Blobs) -> None:
        self.ids = [key for key, _ in entries]
        self.entries = [entry for _, entry in entries]
        self.blobs = blobs

    def kinds(self) -> list[str]:
        """Name the kinds in order."""
        return [entry["kind"] for entry in self.entries]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Give the entries of one kind."""
        return [entry for entry in self.entries if entry["kind"] == kind]

    def data(self, kind: str) -> dict[str, Any]:
        """Give the data of the only entry of a kind."""
        (entry,) = self.of(kind)
        data: dict[str, Any] = entry["data"]
        return data

    def scope(self) -> tuple[str, ...]:
        """Name what was found, as people approve it."""
        return (self.of("scope.found")[-1]["data"]["scope_sha256"],)

    def ref(self, kind: str, name: str) -> str:
        """Name the blob of the last entry of a kind."""
        return next(ref["commit"] for ref in self.of(kind)[-1]["refs"] if ref["name"] == name)

    def blob(self, kind: str, name: str) -> str:
        """Read a blob of the last entry of a kind."""
        return self.blobs.get(self.ref(kind, name)).decode()

    @property
    def end(self) -> dict[str, Any]:
        """The last entry, which must be the attempt's end."""
        assert self.entries, "the attempt reported nothing"
        assert self.entries[-1]["kind"] == "attempt.ended"
        return self.entries[-1]

    def explanation(self) -> str:
        """Read why the attempt ended as it did."""
        return self.blob("attempt.ended", "explanation")


@contextmanager
def raised(url: str, files: Mapping[str, str] = FILES) -> Iterator[Stage]:
    """Set up a stage where the jail's user can get to: pytest's own folders are closed to everybody else."""
    folder = Path(tempfile.mkdtemp(prefix="gw-stage-"))
    folder.chmod(0o711)
    stage = Stage(folder, url, files)
    try:
        stage.opened()
        yield stage
    finally:
        stage.close()
        shutil.rmtree(folder)
