"""One confined process from start to end: bounded output, a wall clock, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from runners.providers.protocol import Exec
from runners.workspace.disk import crowd

CHUNK: Final = 1 << 16
FLOOD_BYTES: Final = 256 << 20  # a command that writes more than this is stopped: nobody will read it
SWEEP_SECONDS: Final = 2.0
MARK: Final = "GW_RUN"  # in the environment of everything we start; what is inside a jail sees a random number


class Ended(msgspec.Struct, frozen=True):
    """How a process ended, before anybody has judged why."""

    exit_code: int
    output: bytes
    total: int
    duration_ms: int
    timed_out: bool
    stopped: bool = False  # by the caller's own watch
    crowd: int = 0  # threads of all it had started, where it timed out

    @property
    def flooded(self) -> str:
        """Say that it wrote more than anybody will read, empty where it did not."""
        return f"stopped: more than {FLOOD_BYTES >> 20} MiB of output" if self.total > FLOOD_BYTES else ""

    def result(self, most: int, limit: str = "", words: str = "") -> Exec:
        """Say it in the words of the protocol; `limit` is the bound that ended it, `words` what people read of it."""
        note = f"\n... {words} ...\n" if words else ""
        return Exec(
            exit_code=self.exit_code,
            output=self.output.decode(errors="replace") + note,
            duration_ms=self.duration_ms,
            timed_out=self.timed_out,
            truncated=self.total > most,
            limit=limit,
        )


class Window:
    """Keep the first and the last of a stream: beginnings name the command's trouble, ends its result."""

    def __init__(self, limit: int) -> None:
        self.total = 0
        self._half = limit // 2
        self._limit = limit
        self._head = bytearray()
        self._tail = bytearray()

    def add(self, chunk: bytes) -> None:
        """Take in a piece; memory stays below the limit and one piece."""
        self.total += len(chunk)
        room = self._half - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:] if room > 0 else chunk
        if len(self._tail) > 2 * self._limit:  # cut seldom: each cut copies
            del self._tail[: -self._limit]

    def content(self) -> bytes:
        """Return what was kept, with a note where something is left out."""
        if self.total <= self._limit:
            return bytes(self._head + self._tail)
        kept = self._tail[-(self._limit - self._half) :]
        left = self.total - len(self._head) - len(kept)
        return bytes(self._head) + f"\n... {left} bytes left out ...\n".encode() + bytes(kept)


async def finish(  # noqa: PLR0913 - a process has this many sides
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    mark: str,
    timeout: float,
    max_output: int,
    on_output: Callable[[bytes], None] | None = None,
    pass_fds: Sequence[int] = (),
    confined: bool = True,
    watch: Callable[[], Awaitable[None]] | None = None,
) -> Ended:
    """Start a process, read it to its end, its time-out or the return of `watch`, and leave nothing of it.

    Must run in a thread that outlives the process (the event loop's): the parent-death signal is per thread.
    Where nothing confines the process, what it leaves in the background is hunted by its mark.
    """
    begun = time.monotonic()
    try:
        process, reader, transport = await _start(argv, {**env, MARK: mark}, cwd, pass_fds)
    except asyncio.CancelledError:  # in the middle of starting: asyncio has killed what it started, and no more
        await sweep(mark)
        raise
    window, members = Window(max_output), 0
    drain = asyncio.ensure_future(_drain(process, reader, window, on_output))
    ends = [asyncio.ensure_future(each) for each in (process.wait(), *([watch()] if watch else []))]
    try:
        done, _ = await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        members = 0 if done else crowd(process.pid)
    finally:
        by_us = process.returncode is None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        for each in ends:
            each.cancel()
        _, *watched = await asyncio.gather(*ends, return_exceptions=True)
        if by_us or not confined:
            await sweep(mark)
        await _settle(drain)
        transport.close()
    stopped = any(each in done for each in ends[1:]) and by_us
    for fault in watched:
        if isinstance(fault, Exception):
            raise fault
    code = process.returncode or 0
    took = round((time.monotonic() - begun) * 1000)
    code = code if code >= 0 else 128 - code
    return Ended(code, window.content(), window.total, took, not done, stopped, members)


async def _start(
    argv: Sequence[str], env: Mapping[str, str], cwd: Path, pass_fds: Sequence[int]
) -> tuple[asyncio.subprocess.Process, asyncio.StreamReader, asyncio.ReadTransport]:
    """Start with a pipe of our own: asyncio's would have `wait` last until every holder of the pipe is gone.

    The start itself is the last thing that is waited for: whoever cancels it leaves no process that nobody knows.
    """
    ours, theirs = os.pipe()
    reader = asyncio.StreamReader()
    transport: asyncio.ReadTransport | None = None
    try:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb", 0)
        )
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env=env,
            cwd=cwd,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    except BaseException:
        if transport is not None:
            transport.close()
        raise
    finally:
        os.close(theirs)
    return process, reader, transport


async def _settle(drain: asyncio.Future[None]) -> None:
    """Read what is still in the pipe; every writer is dead, or one escaped from where nothing confines it."""
    try:
        async with asyncio.timeout(SWEEP_SECONDS):
            await drain
    except TimeoutError:
        drain.cancel()


async def sweep(mark: str) -> int:
    """Kill every process that carries a mark (or one that begins so), and return how many there were.

    Needed where a jail is killed within milliseconds of its start: bubblewrap's inner half then lives on, with no
    parent to die with.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + SWEEP_SECONDS
    clean = 0
    while clean < 2 and time.monotonic() < deadline:  # twice: in the middle of exec a process shows no environment
        found = marked(mark)
        clean = 0 if found else clean + 1
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        await asyncio.sleep(0.005)
    return len(killed)


def marked(mark: str) -> list[int]:
    """List the living processes whose environment carries a mark that begins so."""
    needle = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):  # gone, or not ours to look at
            environ = (entry / "environ").read_bytes()
            if environ.startswith(needle) or b"\0" + needle in environ:
                found.append(int(entry.name))
    return found


async def _drain(
    process: asyncio.subprocess.Process,
    reader: asyncio.StreamReader,
    window: Window,
    on_output: Callable[[bytes], None] | None,
) -> None:
    while chunk := await reader.read(CHUNK):
        window.add(chunk)
        if on_output is not None:
            on_output(chunk)
        if window.total > FLOOD_BYTES and process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
