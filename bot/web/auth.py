"""Let in who bears a token: `Authorization: Bearer ...`."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from bot.web.answers import send_json


class Bearer:
    """Wrap an ASGI application so that it is reached only with one of the tokens; without tokens, by nobody."""

    def __init__(self, app: ASGIApp, tokens: Sequence[str]) -> None:
        self._app = app
        self._tokens = [token.encode() for token in tokens if token]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if self.allows(scope["headers"]):
            await self._app(scope, receive, send)
            return
        error = {"code": "GW-WEB-TOKEN", "what": "A bearer token is needed.", "fix": "one of [server] api_tokens"}
        await send_json(send, 401, {"error": error}, [(b"www-authenticate", b"Bearer")])

    def allows(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Compare the one Authorization header with every token, in time that tells nothing about them."""
        given = [value for name, value in headers if name == b"authorization"]
        if len(given) != 1:
            return False
        scheme, _, token = given[0].partition(b" ")
        allowed = False
        for known in self._tokens:
            allowed |= hmac.compare_digest(known, token)
        return allowed and scheme.lower() == b"bearer"
