"""What a command line runtime is to its driver (command.py): how it is started, and what its lines mean."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

from runners.providers.protocol import Cause, Door, Jail, Request


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """One start of a runtime in the jail."""

    argv: tuple[str, ...]
    env: dict[str, str]
    binds: tuple[tuple[Path, str], ...] = ()  # (host path, path inside), read-only
    files: dict[str, bytes] = {}  # path inside -> content, read-only; the driver writes and binds them
    stdin: bytes = b""


class Called(msgspec.Struct, frozen=True):
    """The runtime begins a tool call; `arguments` is JSON."""

    id: str
    tool: str
    arguments: bytes


class Returned(msgspec.Struct, frozen=True):
    """A tool call ended; `exit` only where a command ran."""

    id: str
    is_ok: bool
    output: bytes = b""
    exit: int | None = None


class Said(msgspec.Struct, frozen=True):
    """Words of the model; the last ones are its answer."""

    text: str
    is_more: bool = False  # goes on where the last words ended


class Ended(msgspec.Struct, frozen=True):
    """The runtime says that it is done: without this no run is a success."""


class Failed(msgspec.Struct, frozen=True):
    """The runtime says that it failed; what the gateway saw comes first when the cause is judged."""

    why: str
    cause: Cause = Cause.CRASH


Happening: TypeAlias = Called | Returned | Said | Ended | Failed


class Reader(Protocol):
    """Reads the lines of one run; knows nothing of processes."""

    def line(self, line: bytes) -> Iterable[Happening]:
        """Understand one line of standard output; lines of no known form say nothing."""

    def end(self, exit_code: int, stderr: str) -> Iterable[Happening]:
        """Judge the end of the process: some runtimes say only by their exit code that they failed."""


class Runtime(Protocol):
    """A command line agent."""

    name: str  # as a route names its provider
    label: str  # as people call it

    def start(self, request: Request, prompt: str, jail: Jail, door: Door) -> Start:
        """Say how to run one prompt; raises GW-MODEL-RUNTIME-MISSING where the program is not installed."""

    def reader(self, request: Request, jail: Jail) -> Reader:
        """Make the reader of one run."""
