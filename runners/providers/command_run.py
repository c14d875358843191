"""One process of a runtime in the jail, from its start to its end: bounded streams, clocks, nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from runners.providers import tree
from runners.providers.command_texts import error
from runners.providers.errors import ProviderError
from runners.providers.lines import Lines, Tail
from runners.providers.protocol import Access, Cause, Door, Request
from runners.providers.records import Calls
from runners.providers.runtime import Called, Ended, Failed, Happening, Reader, Returned, Said

CHUNK: Final = 1 << 16
LINE_MAX: Final = 8 << 20  # bytes
TEXT_MAX: Final = 1 << 20  # characters of an answer
STDERR_KEPT: Final = 8_000  # bytes
WHY_MAX: Final = 600  # characters
LOOK_SECONDS: Final = 0.5  # how often the idle clock is read
END_SECONDS: Final = 2.0


class Run:
    """One process and what it has said so far."""

    def __init__(self, label: str, request: Request, reader: Reader, calls: Calls, door: Door) -> None:
        self.text = ""
        self._label = label
        self._request = request
        self._reader = reader
        self._calls = calls
        self._door = door
        self._stderr = Tail(STDERR_KEPT)
        self._lines = Lines(LINE_MAX)
        self._ended = False
        self._failed: Failed | None = None
        self._sign = 0.0  # when there was a sign of life, by the loop's clock

    async def drive(self, wrapper: Path, stdin: bytes) -> str:
        """Run the wrapper to its end and give the last answer; everything is killed however this ends."""
        process = await _start(wrapper)
        self._sign = _now()
        work = asyncio.ensure_future(self._work(process, stdin))
        silence = asyncio.ensure_future(self._silence())
        try:
            await asyncio.wait({work, silence}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(process, work, silence)
        if not work.cancelled():
            return self._judge(work.result())
        raise self._error(Cause.TIMEOUT, self._why(f"silent for {self._request.limits.idle_seconds:.0f} s"))

    async def _work(self, process: asyncio.subprocess.Process, stdin: bytes) -> int:
        _, _, _, code = await asyncio.gather(
            self._listen(process), self._drain(process), _tell(process, stdin), process.wait()
        )
        return code

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout  # noqa: S101 - for the type checker
        while piece := await process.stdout.read(CHUNK):
            self._sign = _now()
            for line in self._lines.add(piece):
                self._take(self._reader.line(line))
        for line in self._lines.rest():
            self._take(self._reader.line(line))

    async def _drain(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr  # noqa: S101 - for the type checker
        while piece := await process.stderr.read(CHUNK):
            self._stderr.add(piece)

    async def _silence(self) -> None:
        """End when there was no sign of life for too long: while a model or a tool works, silence means nothing."""
        idle = self._request.limits.idle_seconds
        while _now() - self._sign < idle:
            await asyncio.sleep(min(LOOK_SECONDS, idle / 4))
            if self._door.busy or self._calls.is_open:
                self._sign = _now()

    def _take(self, happenings: Iterable[Happening]) -> None:
        for each in happenings:
            match each:
                case Called():
                    self._calls.call(each)
                case Returned():
                    self._calls.result(each)
                case Said():
                    self._say(each)
                case Ended():
                    self._ended = True
                case Failed():
                    self._failed = self._failed or each

    def _say(self, said: Said) -> None:
        """Keep the answer whole or not at all: half a document is worse than none."""
        self.text = (self.text if said.is_more else "") + said.text
        if len(self.text) > TEXT_MAX:
            self._failed = self._failed or Failed(f"the answer is longer than {TEXT_MAX} characters", Cause.ANSWER)
            self.text = ""

    def _judge(self, code: int) -> str:
        """Hold the end against all that makes a success: the runtime's own word, exit code 0, and an answer."""
        self._take(self._reader.end(code, self._stderr.text()))
        if self._failed:
            raise self._error(self._failed.cause, self._why(self._failed.why))
        if code != 0:
            raise self._error(Cause.CRASH, self._why(f"it ended with exit code {code}"))
        if not self._ended:
            raise self._error(Cause.CRASH, self._why("it ended without saying that it was done"))
        if self._request.access is Access.READ and not self.text.strip():
            raise self._error(Cause.ANSWER, "the answer was empty")
        return self.text

    def _error(self, cause: Cause, why: str) -> ProviderError:
        return error(cause, self._label, why=why, model=self._request.model)

    def _why(self, said: str) -> str:
        skipped = (
            f"{self._lines.skipped} lines of more than {LINE_MAX >> 20} MiB left out" if self._lines.skipped else ""
        )
        return "; ".join(part for part in (said[:WHY_MAX], skipped, self._stderr.text()[-WHY_MAX:]) if part)


async def _start(wrapper: Path) -> asyncio.subprocess.Process:
    """Start in a session of its own, from the event loop's thread: a jail dies with the thread that started it.

    The start itself is waited for even when the run is cancelled meanwhile: no process is left that nobody knows.
    """
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            wrapper, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={}, cwd="/", start_new_session=True,
        )
    )  # fmt: skip
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await _end(await starting)
        raise


async def _tell(process: asyncio.subprocess.Process, stdin: bytes) -> None:
    assert process.stdin  # noqa: S101 - for the type checker
    with suppress(BrokenPipeError, ConnectionResetError):  # it ended without reading: its exit says more
        process.stdin.write(stdin)
        await process.stdin.drain()
    process.stdin.close()


async def _end(process: asyncio.subprocess.Process, *tasks: asyncio.Future[Any]) -> None:
    """Kill the jail at once, and wait until its first process, and with it every other one, is gone."""
    inner = tree.kill(process.pid)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await tree.gone(inner)
    assert process.stdout  # noqa: S101 - for the type checker
    assert process.stderr  # noqa: S101
    with suppress(TimeoutError):  # whoever could still hold a pipe open is dead
        async with asyncio.timeout(END_SECONDS):
            await asyncio.gather(_empty(process.stdout), _empty(process.stderr), process.wait())


async def _empty(stream: asyncio.StreamReader) -> None:
    while await stream.read(CHUNK):
        pass


def _now() -> float:
    return asyncio.get_running_loop().time()
