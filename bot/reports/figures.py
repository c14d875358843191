"""Numbers and times as people read them: USD with two decimals, minutes, UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit

from bot.reports.neutral import Markdown, plain

UNKNOWN: Final = Markdown("\N{EN DASH}")
_MINUTE: Final = 60_000


def usd(micro: int | None) -> Markdown:
    """Write micro-USD as `0.14`; a dash where no price is known."""
    if micro is None:
        return UNKNOWN
    return Markdown("&lt;0.01" if 0 < micro < 5_000 else f"{micro / 1_000_000:,.2f}")


def duration(ms: int) -> Markdown:
    """Write a time span in whole minutes, or seconds below one."""
    if ms < _MINUTE:
        return Markdown(f"{max(ms, 0) // 1000} s")
    hours, minutes = divmod(round(ms / _MINUTE), 60)
    return Markdown(f"{hours} h {minutes} min" if hours else f"{minutes} min")


def when(ms: int) -> Markdown:
    """Write Unix milliseconds as `28 Nov 2026, 14:05 UTC`."""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return Markdown(f"{at.day} {at:%b %Y, %H:%M} UTC")


def tokens(number: int) -> Markdown:
    """Write a number of tokens in thousands."""
    return Markdown(f"{round(number / 1000)} k" if number >= 1000 else str(number))


def count(number: int, one: str, many: str = "") -> Markdown:
    """Write a number with its noun."""
    return Markdown(f"{number} {one if number == 1 else many or one + 's'}")


def link(words: Markdown, url: str) -> Markdown:
    """Link words to a web address; words alone where there is none."""
    target = _target(url)
    return Markdown(f"[{words}]({target})") if target else words


def anchor(words: str, url: str) -> Markdown:
    """Link words in HTML, for footers."""
    target = _target(url)
    return Markdown(f'<a href="{target}">{plain(words)}</a>') if target else plain(words)


def _target(url: str) -> str:
    if urlsplit(url).scheme not in ("http", "https"):
        return ""
    return quote(url, safe=":/?#@!$&*+,;=%-._~").replace("&", "&amp;")
