"""A whole Gatewright as users start it: `gatewright up`, or its roles one by one, always as real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
from redis.asyncio import Redis

from bot.audit.blobs import Blobs
from bot.embedded import EmbeddedRedis
from bot.model.task import Task
from bot.tasks.book import Shelf
from bot.tasks.index import Index
from bot.tasks.journal import Journals

PATIENCE = 90.0
ENDS_WITHIN = 40.0
SECRET = "a-webhook-secret-of-this-test"


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


def toml(tables: dict[str, dict[str, Any]]) -> str:
    lines = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return '"""' + str(value) + '"""' if "\n" in str(value) else f'"{value}"'


class Base:
    """A settings file, a log that is shown when a test fails, and a look at what Redis holds."""

    redis: Redis

    def __init__(self, folder: Path, tables: dict[str, dict[str, Any]]) -> None:
        self.folder = folder
        self.port = free_port()
        tables = {**tables}
        tables["server"] = tables.get("server", {}) | {"port": self.port, "data_dir": str(folder / "data")}
        tables["worker"] = {"work_dir": str(folder / "work")} | tables.get("worker", {})
        self.config = folder / "gatewright.toml"
        self.config.write_text(toml(tables), encoding="utf-8")
        self.config.chmod(0o600)
        self.log = folder / "up.log"
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self, *words: str, **env: str) -> subprocess.Popen[bytes]:
        """Start the program with these words, as a user would."""
        clean = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8", **env}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "bot", *words, "--config", str(self.config)],
                env=clean, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
            )  # fmt: skip

    def asks(self, *words: str) -> tuple[int, str]:
        """Run a command beside the running program; its exit code and what it printed."""
        clean = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "bot", *words, "--config", str(self.config)],
            env=clean, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=self.folder, check=False,
            timeout=60,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def look(self, url: str) -> None:
        """Open a window on Redis."""
        self.redis = Redis.from_url(url)
        self.shelf = Shelf(Journals(self.redis))
        self.index = Index(self.redis)

    def check(self) -> None:
        """Fail where something ended that must not end."""

    async def is_ready(self) -> bool:
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                return (await client.get(f"{self.url}/readyz")).status_code == 200
            except httpx.HTTPError:
                return False

    async def until(self, holds: Callable[[], Awaitable[Any]], seconds: float = PATIENCE, what: str = "") -> Any:
        """Wait until something holds; show the log where it never does."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := await holds():
                return found
            self.check()
            await asyncio.sleep(0.05)
        what = what or getattr(holds, "__name__", str(holds))
        raise AssertionError(f"{what} did not come to hold\n{await self.stories()}\n{self.said()}")

    def said(self) -> str:
        """The end of the log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-6_000:]

    def logged(self, mark: str) -> list[str]:
        """Every line of the log with a word."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if mark in line]

    def why(self, task: Task) -> str:
        """Say what a blocked task says of itself."""
        return f"{_standing(task, Blobs(self.folder / 'data' / 'blobs'))}\n{self.said()}"

    async def stories(self) -> str:
        """Say where every task stands."""
        blobs = Blobs(self.folder / "data" / "blobs")
        return "\n".join([_standing(task, blobs) for task in await self.tasks()])

    async def tasks(self, issue: int = 0) -> list[Task]:
        """Every task of this house, or all that one issue ever had."""
        known = [name for name in await self.index.all_tasks() if not issue or name.startswith(f"{issue}-")]
        return [await self.shelf.read(name) for name in known if await self.shelf.journals.head(name)]

    async def task(self, issue: int = 0) -> Task | None:
        """The one task there is (of an issue), None before it was opened."""
        found = await self.tasks(issue)
        assert len(found) <= 1, f"{len(found)} tasks where there may be one"
        return found[0] if found else None

    async def wake(self, task: Task) -> None:
        """Have control look at a task now, as its sweep would."""
        await self.redis.lpush("gw:wake", task.origin.task)

    async def records(self, task: Task, kind: str = "") -> list[dict[str, Any]]:
        """Read the journal as plain JSON."""
        import json

        found = [json.loads(line) for line in await self.shelf.journals.lines(task.origin.task)]
        return [record for record in found if not kind or record["kind"] == kind]


def _standing(task: Task, blobs: Blobs) -> str:
    explained = blobs.get(task.blocked_blob).decode() if task.blocked_blob else ""
    attempts = [(a.number, a.step.value, a.outcome, a.code) for a in task.attempts]
    heard = [(h.verb, h.accepted, h.code) for h in task.heard]
    return (
        f"{task.origin.task} {task.state} {task.blocked_code} {explained}\n  {attempts}\n  {heard}\n"
        f"  intents {task.intents} posted {list(task.posted)}"
    )


class House(Base):
    """`up` as a subprocess."""

    async def __aenter__(self) -> Self:
        self.process = self.start("up")
        await self.until(self._is_up)
        self.look((self.folder / "data" / "redis.url").read_text().strip())
        return self

    async def __aexit__(self, *_: object) -> None:
        if hasattr(self, "redis"):
            await self.redis.aclose()
        self.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self.process.wait, ENDS_WITHIN)

    async def _is_up(self) -> bool:
        return await self.is_ready()

    async def stories(self) -> str:
        return await super().stories() if hasattr(self, "redis") else ""

    def check(self) -> None:
        assert self.process.poll() is None, self.said()


class Parts(Base):
    """The roles one by one, each a process of its own that a test may kill at any moment."""

    def __init__(self, folder: Path, tables: dict[str, dict[str, Any]], roles: Sequence[str]) -> None:
        super().__init__(folder, tables)
        (folder / "data").mkdir(mode=0o700, exist_ok=True)
        self.store = EmbeddedRedis(folder / "data" / "redis")
        self.roles = list(roles)
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    async def __aenter__(self) -> Self:
        self.address = self.store.start()
        self.look(self.address)
        for role in self.roles:
            self.raise_(role)
        await self.until(self.is_ready)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.redis.aclose()
        running, self.running = self.running, {}
        for process in running.values():
            process.terminate()
        for process in running.values():
            await asyncio.to_thread(process.wait, ENDS_WITHIN)
        self.store.stop()

    def raise_(self, role: str, **env: str) -> None:
        """Start a role: `serve`, `control`, `work`, with anything after a dot to tell twins apart."""
        self.running[role] = self.start(role.partition(".")[0], GATEWRIGHT_REDIS__URL=self.address, **env)

    def kill(self, role: str) -> None:
        """End a role as a crash does."""
        process = self.running.pop(role)
        process.kill()
        process.wait()

    def crash(self, role: str) -> None:
        """Kill a role and start it again."""
        self.kill(role)
        self.raise_(role)

    def check(self) -> None:
        for role, process in self.running.items():
            assert process.poll() is None, f"{role} ended with {process.returncode}\n{self.said()}"
