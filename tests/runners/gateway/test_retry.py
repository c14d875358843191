"""When the same call is made again, and how long is waited before."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runners.gateway.retry import Patience, asked_seconds, may_mend
from runners.providers.protocol import Cause

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("tried", "asked", "seconds"),
    [
        (1, None, 1.0), (2, None, 2.0), (3, None, None), (4, 1.0, None),
        (1, 7.0, 7.0), (2, 0.0, 0.0), (1, 3600.0, 60.0),
    ],
)  # fmt: skip
def test_three_tries_are_made_and_what_the_api_asks_for_is_kept_up_to_a_minute(
    tried: int, asked: float | None, seconds: float | None
) -> None:
    assert Patience().pause(tried, asked=asked) == seconds


def test_what_is_asked_beside_the_work_is_tried_twice_at_most_and_soon() -> None:
    brief = Patience().brief()
    assert [brief.pause(tried, asked=30.0) for tried in (1, 2)] == [1.0, None]
    assert Patience(tries=1).brief().pause(1, asked=None) is None


@pytest.mark.parametrize(
    ("status", "cause", "again"),
    [
        (429, Cause.RATE, True), (429, Cause.QUOTA, False), (429, Cause.CONTEXT, False), (529, Cause.RATE, True),
        (408, Cause.TIMEOUT, True), (504, Cause.TIMEOUT, True), (500, Cause.CRASH, True), (503, Cause.CRASH, True),
        (500, Cause.CONTEXT, False), (501, Cause.CRASH, False), (400, Cause.ANSWER, False), (401, Cause.AUTH, False),
        (402, Cause.QUOTA, False), (404, Cause.MODEL, False), (403, Cause.AUTH, False),
    ],
)  # fmt: skip
def test_what_cannot_mend_is_not_tried_again(status: int, cause: Cause, again: bool) -> None:
    assert may_mend(status, cause) is again


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, b"", None),
        ({"retry-after": "7"}, b"", 7.0),
        ({"retry-after": "0.5"}, b"", 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, b"", 0.25),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT"}, b"", 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 09:00:00 GMT"}, b"", 0.0),
        ({"retry-after": "soon"}, b"", None),
        ({"retry-after": "nan"}, b"", None),
        ({"retry-after": "-5"}, b"", None),
        ({"retry-after": "inf"}, b"", None),
        ({}, b'{"error":{"details":[{"retryDelay": "34.5s"}]}}', 34.5),
        ({"retry-after": "1"}, b'{"retryDelay":"34s"}', 1.0),
    ],
)
def test_the_wait_is_read_wherever_apis_write_it(headers: dict[str, str], body: bytes, seconds: float | None) -> None:
    assert asked_seconds(headers, body, NOW) == seconds
