"""Which hosts policy lets a jail reach: exact names, `*.suffix`, addresses; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Self

import msgspec

from bot import settings
from bot.model.errors import UsageError

Address = IPv4Address | IPv6Address

PORTS: Final = (443, 80)  # where a rule names none
PORT_MAX: Final = 65_535
LABEL: Final = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
NAME: Final = re.compile(rf"{LABEL}(\.{LABEL})*\.?")
NUMERIC: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)\.?")  # a last label that resolvers may take for an address


class Target(msgspec.Struct, frozen=True):
    """One place that something in the jail wants to reach; `host` is lower case, without brackets or a final dot."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def address(self) -> Address | None:
        """The address, where the host is written as one."""
        return as_address(self.host)


class Rule(msgspec.Struct, frozen=True):
    """One entry of an allow-list."""

    host: str  # a `*.suffix` begins with its dot
    ports: tuple[int, ...]

    def lets(self, host: str, port: int) -> bool:
        """Tell whether it is about this host and port; a suffix is not about the domain itself."""
        is_it = host.endswith(self.host) if self.host.startswith(".") else host == self.host
        return is_it and port in self.ports


class Rules(msgspec.Struct, frozen=True):
    """A whole allow-list."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str], name: str = "") -> Self:
        """Read the list as settings have it under `name`; raise GW-EGRESS-RULE where an entry is no host."""
        return cls(tuple(_rule(entry, name) for entry in entries))

    def lets(self, target: Target) -> bool:
        """Tell whether policy has this place; an address has to stand there as an address."""
        return any(rule.lets(target.host, target.port) for rule in self.rules)

    def lets_address(self, address: Address, port: int) -> bool:
        """Tell whether policy has this very address, which is what opens an address that is not public."""
        return any(rule.lets(str(address), port) for rule in self.rules)


def check(table: settings.Sandbox) -> None:
    """Raise GW-EGRESS-RULE for the first entry that no jail could be given, before any task needs it."""
    Rules.parse(table.network_allow, "sandbox.network_allow")
    Rules.parse(table.setup_allow, "sandbox.setup_allow")


def target(text: str, default: int | None = None) -> Target | None:
    """Read `host:port` as a request names it; None where it is none. Addresses in odd spellings (0x7f.1) are none."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]/@?#\s]+))(?::([0-9]{1,5}))?", text)
    if found is None:
        return None
    port = int(found[3]) if found[3] else default
    if port is None or not 0 < port <= PORT_MAX:
        return None
    host = (found[1] or found[2]).lower()
    if address := as_address(host):
        return Target(str(address), port) if bool(found[1]) == (address.version == 6) else None
    if found[1] or not NAME.fullmatch(host) or NUMERIC.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return None
    return Target(host.rstrip("."), port)


def as_address(host: str) -> Address | None:
    """Read an address in its usual spelling."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _rule(entry: str, name: str) -> Rule:
    text = entry.strip()
    is_suffix = text.startswith("*.")
    bare = as_address(text)
    found = target(f"[{text}]" if bare and bare.version == 6 else text.removeprefix("*."), default=0x1BB)
    if found is None or (is_suffix and found.address):
        raise UsageError(
            "GW-EGRESS-RULE",
            f"{f'{name}: ' if name else ''}{entry!r} is no host that a jail may be let reach",
            why="an entry is a host, `*.suffix` or an address, each with `:port` or without",
            fix=f"write {_meant(entry)} in {name or 'sandbox.network_allow or sandbox.setup_allow'}",
        )
    has_port = bare is None and re.search(r":[0-9]+$", text) is not None
    return Rule(f".{found.host}" if is_suffix else found.host, (found.port,) if has_port else PORTS)


def _meant(entry: str) -> str:
    """Guess the host in a whole address, which is what most wrong entries are."""
    found = re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?([^/?#]+).*", entry.strip())
    if found is not None and target(found[1], default=443):
        return f'"{found[1]}"'
    return 'it as "packages.example", "*.packages.example", "packages.example:8443" or "192.0.2.7:443"'
