"""The rule about where code may go: hosts that the changed files did not name before.

What is put together when it runs is not seen; the jail and CI's own network rules are the fence, this is a look-out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from runners.scope.view import Finding, Rule, View, about, listed

AFTER_SCHEME: Final = re.compile(r"://([^\s/?#\"'`<>\\(){}|,;]+)")
AFTER_QUOTE: Final = re.compile(r"[\"'(=]//([\w.-]+\.[A-Za-z]{2,})")
SCP: Final = re.compile(r"(?<![\w.-])[\w.-]{1,64}@([\w.-]{1,253}):[\w~/.-]")
IPV4: Final = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\w)")
IPV6: Final = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])")
HOST: Final = re.compile(r"\w[\w.-]*")
RESERVED: Final = ("localhost", "test", "example", "invalid", "example.com", "example.org", "example.net")


def new_host(view: View) -> Iterator[Finding]:
    """See hosts and addresses in added lines; names reserved for examples and the machine itself are none."""
    known = {host for file in view.files for host in hosts(file.old)}
    for file in view.files:
        if found := {host for line in file.added for host in hosts(line)} - known:
            yield about(Rule.HOST, file, f"names {listed(found)}")


def hosts(text: str) -> set[str]:
    """List the hosts in a text, in lower case."""
    found: set[str] = set()
    for place in AFTER_SCHEME.findall(text):
        found |= _host(place.rpartition("@")[2])
    for place in (*AFTER_QUOTE.findall(text), *SCP.findall(text)):
        found |= _host(place)
    for literal in (*IPV4.findall(text), *filter(_is_likely, IPV6.findall(text))):
        found |= _address(literal)
    return found


def _host(place: str) -> set[str]:
    if place.startswith("["):
        return _address(place[1:].partition("]")[0])
    found = HOST.match(unquote(place).casefold())
    name = found[0].rstrip(".") if found else ""
    if re.fullmatch(r"[\d.]+", name) and _address(name):
        return _address(name)
    parts = name.split(".")
    is_reserved = parts[-1] in RESERVED or ".".join(parts[-2:]) in RESERVED
    return set() if not name or is_reserved or name in ("127.0.0.1", "0.0.0.0") else {name}  # noqa: S104 - to leave out


def _address(literal: str) -> set[str]:
    try:
        address = ipaddress.ip_address(literal)
    except ValueError:
        return set()
    return set() if address.is_loopback or address.is_unspecified else {str(address)}


def _is_likely(literal: str) -> bool:
    """Tell an address from `a::b`, which other languages write for other things."""
    return literal.count(":") > 2 or len(literal.partition(":")[0]) > 2
