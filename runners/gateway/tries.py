"""One call of a client with all its tries: the client sees one answer, the record sees each try."""

from __future__ import annotations

import asyncio
from typing import Final

import httpx
import structlog

from runners.gateway import failure
from runners.gateway.account import Account
from runners.gateway.dialect import Kind
from runners.gateway.errors import Cut
from runners.gateway.forward import Call, Refusal, forward
from runners.gateway.ledger import Ledger
from runners.gateway.retry import Patience
from runners.gateway.run import Run
from runners.gateway.wire import Connection
from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause

ASKS: Final = (Kind.GENERATE, Kind.ARRAY)  # the model itself; what else fails ends no run

log = structlog.get_logger(__name__)


class Tries:
    """Makes calls for the clients of one door, again where that may help, and tells the run what came of it."""

    def __init__(self, ledger: Ledger, account: Account, client: httpx.AsyncClient, patience: Patience) -> None:
        self._ledger = ledger
        self._account = account
        self._client = client
        self._patience = patience

    async def carry(self, call: Call, connection: Connection, run: Run) -> None:
        """Ask until there is an answer or no more hope; raises Denied before, and Cut within an answer."""
        asks = call.admitted.kind in ASKS
        patience = self._patience if asks else self._patience.brief()
        tried = 1
        while isinstance(outcome := await self._try(call, connection, run if asks else None), Refusal):
            pause = patience.pause(tried, asked=outcome.wait) if outcome.may_mend else None
            if pause is None:
                if asks:
                    _note(run, call, outcome)
                await connection.answer(outcome.status, outcome.body, outcome.headers | {"x-should-retry": "false"})
                return
            log.info("gateway.retry", model=call.asked.model, status=outcome.status, tried=tried, seconds=pause)
            await asyncio.sleep(pause)
            run.check()  # it may have ended meanwhile
            tried += 1

    async def _try(self, call: Call, connection: Connection, run: Run | None) -> Refusal | str:
        """Make one call, with a record of its own; the budget is asked before each."""
        entry = self._ledger.open(call.asked, await self._account.now())
        try:
            outcome = await forward(call, self._client, connection, entry)
        except Cut as cut:
            if run:
                _broke(run, call, cut.error)
            raise
        finally:
            entry.close("cancelled")
            self._account.settle()
        if run and isinstance(outcome, str):
            run.answered(failure.refused(call.place, outcome) if failure.is_refusal(outcome) else None)
        return outcome


def _note(run: Run, call: Call, refusal: Refusal) -> None:
    if refusal.is_broken:
        _broke(run, call, refusal.error)
    else:
        run.note(refusal.error)


def _broke(run: Run, call: Call, found: ProviderError) -> None:
    if found.cause is Cause.TIMEOUT:
        run.note(found)
    else:
        run.broke(found, failure.crashed(call.place, run.BROKEN_MAX, found.why))
