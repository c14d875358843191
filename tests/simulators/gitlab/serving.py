"""A program on its own thread and loop: how it starts, ends, and lets other threads act on its loop."""

from __future__ import annotations

import asyncio
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Final, Self, TypeVar

import uvicorn
from starlette.types import ASGIApp

STARTS_WITHIN: Final = 10.0  # seconds
Result = TypeVar("Result")


class Serving(ABC):
    """Serves an application on loopback from `with` (or `async with`) to its end, with one task beside it."""

    def __init__(self, port: int) -> None:
        # asyncio sets TCP_NODELAY only where the protocol number says TCP; without it every answer waits 40 ms.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name=type(self).__name__, daemon=True)
        self._ready = threading.Event()

    @abstractmethod
    def application(self) -> ASGIApp:
        """Give what is served."""

    @abstractmethod
    def beside(self) -> Coroutine[Any, Any, None]:
        """Give the task that runs as long as the server."""

    @abstractmethod
    def clean_up(self) -> None:
        """Remove what was made."""

    def start(self) -> Self:
        """Serve until `stop`."""
        self._thread.start()
        assert self._ready.wait(STARTS_WITHIN), "the simulator does not start"
        return self

    def stop(self) -> None:
        """Stop serving and remove all state."""
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(STARTS_WITHIN)
        assert not self._thread.is_alive(), "the simulator does not stop"
        self.clean_up()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        config = uvicorn.Config(
            self.application(),
            lifespan="off",
            log_config=None,
            date_header=False,
            timeout_graceful_shutdown=1,
            ws="none",
        )
        self._server = uvicorn.Server(config)
        try:
            self._loop.run_until_complete(self._main())
        finally:
            self._loop.close()
            self._socket.close()

    async def _main(self) -> None:
        task = asyncio.create_task(self.beside())
        self._loop.call_soon(self._ready.set)
        await self._server.serve(sockets=[self._socket])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def _end(self) -> None:
        self._server.should_exit = True

    def do(self, act: Callable[[], Result]) -> Result:
        """Run something on the simulator's own loop and return its result."""
        done: Future[Result] = Future()

        def run() -> None:
            try:
                done.set_result(act())
            except BaseException as error:  # noqa: BLE001 - it belongs to the caller
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(STARTS_WITHIN)
