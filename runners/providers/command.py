"""Drives any agent runtime with a command line, inside the jail, behind the gateway."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from runners.loop import answer
from runners.loop.errors import ToolFault
from runners.providers.command_run import Run
from runners.providers.command_texts import error, prompt
from runners.providers.errors import ProviderError
from runners.providers.protocol import Access, Cause, Door, Jail, Recorder, Request, Result
from runners.providers.records import Calls
from runners.providers.runtime import Runtime, Start

TRIES: Final = 3  # for an answer that satisfies its schema
ARGUMENT_MAX: Final = 128 << 10  # bytes of one argument or variable, by the kernel (MAX_ARG_STRLEN)


class CommandProvider:
    """A Runtime as a Provider: the same clocks, bounds and records for all of them."""

    def __init__(self, runtime: Runtime) -> None:
        self.name = runtime.name
        self._runtime = runtime

    async def run(self, request: Request, jail: Jail, door: Door, recorder: Recorder) -> Result:
        """Drive one request to its end; no process, no temporary file and no open call is left behind."""
        before = door.usage
        calls = Calls(door, recorder, request.limits.output_bytes)
        outcome = "cancelled"
        try:
            async with asyncio.timeout(request.limits.wall_seconds):
                result = await self._answer(request, jail, door, calls)
        except TimeoutError as problem:
            outcome = "timeout"
            why = f"{request.limits.wall_seconds:.0f} s in all"
            raise error(Cause.TIMEOUT, self._runtime.label, why=why) from problem
        except ProviderError as problem:
            outcome = "timeout" if problem.cause is Cause.TIMEOUT else outcome
            raise
        finally:
            calls.close(outcome)
        return msgspec.structs.replace(result, usage=door.usage - before)

    async def _answer(self, request: Request, jail: Jail, door: Door, calls: Calls) -> Result:
        """Ask until the answer satisfies the schema, where there is one; each try is a process of its own."""
        said = fault = ""
        for _ in range(TRIES):
            said = await self._once(request, prompt(request, said, fault), jail, door, calls)
            if request.schema is None:
                return Result(text=said, model=request.model)
            try:
                return Result(text=said, answer=answer.parse(said, request.schema), model=request.model)
            except ToolFault as wrong:
                fault = str(wrong)
        raise error(Cause.ANSWER, self._runtime.label, why=fault)

    async def _once(self, request: Request, told: str, jail: Jail, door: Door, calls: Calls) -> str:
        start = await asyncio.to_thread(self._runtime.start, request, told, jail, door)  # one unpacks 235 MB first
        env = {**environment(jail.gateway_url, jail.outside), **start.env}
        largest = max(len(text.encode()) for text in (*start.argv, *env.values()))
        if largest >= ARGUMENT_MAX:
            why = f"{largest} bytes exceed the {ARGUMENT_MAX} that a command line takes"
            raise error(Cause.CONTEXT, self._runtime.label, why=why)
        with _files(start, jail.worktree) as shown:
            wrapper = jail.wrapper(
                start.argv, env=env, binds=(*start.binds, *shown), writable=request.access is Access.WRITE
            )
            run = Run(self._runtime.label, request, self._runtime.reader(request, jail), calls, door)
            said = await run.drive(wrapper, start.stdin)
        calls.close("cancelled")  # the next try uses the same ids again
        return said


def environment(gateway_url: str, outside: str) -> dict[str, str]:
    """Say what every runtime finds: whatever wants out asks `outside`, which counts it and refuses what is not let."""
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), outside)
    loopback = ",".join(dict.fromkeys(("127.0.0.1", "localhost", "::1", urlsplit(gateway_url).hostname or "")))
    plain = proxies | {"NO_PROXY": loopback}
    return plain | {name.lower(): value for name, value in plain.items()} | {"TERM": "dumb", "NO_COLOR": "1"}


@contextmanager
def _files(start: Start, worktree: Path) -> Iterator[list[tuple[Path, str]]]:
    """Write a start's files where only the jail's user can read them: they may hold its token."""
    with tempfile.TemporaryDirectory(prefix="gw-run-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        owner = worktree.stat().st_uid  # the jail's user owns its worktree
        shown = []
        for number, (inside, content) in enumerate(start.files.items()):
            path = folder / str(number)
            path.write_bytes(content)
            path.chmod(0o400)
            if os.geteuid() == 0:
                os.chown(path, owner, -1)
            shown.append((path, inside))
        yield shown
