"""Numbers and times as people read them: USD with two decimals, minutes, UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit

from bot.model.task import Usage
from bot.reports.neutral import Markdown, plain
from bot.reports.views import Caps

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
    """Write a number of tokens in thousands or millions."""
    if number >= 999_500:
        return Markdown(f"{number / 1_000_000:.1f}".removesuffix(".0") + " M")
    return Markdown(f"{round(number / 1000)} k" if number >= 1000 else str(number))


def price(used: Usage) -> Markdown:
    """Write what calls cost; one that has no price is not free."""
    return Markdown("price not set" if used.micro_usd is None else f"{usd(used.micro_usd)} USD")


def cost(used: Usage) -> Markdown:
    """Write what calls cost, or how much they were where nobody knows a price."""
    return price(used) if used.micro_usd is not None else Markdown(f"{tokens(used.tokens)} tokens, {price(used)}")


def spending(used: Usage, caps: Caps) -> Markdown:
    """Write all that a task used, each beside its limit: `312 k of 20 M tokens, 1.20 of 5.00 USD`."""
    parts = [f"{_of(tokens(used.tokens), tokens(caps.tokens) if caps.tokens else '')} tokens"]
    if caps.calls:
        parts.append(f"{used.calls} of {caps.calls} calls")
    if used.micro_usd is None:
        limit = f" (limit {usd(caps.micro_usd)} USD)" if caps.micro_usd else ""
        parts.append(f"{price(used)}{limit}")
    else:
        parts.append(f"{_of(usd(used.micro_usd), usd(caps.micro_usd) if caps.micro_usd else '')} USD")
    return Markdown(", ".join(parts))


def _of(used: str, limit: str) -> str:
    return f"{used} of {limit}" if limit else used


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
