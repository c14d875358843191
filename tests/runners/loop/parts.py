"""Small real parts for tests of the loop: a jail that is only a subprocess, a door, a model that can be told."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from bot.model.state import Phase
from bot.model.task import Usage
from runners.loop.loop import Loop
from runners.loop.protocol import Call, Message, Tool, Turn
from runners.loop.tools import TOOLS, Kind
from runners.providers.protocol import Access, Door, Exec, Limits, Recorder, Request, Result
from tests.runners.recorder import ListRecorder


class Kept(ListRecorder):
    """A recorder with the questions these tests ask."""

    def outcomes(self, kind: str) -> list[str]:
        return [record.outcome for record in self.of(kind)]

    def blob(self, kind: str, name: str) -> list[str]:
        return [record.blobs[name].decode() for record in self.of(kind) if name in record.blobs]


class PlainDoor:
    """A door without a gateway behind it, for models that need none."""

    def __init__(self, attempt: int = 7) -> None:
        self.attempt = attempt
        self.token = "t"
        self.socket = Path("/nowhere")
        self.usage = Usage()
        self._number = 0

    def number(self) -> int:
        self._number += 1
        return self._number


class BareJail:
    """No jail at all: runs commands in the worktree, for tests and benches that measure the loop."""

    def __init__(self, worktree: Path, inside: str = "/workspace") -> None:
        self.worktree = worktree
        self.inside = inside
        self.gateway_url = self.outside = "http://gateway"
        self.passed = ""
        self.confined = False

    async def run(
        self, argv: Sequence[str], *, timeout: float, max_output: int = 30_000, env: Mapping[str, str] | None = None,
        writable: bool = True, on_output: Callable[[bytes], None] | None = None,
    ) -> Exec:  # fmt: skip
        started = time.monotonic()
        child = await asyncio.create_subprocess_exec(
            *argv, cwd=self.worktree, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, env={"PATH": os.environ["PATH"], **(env or {})}, start_new_session=True,
        )  # fmt: skip
        timed_out = False
        output = b""
        try:
            async with asyncio.timeout(timeout):
                output, _ = await child.communicate()
        except TimeoutError:
            timed_out = True
        finally:
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)
                await child.wait()
        code = child.returncode or 0
        spent = int((time.monotonic() - started) * 1000)
        return Exec(code, output.decode(errors="replace")[:max_output], spent, timed_out, len(output) > max_output)

    def wrapper(
        self, argv: Sequence[str], *, env: Mapping[str, str], binds: Sequence[tuple[Path, str]] = (),
        writable: bool = True,
    ) -> Path:  # fmt: skip
        raise NotImplementedError("the loop starts no runtime")


class Spoken:
    """A model that says what it is told to, and remembers what it heard."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self.turns = list(turns)
        self.heard: list[list[Message]] = []
        self.tools: list[str] = []

    async def complete(self, messages: Sequence[Message], tools: Sequence[Tool], alive: Callable[[], None]) -> Turn:
        self.heard.append(list(messages))
        self.tools = [tool.name for tool in tools]
        alive()
        return self.turns[min(len(self.heard), len(self.turns)) - 1]

    @property
    def last(self) -> str:
        """The newest message before the last answer."""
        message = self.heard[-1][-1]
        assert not isinstance(message, Turn)
        return message.text


def call(name: str, number: int = 0, /, **arguments: Any) -> Turn:
    return Turn(calls=(make(name, number, **arguments),))


def make(name: str, number: int = 0, /, **arguments: Any) -> Call:
    return Call(f"c{number}", name, msgspec.json.encode(arguments).decode())


def request(**changes: Any) -> Request:
    base = Request(phase=Phase.CODING, model="m", system="S", prompt="P", access=Access.WRITE, limits=Limits())
    return msgspec.structs.replace(base, **changes)


def loop_of(model: Any, kinds: tuple[Kind, ...] = TOOLS) -> Loop:
    @asynccontextmanager
    async def connect(_request: Request, _door: Door, _recorder: Recorder) -> AsyncIterator[Any]:
        yield model

    return Loop("test", connect, kinds)


async def play(
    turns: Sequence[Turn], worktree: Path, recorder: Kept | None = None, kinds: tuple[Kind, ...] = TOOLS,
    **changes: Any,
) -> tuple[Result, Spoken]:  # fmt: skip
    model = Spoken(turns)
    recorder = recorder or Kept()
    result = await loop_of(model, kinds).run(request(**changes), BareJail(worktree), PlainDoor(), recorder)
    return result, model
