"""Freeze windows: absolute and weekly, over midnight, week ends and changes of clocks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.model.errors import UsageError
from bot.policy.windows import frozen_until, parse


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def until(windows: str | tuple[str, ...], at: str) -> str:
    found = frozen_until((windows,) if isinstance(windows, str) else windows, ms(at))
    return "" if found is None else datetime.fromtimestamp(found / 1000, UTC).strftime("%Y-%m-%dT%H:%M")


CHRISTMAS = "2026-12-20T00:00Z/2027-01-05T00:00Z"
WEEKEND = "Fri 16:00/Mon 08:00 UTC"


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2026-12-19T23:59:59.999", ""),
        ("2026-12-20T00:00", "2027-01-05T00:00"),
        ("2027-01-04T23:59:59.999", "2027-01-05T00:00"),
        ("2027-01-05T00:00", ""),
    ],
)
def test_an_absolute_window_holds_its_start_and_not_its_end(at, end):
    assert until(CHRISTMAS, at) == end


def test_an_offset_is_heeded():
    assert until("2026-12-20T00:00+02:00/2026-12-21T00:00-05:00", "2026-12-19T22:00") == "2026-12-21T05:00"


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2026-11-20T15:59", ""),  # a Friday
        ("2026-11-20T16:00", "2026-11-23T08:00"),
        ("2026-11-22T12:00", "2026-11-23T08:00"),
        ("2026-11-23T07:59", "2026-11-23T08:00"),
        ("2026-11-23T08:00", ""),
        ("2026-11-25T12:00", ""),
    ],
)
def test_a_weekly_window_goes_over_the_end_of_the_week(at, end):
    assert until(WEEKEND, at) == end


@pytest.mark.parametrize(
    ("window", "at", "end"),
    [
        ("Wed 09:00/Wed 17:00 UTC", "2026-11-25T10:00", "2026-11-25T17:00"),
        ("Wed 09:00/Wed 17:00 UTC", "2026-11-25T18:00", ""),
        ("Wed 17:00/Wed 09:00 UTC", "2026-11-25T18:00", "2026-12-02T09:00"),  # nearly the whole week
        ("Wed 17:00/Wed 09:00 UTC", "2026-11-25T08:59", "2026-11-25T09:00"),
        ("Wed 17:00/Wed 09:00 UTC", "2026-11-25T10:00", ""),
        ("Sun 23:00/Mon 01:00 Pacific/Auckland", "2026-11-22T10:30", "2026-11-22T12:00"),  # +13
    ],
)
def test_a_weekly_window_may_begin_and_end_on_one_day(window, at, end):
    assert until(window, at) == end


# Berlin: clocks go 02:00 -> 03:00 on 2026-03-29 (a Sunday), 03:00 -> 02:00 on 2026-10-25 (a Sunday).
@pytest.mark.parametrize(
    ("window", "at", "end"),
    [
        ("Sun 00:00/Sun 06:00 Europe/Berlin", "2026-03-28T22:59", ""),
        ("Sun 00:00/Sun 06:00 Europe/Berlin", "2026-03-28T23:00", "2026-03-29T04:00"),  # one hour less
        ("Sun 00:00/Sun 06:00 Europe/Berlin", "2026-10-24T22:00", "2026-10-25T05:00"),  # one hour more
        ("Sun 01:00/Sun 02:30 Europe/Berlin", "2026-10-25T01:15", "2026-10-25T01:30"),  # the second 02:30
        ("Sun 02:30/Sun 04:00 Europe/Berlin", "2026-10-25T00:30", "2026-10-25T03:00"),  # the first 02:30
        ("Sun 02:30/Sun 04:00 Europe/Berlin", "2026-03-29T00:30", "2026-03-29T02:00"),  # 02:30 is not there
        ("Sun 01:00/Sun 02:30 Europe/Berlin", "2026-03-29T01:15", "2026-03-29T01:30"),  # nor here
        ("Fri 16:00/Mon 08:00 Europe/Berlin", "2026-03-30T05:59", "2026-03-30T06:00"),  # ends in summer time
    ],
)
def test_where_clocks_are_set_the_longer_reading_counts(window, at, end):
    assert until(window, at) == end


def test_windows_that_join_up_end_with_the_last_of_them():
    assert until((WEEKEND, "Mon 07:00/Tue 09:00 UTC"), "2026-11-21T00:00") == "2026-11-24T09:00"
    assert until(("2026-11-24T09:00Z/2026-11-24T10:00Z", WEEKEND), "2026-11-21T00:00") == "2026-11-23T08:00"


def test_windows_that_never_end_are_told_to_end_late():
    always = ("Mon 00:00/Thu 00:00 UTC", "Thu 00:00/Mon 00:00 UTC")
    assert until(always, "2026-11-21T00:00") > "2027-11-21"


def test_without_windows_nothing_is_frozen():
    assert frozen_until((), ms("2026-11-21T00:00")) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "always", "2026-12-20/2027-01-05", "2026-12-20T00:00/2027-01-05T00:00Z",
        "2026-12-20T00:00Z/2026-12-20T00:00Z", "2027-01-05T00:00Z/2026-12-20T00:00Z",
        "2026-12-32T00:00Z/2027-01-05T00:00Z",
        "2026-12-20T00:00Z", "Fri 16:00/Mon 08:00", "Fri 16:00/Mon 24:00 UTC", "Fr 16:00/Mo 08:00 UTC",
        "Fri 16:00/Fri 16:00 UTC", "Fri 16:00/Mon 08:00 Europe/Nowhere", "Fri 16:00/Mon 08:00 Europe",
        "Fri 16:00/Mon 08:00 ../../etc/passwd", "fri 16:00/mon 08:00 UTC", "Fri 16:00/Mon 08:00 UTC\n",
    ],
)  # fmt: skip
def test_what_is_no_window_is_named(text):
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.code == "GW-POLICY-WINDOW"
    assert repr(text)[1:-1].split("\\n")[0] in caught.value.what
    assert caught.value.why
