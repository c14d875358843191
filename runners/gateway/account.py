"""What an attempt may use at this moment: its allowances, the day's read anew from the purse that all workers share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from bot.model.allowance import Allowance
from bot.model.task import Usage
from runners.gateway.budget import Purse
from runners.gateway.errors import Denied
from runners.gateway.ledger import Ledger
from runners.gateway.texts import error
from runners.providers.protocol import Cause

PURSE_SECONDS: Final = 10.0  # for one answer of the purse

log = structlog.get_logger(__name__)


class Account:
    """Keeps the day's purse and one attempt's ledger in step; what the purse did not take is offered again."""

    def __init__(self, ledger: Ledger, allowances: Sequence[Allowance], purse: Purse | None) -> None:
        self._ledger = ledger
        self._allowances = [one for one in allowances if one.is_limited]
        self._purse = purse
        self._told = Usage()  # what the purse knows of
        self._turn = asyncio.Lock()
        self._telling: set[asyncio.Task[None]] = set()

    async def now(self) -> Sequence[Allowance]:
        """Give the allowances as they are; Denied where a day has limits and the purse does not answer."""
        purse = self._purse
        if purse is None or not any(one.scope == "day" for one in self._allowances):
            return self._allowances
        try:
            await asyncio.shield(self.settle())  # a client that hangs up must not leave an addition half done
            async with asyncio.timeout(PURSE_SECONDS):
                others = await purse.others()
        except Exception as problem:
            log.warning("gateway.purse", reason=f"{type(problem).__name__}: {problem}"[:300])
            found = error("purse", Cause.BUDGET, why=type(problem).__name__, code="GW-GATEWAY-PURSE")
            raise Denied(503, "PURSE", found.what, error=found) from problem
        return [msgspec.structs.replace(one, used=others) if one.scope == "day" else one for one in self._allowances]

    def settle(self) -> asyncio.Task[None]:
        """Begin to tell the purse what was used since it was last told; `now` finds out where that fails."""
        task = asyncio.ensure_future(self._tell())
        self._telling.add(task)
        task.add_done_callback(self._told_or_not)
        return task

    async def close(self) -> None:
        """Tell the purse the rest."""
        self.settle()
        await asyncio.gather(*self._telling, return_exceptions=True)

    async def _tell(self) -> None:
        if self._purse is None:
            return
        async with self._turn, asyncio.timeout(PURSE_SECONDS):
            held = self._ledger.held
            fresh = held - self._told
            if fresh.calls or fresh.tokens_in or fresh.tokens_out:
                await self._purse.add(fresh)
                self._told = held

    def _told_or_not(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        if not task.cancelled() and (problem := task.exception()):
            log.warning("gateway.purse", reason=f"{type(problem).__name__}: {problem}"[:300])
