"""What an endpoint may be called and where it may be; pure."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from bot.model.errors import UsageError
from bot.model.routing import RESERVED

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,38}")
URL_MAX: Final = 2_048


def checked_name(name: str) -> str:
    """Accept what can stand before the colon of a model string; raises UsageError for all else."""
    if name in RESERVED:
        raise UsageError(
            "GW-ENDPOINT-NAME", f"{name} cannot be the name of an endpoint",
            why=f"{name}:<model> would be taken for something else", fix="take another name",
        )  # fmt: skip
    if NAME.fullmatch(name):
        return name
    raise UsageError(
        "GW-ENDPOINT-NAME", f"{ascii(name)[:80]} cannot be the name of an endpoint",
        fix="take small letters, digits and dashes, 39 at most: it stands before the colon of a model string",
    )  # fmt: skip


def checked_url(url: str, *, insecure: bool = False) -> str:
    """Accept a base URL to which a key may be sent; `insecure` lets it go in clear text to another machine."""
    parts = _split(url)
    if parts.scheme == "http" and not insecure and not is_loopback(parts.hostname or ""):
        raise UsageError(
            "GW-ENDPOINT-CLEAR", f"http:// to {parts.hostname} would send the key in clear text",
            why="everybody on the way could read it, and the answers",
            fix="use https://, or say --insecure where you know the network",
        )  # fmt: skip
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine without asking anybody for its address."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _split(url: str) -> SplitResult:
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url or len(url) > URL_MAX:
        raise _wrong(url, "it holds characters that no URL holds, or is too long")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _wrong(url, str(error)) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise _wrong(url, "it is no http or https URL with a host")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise _wrong("", "it holds a user, a query or a fragment, where secrets could stand")
    return parts


def _wrong(url: str, why: str) -> UsageError:
    shown = f"{ascii(url)[:200]} " if url else "this "
    return UsageError(
        "GW-ENDPOINT-URL", f"{shown}cannot be the base URL of an endpoint", why=why,
        fix="write it as in https://gpu-1.example/v1, without /chat/completions",
    )  # fmt: skip
