"""When a call that failed is made again: the one retry policy for all runtimes; pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from runners.providers.protocol import Cause

STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
DELAY: Final = re.compile(rb'"retryDelay"\s*:\s*"([0-9.]{1,12})s"')  # google.rpc.RetryInfo


class Patience(msgspec.Struct, frozen=True):
    """How often a call is tried, and how long is waited: what the API asks for, else twice as long each time."""

    tries: int = 3
    first_seconds: float = 1.0
    max_seconds: float = 60.0

    def brief(self) -> Patience:
        """Be less patient: for what is asked beside the work itself."""
        return Patience(min(self.tries, 2), self.first_seconds, self.first_seconds)

    def pause(self, tried: int, *, asked: float | None) -> float | None:
        """Say how many seconds to wait after `tried` tries, where the API asked for so many; None for no more."""
        if tried >= self.tries:
            return None
        return min(self.first_seconds * 2 ** (tried - 1) if asked is None else asked, self.max_seconds)


def may_mend(status: int, cause: Cause) -> bool:
    """Tell whether the same call may succeed when it is made again."""
    return status in STATUSES and cause in (Cause.RATE, Cause.TIMEOUT, Cause.CRASH)


def asked_seconds(headers: Mapping[str, str], body: bytes, now: datetime) -> float | None:
    """Read how long an API asks to wait: `retry-after-ms`, `retry-after` in either form, or Google's RetryInfo."""
    if (milliseconds := _number(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    after = headers.get("retry-after", "")
    if (seconds := _number(after)) is not None:
        return seconds
    if after:
        return _until(after, now)
    found = DELAY.search(body)
    return _number(found[1].decode()) if found else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _until(date: str, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(date)
    except ValueError:
        return None
    return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds())
