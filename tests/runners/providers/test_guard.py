"""A run under the eyes of its door."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.model.state import Phase
from bot.model.task import Usage
from runners.providers import guard
from runners.providers.errors import ProviderError
from runners.providers.protocol import Access, Cause, Limits, Request, Result

REQUEST = Request(phase=Phase.CODING, model="m", system="", prompt="", access=Access.READ)
RATE = ProviderError(Cause.RATE, "the door saw a limit")
CONTEXT = ProviderError(Cause.CONTEXT, "the API said: too long")


class Door:
    """A door that fails when it is told to."""

    token, socket, attempt, usage, busy = "", Path(), 1, Usage(), False

    def __init__(self) -> None:
        self.failure: ProviderError | None = None
        self.last_error: ProviderError | None = None
        self.begun: list[Limits] = []
        self._over = asyncio.Event()

    def fail(self, error: ProviderError) -> None:
        self.failure = error
        self._over.set()

    def number(self) -> int:
        return 1

    async def failed(self) -> ProviderError:
        await self._over.wait()
        assert self.failure
        return self.failure

    @contextmanager
    def begin(self, limits: Limits) -> Iterator[None]:
        self.begun.append(limits)
        yield


class Played:
    """A provider that does what a test says."""

    name = "played"

    def __init__(self, act: Callable[[], Awaitable[Result]]) -> None:
        self.act = act
        self.cleared = False

    async def run(self, *_: Any) -> Result:
        try:
            return await self.act()
        finally:
            await asyncio.sleep(0)  # as a runtime whose processes have to be waited for
            self.cleared = True


class Cell:
    """All that a guard asks of a jail: which bound it has met."""

    def __init__(self, passed: str = "") -> None:
        self.passed = passed


async def play(door: Door, act: Callable[[], Awaitable[Result]], passed: str = "") -> Result:
    provider = Played(act)
    try:
        return await guard.run(provider, REQUEST, Cell(passed), door, None)  # type: ignore[arg-type]
    finally:
        assert provider.cleared


async def well() -> Result:
    return Result(text="done")


async def badly() -> Result:
    raise ProviderError(Cause.CRASH, "it fell over")


async def for_ever() -> Result:
    await asyncio.Future()
    raise AssertionError


async def test_a_run_that_ends_well_gives_its_result_within_its_limits() -> None:
    door = Door()
    assert (await play(door, well)).text == "done"
    assert door.begun == [REQUEST.limits]


async def test_a_runtime_that_goes_on_trying_is_ended_when_nothing_can_succeed() -> None:
    door = Door()
    asyncio.get_running_loop().call_later(0.01, door.fail, RATE)
    with pytest.raises(ProviderError) as caught:
        await play(door, for_ever)
    assert caught.value is RATE


async def test_a_success_that_a_runtime_claims_after_a_failure_is_none() -> None:
    door = Door()
    door.fail(RATE)
    with pytest.raises(ProviderError) as caught:
        await play(door, well)
    assert caught.value is RATE


async def test_what_the_api_said_explains_a_crash() -> None:
    door = Door()
    door.last_error = CONTEXT
    with pytest.raises(ProviderError) as caught:
        await play(door, badly)
    assert caught.value is CONTEXT


async def test_what_the_jail_ended_is_told_as_that() -> None:
    door = Door()
    door.last_error = CONTEXT
    with pytest.raises(ProviderError) as caught:
        await play(door, badly, "the jail used more than 96 MB")
    assert caught.value.cause is Cause.CRASH
    assert caught.value.why.startswith("the jail used more than 96 MB")


async def test_a_runtime_that_knows_better_is_believed() -> None:
    async def refuse() -> Result:
        raise ProviderError(Cause.REFUSAL, "no")

    door = Door()
    door.last_error = CONTEXT
    with pytest.raises(ProviderError) as caught:
        await play(door, refuse)
    assert caught.value.cause is Cause.REFUSAL


async def test_a_defect_is_not_covered_up() -> None:
    async def defect() -> Result:
        raise KeyError("a bug")

    door = Door()
    door.fail(RATE)
    with pytest.raises(KeyError):
        await play(door, defect)


async def test_whoever_cancels_is_obeyed_and_nothing_is_left() -> None:
    running = asyncio.ensure_future(play(Door(), for_ever))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
