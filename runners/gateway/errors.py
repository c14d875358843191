"""How the gateway says no."""

from __future__ import annotations

from bot.model.errors import GatewrightError
from runners.providers.protocol import Cause


class Denied(GatewrightError):
    """A request that is answered here and never forwarded; `status` is the HTTP status of the answer.

    `cause` is what the run fails with, where the refusal ends it.
    """

    def __init__(self, status: int, code: str, what: str, *, cause: Cause | None = None) -> None:
        super().__init__(f"GW-GATEWAY-{code}", what)
        self.status = status
        self.cause = cause


class Broken(GatewrightError):
    """An upstream answer that must not count as a success: cut, garbled, too large or an error event."""

    def __init__(self, what: str) -> None:
        super().__init__("GW-GATEWAY-STREAM", what)
