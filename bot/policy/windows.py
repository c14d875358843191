"""Freeze windows: times in which no new code is let through, absolute or weekly."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from bot.model.errors import UsageError

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
AHEAD_MS: Final = 371 * 86_400_000  # windows that join up for longer are as good as for ever
_DAY: Final = rf"({'|'.join(DAYS)}) ([01]\d|2[0-3]):([0-5]\d)"
_WEEKLY: Final = re.compile(rf"{_DAY}/{_DAY} ([A-Za-z][A-Za-z0-9_+/-]{{0,63}})")
_FORMS: Final = (
    '"2026-12-20T00:00Z/2027-01-05T00:00Z", or "Fri 16:00/Mon 08:00 UTC" with any zone such as Europe/Berlin'
)


class Absolute(msgspec.Struct, frozen=True):
    """One stretch of time; Unix milliseconds, the end is outside."""

    start_ms: int
    end_ms: int

    def around(self, at_ms: int) -> Iterator[tuple[int, int]]:
        """Name the stretch, whatever the moment."""
        del at_ms
        yield self.start_ms, self.end_ms


class Weekly(msgspec.Struct, frozen=True):
    """A stretch of every week on the clocks of a zone; days count from Monday as 0, minutes from midnight."""

    start_day: int
    start_minute: int
    days: int  # from the start's day to the end's
    end_minute: int
    zone: str

    def around(self, at_ms: int) -> Iterator[tuple[int, int]]:
        """Name the stretches near a moment; where clocks are set, the longer reading of each counts."""
        zone = _zone(self.zone)
        today = datetime.fromtimestamp(at_ms / 1000, zone).date()
        for back in range(9):
            day = today - timedelta(days=back)
            if day.weekday() == self.start_day:
                end = day + timedelta(days=self.days)
                yield (
                    min(_wall_ms(day.isoformat(), self.start_minute, zone)),
                    max(_wall_ms(end.isoformat(), self.end_minute, zone)),
                )


def parse(text: str) -> Absolute | Weekly:
    """Read one window; raises UsageError naming it where it is none."""
    if found := _WEEKLY.fullmatch(text):
        return _weekly(text, found)
    start, _, end = text.partition("/")
    try:
        window = Absolute(_moment_ms(start), _moment_ms(end))
    except ValueError as error:
        raise _unreadable(text, str(error)) from None
    if window.end_ms <= window.start_ms:
        raise _unreadable(text, "it ends before it begins")
    return window


def frozen_until(windows: Sequence[str], at_ms: int) -> int | None:
    """Tell when the freeze of that moment ends, over windows that join up; None where there is none."""
    read = [parse(text) for text in windows]
    until = at_ms
    while until < at_ms + AHEAD_MS:
        ends = [end for window in read for start, end in window.around(until) if start <= until < end]
        if not ends:
            break
        until = max(ends)
    return until if until > at_ms else None


def _weekly(text: str, found: re.Match[str]) -> Weekly:
    first, hour, minute, last, end_hour, end_minute, zone = found.groups()
    try:
        _zone(zone)
    except (OSError, ValueError, KeyError):  # whatever the time zone database makes of a name it does not have
        raise _unreadable(text, f"this machine knows no time zone {zone}") from None
    start, end = int(hour) * 60 + int(minute), int(end_hour) * 60 + int(end_minute)
    days = (DAYS.index(last) - DAYS.index(first)) % len(DAYS)
    if not days and start == end:
        raise _unreadable(text, "it ends when it begins")
    return Weekly(DAYS.index(first), start, days if days or end > start else len(DAYS), end, zone)


def _moment_ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no zone: end it with Z or an offset such as +01:00")
    return int(moment.timestamp() * 1000)


def _wall_ms(day: str, minute: int, zone: tzinfo) -> tuple[int, int]:
    """Read a wall clock both ways: they differ in the hour that a change of clocks repeats or leaves out."""
    wall = datetime.fromisoformat(f"{day}T{minute // 60:02}:{minute % 60:02}").replace(tzinfo=zone)
    return int(wall.timestamp() * 1000), int(wall.replace(fold=1).timestamp() * 1000)


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def _unreadable(text: str, why: str) -> UsageError:
    return UsageError("GW-POLICY-WINDOW", f"'{text}' is no freeze window", why=why, fix=f"write {_FORMS}")
