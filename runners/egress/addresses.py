"""Which addresses a name may lead to: what lies in the house is reached only where policy writes its address."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_network
from typing import Final

from runners.egress.rules import Address

# Beside what the registries call not global: prefixes that carry another address, relics of such, and what versions of
# Python see differently (a cloud has its metadata at 192.0.0.192).
FENCED: Final = tuple(
    ip_network(each)
    for each in (
        "192.0.0.0/24", "192.88.99.0/24", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/23", "2002::/16",
    )
)  # fmt: skip


def is_public(address: Address) -> bool:
    """Tell whether anybody on the internet may have this address; mapped and translated ones never count."""
    if isinstance(address, IPv6Address) and (address.ipv4_mapped or address.scope_id):
        return False
    if any(address.version == net.version and address in net for net in FENCED):
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
        or address.is_link_local or address.is_private
    )  # fmt: skip
