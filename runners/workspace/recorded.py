"""A jail that has every program in the journal before it starts."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from runners.providers.protocol import Exec, Jail, Recorder

Net = Literal["none", "gateway", "allowed", "open"]
PATIENCE_S: Final = 10.0  # of a thread, until the loop has taken its record


class Commands:
    """Records programs for one attempt, under numbers that its other calls do not have."""

    def __init__(self, recorder: Recorder, number: Callable[[], int], clean: Callable[[bytes], bytes]) -> None:
        self._recorder = recorder
        self._number = number
        self._clean = clean
        self._loop = asyncio.get_running_loop()

    def note(self, argv: Sequence[str], net: Net) -> None:
        """Record a program that is about to start; from a thread too, which waits until it is recorded."""
        try:
            is_here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_here = False
        if is_here:
            self._record(argv, net)
        else:
            asyncio.run_coroutine_threadsafe(self._recorded(argv, net), self._loop).result(PATIENCE_S)

    async def _recorded(self, argv: Sequence[str], net: Net) -> None:
        self._record(argv, net)

    def _record(self, argv: Sequence[str], net: Net) -> None:
        # Hashed as it is stored: the digest of a secret among the arguments would let it be guessed.
        words = self._clean(json.dumps(list(argv), ensure_ascii=False).encode("utf-8", "replace"))
        data = {"call": self._number(), "argv_sha256": hashlib.sha256(words).hexdigest(), "net": net}
        self._recorder.record("command.run", data, blobs={"argv": words})


class Recorded:
    """The same jail, recorded; implements runners.providers.protocol.Jail.

    `net` is what a program in it can reach: nothing, the gateway, hosts that are let through, or whatever the machine
    does.
    """

    def __init__(self, jail: Jail, commands: Commands, net: Net) -> None:
        self._jail = jail
        self._commands = commands
        self.net = net

    @property
    def worktree(self) -> Path:
        """Where the worktree lies on the host; hostile content."""
        return self._jail.worktree

    @property
    def inside(self) -> str:
        """Where the worktree lies for the agent."""
        return self._jail.inside

    @property
    def gateway_url(self) -> str:
        """Base URL of the gateway as the agent sees it."""
        return self._jail.gateway_url

    @property
    def outside(self) -> str:
        """Proxy that whatever wants out has to ask."""
        return self._jail.outside

    @property
    def confined(self) -> bool:
        """Whether anything holds what runs here."""
        return self._jail.confined

    @property
    def passed(self) -> str:
        """Say which bound a run through a wrapper was ended by."""
        return self._jail.passed

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        max_output: int = 30_000,
        env: Mapping[str, str] | None = None,
        writable: bool = True,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Exec:
        """Record a command, then run it to its end or its time-out."""
        self._commands.note(argv, self.net)
        return await self._jail.run(
            argv, timeout=timeout, max_output=max_output, env=env, writable=writable, on_output=on_output
        )

    def wrapper(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        binds: Sequence[tuple[Path, str]] = (),
        writable: bool = True,
    ) -> Path:
        """Record a program that a runtime is about to start, without what it adds, then write its executable."""
        self._commands.note(argv, self.net)
        return self._jail.wrapper(argv, env=env, binds=binds, writable=writable)


def reach(jail: Jail, *, has_door: bool, has_way_out: bool) -> Net:
    """Say what a program in a jail can reach."""
    if not jail.confined:
        return "open"
    return "allowed" if has_way_out else "gateway" if has_door else "none"
