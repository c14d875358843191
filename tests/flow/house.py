"""A whole Gatewright as users start it: `gatewright up --config gatewright.toml`, as real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import httpx
from redis.asyncio import Redis

from bot.audit.blobs import Blobs
from bot.model.task import Task
from bot.tasks.book import Shelf
from bot.tasks.index import Index
from bot.tasks.journal import Journals

PATIENCE = 90.0
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
    if isinstance(value, bool | int):
        return str(value).lower()
    return '"""' + str(value) + '"""' if "\n" in str(value) else f'"{value}"'


class House:
    """`up` as a subprocess; its log is shown when a test fails."""

    def __init__(self, folder: Path, tables: dict[str, dict[str, Any]]) -> None:
        self.folder = folder
        self.port = free_port()
        tables.setdefault("server", {})
        tables["server"] |= {"port": self.port, "data_dir": str(folder / "data")}
        tables["worker"] = {"work_dir": str(folder / "work")} | tables.get("worker", {})
        self.config = folder / "gatewright.toml"
        self.config.write_text(toml(tables), encoding="utf-8")
        self.config.chmod(0o600)
        self.log = folder / "up.log"
        self.url = f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "bot", "up", "--config", str(self.config)],
                env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
            )  # fmt: skip
        await self.until(self._is_ready)
        self.redis = Redis.from_url((self.folder / "data" / "redis.url").read_text().strip())
        self.shelf = Shelf(Journals(self.redis))
        self.index = Index(self.redis)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.redis.aclose()
        self.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self.process.wait, 40)

    async def _is_ready(self) -> bool:
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                return (await client.get(f"{self.url}/readyz")).status_code == 200
            except httpx.HTTPError:
                return False

    async def until(self, holds: Callable[[], Awaitable[Any]], seconds: float = PATIENCE) -> Any:
        """Wait until something holds; show the log where it never does."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := await holds():
                return found
            assert self.process.poll() is None, self.said()
            await asyncio.sleep(0.05)
        raise AssertionError(f"{getattr(holds, '__name__', holds)} did not come to hold\n{self.said()}")

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-6_000:]

    def why(self, task: Task) -> str:
        """Say what a blocked task says of itself."""
        blobs = Blobs(self.folder / "data" / "blobs")
        explained = blobs.get(task.blocked_blob).decode() if task.blocked_blob else ""
        return f"{task.blocked_code}: {explained}\n{[(a.step, a.outcome) for a in task.attempts]}\n{self.said()}"

    async def task(self) -> Task | None:
        """The one task of this house, when there is one."""
        known = await self.index.all_tasks()
        if not known or await self.shelf.journals.head(known[0]) is None:
            return None
        return await self.shelf.read(known[0])
