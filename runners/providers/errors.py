"""How a provider fails, in one shape for all of them."""

from __future__ import annotations

from bot.model.errors import GatewrightError
from runners.providers.protocol import Cause


class ProviderError(GatewrightError):
    """A run ended without a usable result; `cause` decides what the task does next."""

    def __init__(self, cause: Cause, what: str, *, why: str = "", fix: str = "", code: str = "") -> None:
        super().__init__(code or f"GW-MODEL-{cause.name}", what, why=why, fix=fix)
        self.cause = cause
