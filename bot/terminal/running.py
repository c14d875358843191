"""Run one command's loop so that Ctrl-C ends it in good order, once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Final

INTERRUPTED: Final = 130
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(main: Coroutine[Any, Any, int], on_stop: Callable[[], None] = lambda: None) -> int:
    """Run to the end, or cancel at the first signal and answer 130; while it cleans up, further signals wait."""
    return asyncio.run(_guarded(main, on_stop))


async def _guarded(main: Coroutine[Any, Any, int], on_stop: Callable[[], None]) -> int:
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(main)
    is_stopping = False

    def stop() -> None:
        nonlocal is_stopping
        if not is_stopping:
            is_stopping = True
            on_stop()
            work.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        return await work
    except asyncio.CancelledError:
        if not is_stopping:
            raise
        return INTERRUPTED
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
