"""The ledger: every call is recorded before it leaves and after it ends, counted and priced."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from bot.model.allowance import Allowance
from bot.model.task import Usage
from bot.settings import Price
from runners.gateway.budget import check
from runners.gateway.dialect import Answer, Dialect, Fields, Tokens
from runners.providers.protocol import Recorder

PROMPT_FIELDS = frozenset({"model", "messages", "system", "tools", "metadata"})
BYTES_A_TOKEN: Final = 4  # roughly, in English and in code
NOTHING = Answer(Tokens(), "", complete=False, content=b"")


def cost(tokens: Tokens, price: Price | None) -> int | None:
    """Price a call in micro-USD (USD per million tokens is micro-USD per token); None where the price is unknown."""
    if not tokens.given and not tokens.out:
        return 0
    if price is None:
        return None
    return round(
        tokens.fresh * price.input
        + tokens.cache_write * (price.input if price.cache_write is None else price.cache_write)
        + tokens.cache_read * (price.input if price.cache_read is None else price.cache_read)
        + tokens.out * price.output
    )


class Asked(msgspec.Struct, frozen=True):
    """What is asked of which model, as it is recorded; `routed` is the model that the run may use."""

    dialect: Dialect
    provider: str
    model: str
    routed: str
    fields: Fields
    body: bytes


class Ledger:
    """Numbers, records and sums the calls of one attempt, and holds them against what it may use."""

    def __init__(self, recorder: Recorder, attempt: int, prices: Mapping[str, Price]) -> None:
        self.attempt = attempt
        self.prices = prices
        self.usage = Usage()
        self.fault: Exception | None = None  # the first thing that could not be recorded
        self._recorder = recorder
        self._guessed = Usage()
        self._in_flight = 0
        self._uncounted = False
        self._last = 0

    def number(self) -> int:
        """Take the next call number."""
        self._last += 1
        return self._last

    @property
    def held(self) -> Usage:
        """Sum what counts against budgets: what was used, and what cut answers may have used uncounted."""
        return self.usage + self._guessed

    def open(self, asked: Asked, allowances: Iterable[Allowance]) -> Entry:
        """Record the call before it leaves; where the budget or the recording fails, the call must not be made."""
        price = self.prices.get(asked.model) or self.prices.get(asked.routed)
        check(
            allowances, self.held, in_flight=self._in_flight, price_known=price is not None, uncounted=self._uncounted
        )
        fields = asked.fields
        number = self.number()
        params = msgspec.json.encode({key: raw for key, raw in sorted(fields.items()) if key not in PROMPT_FIELDS})
        self._record(
            "model.call",
            {
                "attempt": self.attempt,
                "call": number,
                "provider": asked.provider,
                "model": asked.model[:256],
                "params_sha256": hashlib.sha256(params).hexdigest(),
                "tools_sha256": hashlib.sha256(fields.get("tools", b"")).hexdigest() if "tools" in fields else "",
            },
            "ok",
            {"prompt": asked.body},
        )
        self._in_flight += 1
        return Entry(self, number, asked.dialect.price(price) if price else None, len(asked.body))

    def close(self, number: int, price: Price | None, outcome: str, status: int, answer: Answer, since: float) -> None:
        """Record how the call ended and add it to the sum."""
        self._in_flight -= 1
        self._uncounted = self._uncounted or (bool(answer.content) and answer.tokens == Tokens() and outcome == "ok")
        micro_usd = cost(answer.tokens, price)
        self.usage += Usage(1, answer.tokens.given, answer.tokens.out, micro_usd)
        self._record(
            "model.result",
            {
                "attempt": self.attempt,
                "call": number,
                "stop": answer.stop[:256],
                "tokens_in": answer.tokens.given,
                "tokens_out": answer.tokens.out,
                "micro_usd": micro_usd,
                "dur_ms": round((time.monotonic() - since) * 1000),
                "status": status,
            },
            outcome,
            {"output": answer.content} if answer.content else {},
        )

    def guess(self, size: int, answer: Answer, price: Price | None) -> None:
        """Hold against the budget what a cut answer may have used uncounted; else cutting would make calls free."""
        given = max(0, size // BYTES_A_TOKEN - answer.tokens.given)
        out = max(0, len(answer.content) // BYTES_A_TOKEN - answer.tokens.out)
        self._guessed += Usage(0, given, out, cost(Tokens(fresh=given, out=out), price))

    def _record(self, kind: str, data: dict[str, Any], outcome: str, blobs: dict[str, bytes]) -> None:
        try:
            self._recorder.record(kind, data, outcome=outcome, blobs=blobs)
        except Exception as problem:
            self.fault = self.fault or problem
            raise


class Entry:
    """One call in the ledger; the first `close` counts, so that a `finally` may close once more."""

    def __init__(self, ledger: Ledger, number: int, price: Price | None, size: int) -> None:
        self._ledger = ledger
        self._number = number
        self._price = price
        self._size = size  # bytes of the request
        self._since = time.monotonic()
        self._open = True

    def close(self, outcome: str, *, status: int = 0, answer: Answer = NOTHING) -> None:
        """Record the end of the call: ok, fail, timeout or cancelled."""
        if self._open:
            self._open = False
            if not answer.complete and (outcome in ("cancelled", "timeout") or status == 200):
                self._ledger.guess(self._size, answer, self._price)
            self._ledger.close(self._number, self._price, outcome, status, answer, self._since)
