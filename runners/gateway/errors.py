"""How the gateway says no."""

from __future__ import annotations

from bot.model.errors import GatewrightError
from runners.providers.errors import ProviderError


class Denied(GatewrightError):
    """A request that is answered here and never forwarded; `status` is the HTTP status of the answer.

    `failure` is what the run fails with, where the refusal ends it; `error` is what it may have failed with, where
    the runtime then gives up.
    """

    def __init__(
        self, status: int, code: str, what: str, *, failure: ProviderError | None = None,
        error: ProviderError | None = None,
    ) -> None:  # fmt: skip
        super().__init__(f"GW-GATEWAY-{code}", what)
        self.status = status
        self.failure = failure
        self.error = error

    @property
    def said(self) -> str:
        """Say it to an agent, in a text that names us and the code."""
        return f"gatewright: {self.what} [{self.code}]"


class WrongModel(Denied):
    """A request for another model than the run may use."""

    def __init__(self, routed: str, asked: str) -> None:
        super().__init__(403, "MODEL", f"this run may use the model {routed}, not {asked[:100]}")
        self.asked = asked[:100]


class Broken(GatewrightError):
    """An upstream answer that must not count as a success: cut, garbled, too large or an error event.

    `said` is what the API itself said went wrong, where it did.
    """

    def __init__(self, what: str, said: bytes = b"") -> None:
        super().__init__("GW-GATEWAY-STREAM", what)
        self.said = said


class Cut(Broken):
    """An answer of which the client has a part: the connection has to be dropped; `error` says why, to people."""

    def __init__(self, what: str, error: ProviderError) -> None:
        super().__init__(what)
        self.error = error
