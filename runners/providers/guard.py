"""One run of any provider under the eyes of its door: what can succeed no more is ended at once."""

from __future__ import annotations

import asyncio
from typing import Final

from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause, Door, Jail, Provider, Recorder, Request, Result

VAGUE: Final = (Cause.CRASH, Cause.ANSWER)  # what a runtime says that does not know better


async def run(provider: Provider, request: Request, jail: Jail, door: Door, recorder: Recorder) -> Result:
    """Drive one request; raise what the door saw in preference to what the runtime made of it.

    (1) The runtime works until it ends, or until no call of it can succeed any more: runtimes try again for minutes.
    (2) Its own end counts, (3) unless the door knows why it failed. (4) A run that a budget stopped is no success,
    whatever the runtime says: it did not finish what it was about. (5) What the jail ended is told as that.
    """
    with door.begin(request.limits):
        work = asyncio.ensure_future(provider.run(request, jail, door, recorder))
        watch = asyncio.ensure_future(door.failed())
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)  # (1)
        finally:
            watch.cancel()
            work.cancel()
            ended, _ = await asyncio.gather(work, watch, return_exceptions=True)
        return _judged(ended, door, jail)


def _judged(ended: Result | BaseException, door: Door, jail: Jail) -> Result:
    seen = door.failure
    if isinstance(ended, ProviderError) and ended.cause in VAGUE and (passed := jail.passed):  # (5)
        raise ProviderError(ended.cause, ended.what, why=f"{passed}; {ended.why}", fix=ended.fix) from ended
    if isinstance(ended, ProviderError) and ended.cause in VAGUE:
        seen = seen or door.last_error
    if isinstance(ended, Result) and seen is None:
        return ended  # (2)
    if seen is not None and isinstance(ended, Result | ProviderError | asyncio.CancelledError):
        raise seen from (ended if isinstance(ended, BaseException) else None)  # (3), (4)
    assert isinstance(ended, BaseException)  # noqa: S101 - for the type checker: nothing else is left
    raise ended
