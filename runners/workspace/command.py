"""One command in a jail with this terminal's input and output, and what is said about it afterwards."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from bot import settings
from runners.workspace.bounds import TOO_LARGE, standing
from runners.workspace.sandbox import Sandbox

START: Final = ("/bin/sh", "-c", ":")  # what every system has
KEPT: Final = 1_000_000  # bytes of output in a JSON document
ENDLESS: Final = 7 * 86_400.0  # seconds; a person ends it before
KILLED: Final = 137


class Tried(msgspec.Struct, frozen=True):
    """How a command in the jail ended; `limited` says in words what ended it, empty where it ended by itself.

    `start_ms` is what the jail costs: until a shell that does nothing has ended in it.
    """

    exit_code: int
    start_ms: int
    ran_ms: int
    user: int | None
    limited: str = ""
    output: str = ""


def limits(table: settings.Sandbox) -> int:
    """Print which limits of a jail hold on this machine, and by what; return 1 where one does not."""
    listed = standing(table)
    for each in listed:
        print(each.words)  # noqa: T201 - this is the answer
    return 0 if all(each.by for each in listed) else 1


async def attempt(jail: Sandbox, argv: Sequence[str], *, writable: bool, is_kept: bool) -> Tried | None:
    """Run a command, its output kept or let through; None where the jail does not start."""
    begun = time.monotonic()
    idle = await _started(jail, START, writable=False, quiet=True)
    started = _since(begun)
    if idle != 0:
        return None
    begun = time.monotonic()
    if is_kept:
        ended = await jail.run(argv, timeout=ENDLESS, max_output=KEPT, writable=writable)
        return Tried(ended.exit_code, started, ended.duration_ms, jail.uid, ended.limit, ended.output)
    code = await _started(jail, argv, writable=writable, quiet=False)
    return Tried(code, started, _since(begun), jail.uid, _bound(jail, code))


def show(tried: Tried) -> None:
    """Print it as one JSON document."""
    print(msgspec.json.encode(tried).decode())  # noqa: T201 - this is the answer


def say(tried: Tried, table: settings.Sandbox) -> None:
    """Say it on stderr, and which limits do not hold here."""
    who = f"user {tried.user}" if tried.user is not None else "your user"
    lines = [f"exit {tried.exit_code} after {tried.ran_ms} ms; start-up {tried.start_ms} ms, as {who}"]
    lines += [f"limited by: {tried.limited}"] if tried.limited else []
    lines += [each.words for each in standing(table) if not each.by]
    sys.stderr.write("".join(f"gatewright: {line}\n" for line in lines))


async def _started(jail: Sandbox, argv: Sequence[str], *, writable: bool, quiet: bool) -> int:
    wrapper = jail.wrapper(argv, env={}, writable=writable)
    closed = asyncio.subprocess.DEVNULL if quiet else None
    process = await asyncio.create_subprocess_exec(wrapper, stdin=closed, stdout=closed, stderr=closed)
    code = await process.wait()
    return code if code >= 0 else 128 - code


def _bound(jail: Sandbox, code: int) -> str:
    if jail.passed:
        return jail.passed
    return {TOO_LARGE: "the largest file (sandbox.file_mb)", KILLED: "a kill from inside or outside"}.get(code, "")


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
