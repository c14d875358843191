"""Orders on their way to a worker: signed by control, because write access to Redis is not authority."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from bot.audit.keys import verify
from bot.model.errors import GatewrightError
from bot.model.order import Order

DOMAIN: Final = b"gatewright/order/v1\n"


class Signer(Protocol):
    """Whatever signs: `InstanceKey`, or something that asks a key service."""

    def sign(self, message: bytes) -> bytes:
        """Sign a message (64 bytes)."""
        ...


class OrderError(GatewrightError):
    """An order that control did not give."""


def sign_order(order: Order, key: Signer) -> bytes:
    """Spell an order as `<signature in hex> LF <canonical JSON>`."""
    body = msgspec.json.encode(order, order="sorted")
    return key.sign(DOMAIN + body).hex().encode("ascii") + b"\n" + body


def verify_order(raw: bytes, public: bytes) -> Order:
    """Read an order only after its signature by this raw Ed25519 key was checked; raise OrderError otherwise."""
    if not is_ours(raw, public):
        raise OrderError(
            "GW-ORDER-SIGNATURE",
            "the order was not signed by this instance",
            why="it was altered in Redis, or this worker was given another instance's public key",
            fix="compare the instance key of control with the one this worker uses",
        )
    try:
        return msgspec.json.decode(raw.partition(b"\n")[2], type=Order)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise OrderError(
            "GW-ORDER-FORM",
            "the order is in another form than this worker reads",
            why=str(error),
            fix="run the same version of Gatewright on control and worker",
        ) from None


def is_ours(raw: bytes, public: bytes) -> bool:
    """Tell whether this raw Ed25519 key signed an order."""
    signature, _, body = raw.partition(b"\n")
    try:
        return verify(public, DOMAIN + body, bytes.fromhex(signature.decode("ascii")))
    except ValueError:
        return False
