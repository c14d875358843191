"""Close connections that hold a place and ask nothing: uvicorn waits for a request's head for ever."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_SECONDS: Final = 10.0


class Patience:
    """Make uvicorn's protocol, and close a connection on which no request was open during a whole `seconds`."""

    def __init__(self, seconds: float = HEAD_SECONDS) -> None:
        self._seconds = seconds

    def __call__(self, **parts: Any) -> asyncio.Protocol:
        """Build the protocol of one connection, as uvicorn asks for it."""
        protocol = AutoHTTPProtocol(**parts)
        self._watch(protocol, None)
        return protocol

    def _watch(self, protocol: Any, seen: object) -> None:
        # `cycle` is the newest request whose head is complete; both of uvicorn's protocols have it.
        asyncio.get_running_loop().call_later(self._seconds, self._look, protocol, seen)

    def _look(self, protocol: Any, seen: object) -> None:
        if protocol.transport is None or protocol.transport.is_closing():
            return
        cycle = protocol.cycle
        is_quiet = cycle is None or cycle.response_complete
        if is_quiet and cycle is seen:
            protocol.transport.close()
        else:
            self._watch(protocol, cycle)
