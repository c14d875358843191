"""One run of a provider as its door sees it: how many calls it may make, and why none would succeed any more."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from runners.gateway.budget import CODES
from runners.gateway.errors import Denied
from runners.gateway.texts import failed_words, turns_error
from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause

ENDS: Final = frozenset({Cause.AUTH, Cause.QUOTA, Cause.RATE, Cause.MODEL, Cause.TIMEOUT, Cause.CRASH, Cause.BUDGET})

log = structlog.get_logger(__name__)


class Run:
    """Counts one run's calls and keeps why it failed; the first failure counts."""

    BROKEN_MAX: Final = 3  # answers in a row that broke off; runtimes would ask for ever

    def __init__(self, turns: int | None, idle_seconds: float, before: Run | None = None) -> None:
        self.idle_seconds = idle_seconds
        self.failure: ProviderError | None = None
        self.last_error: ProviderError | None = None
        self._turns = turns
        self._asked = 0
        self._broken = 0
        self._over = asyncio.Event()
        if before and before.failure and before.failure.code in CODES.values():  # holds for more than one run
            self.fail(before.failure)

    def check(self) -> None:
        """Raise Denied where the run has failed: whatever asks again would only wait longer."""
        if self.failure:
            if self.failure.cause is Cause.BUDGET:
                raise Denied(403, "BUDGET", self.failure.what)
            raise Denied(403, "FAILED", failed_words(self.failure.what))

    def turn(self) -> None:
        """Count one question to the model; raise Denied where the run has had all of its own."""
        self.check()
        if self._turns is not None and self._asked >= self._turns:
            failure = turns_error(self._turns)
            raise Denied(403, "BUDGET", failure.what, failure=failure)
        self._asked += 1

    def fail(self, failure: ProviderError) -> None:
        """End the run for good."""
        if not self.failure:
            log.warning("gateway.failed", code=failure.code, reason=failure.what, why=failure.why[:200])
            self.failure = failure
            self._over.set()

    def note(self, found: ProviderError) -> None:
        """Take what an answer of the API means: some errors end the run, others a runtime can do something about."""
        self.last_error = found
        if found.cause in ENDS:
            self.fail(found)

    def answered(self, but: ProviderError | None = None) -> None:
        """Forget what went wrong before: the model has answered; `but` is what a runtime may make of the answer."""
        self._broken = 0
        self.last_error = but

    def broke(self, found: ProviderError, crashed: ProviderError) -> None:
        """Count an answer that broke off; the client asks again, but after some in a row the run has `crashed`."""
        self._broken += 1
        self.last_error = found
        if found.cause in (Cause.AUTH, Cause.QUOTA, Cause.MODEL):
            self.fail(found)
        elif self._broken >= self.BROKEN_MAX:
            self.fail(crashed if found.cause is Cause.CRASH else found)

    def end(self, idle_seconds: float) -> None:
        """Lift the limits: what is left of the run may still be asking."""
        self._turns, self.idle_seconds = None, idle_seconds

    async def over(self) -> ProviderError:
        """Wait until the run has failed."""
        await self._over.wait()
        assert self.failure  # noqa: S101 - set before the event
        return self.failure
