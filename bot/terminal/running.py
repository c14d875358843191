"""Run one command's loop so that Ctrl-C ends it in good order, once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

INTERRUPTED: Final = 130
T = TypeVar("T")
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Ears:
    """Whether Ctrl-C is for us; signals belong to the whole process, and so does this."""

    is_deaf = False


@contextmanager
def deaf() -> Iterator[None]:
    """Leave Ctrl-C to a program that has the terminal, such as an editor."""
    _Ears.is_deaf = True
    try:
        yield
    finally:
        _Ears.is_deaf = False


def run(main: Coroutine[Any, Any, int], on_stop: Callable[[], None] = lambda: None) -> int:
    """Run to the end, or cancel at the first signal and answer 130; while it cleans up, further signals wait."""
    return asyncio.run(_guarded(main, on_stop))


async def through(function: Callable[..., T], *args: object) -> T:
    """Run a function in a thread to its very end: a thread cannot be stopped, and nobody may clean up under it."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


async def _guarded(main: Coroutine[Any, Any, int], on_stop: Callable[[], None]) -> int:
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(main)
    is_stopping = False

    def stop(number: int) -> None:
        nonlocal is_stopping
        if not is_stopping and not (_Ears.is_deaf and number == signal.SIGINT):
            is_stopping = True
            on_stop()
            work.cancel()

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        return await work
    except asyncio.CancelledError:
        if not is_stopping:
            raise
        return INTERRUPTED
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number] or signal.SIG_DFL)
