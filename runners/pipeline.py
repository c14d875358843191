"""One attempt from its order to its end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog
from redis.asyncio import Redis

from bot.model.errors import GatewrightError, Superseded
from bot.model.order import Order
from bot.model.state import Step
from runners import evidence, notes
from runners.access import Access
from runners.ground import WRITING, standing
from runners.heartbeat import Stopped, beat
from runners.names import Names
from runners.phases import archive, coding, fixing, planning, publish, qa, spec
from runners.phases.protocol import Made, Phase
from runners.purse import Purse
from runners.site import Site
from runners.stream import Recorder
from runners.workbench import Workbench

PHASES: Final[dict[Step, Phase]] = {
    Step.SPEC: spec.run,
    Step.PLANNING: planning.run,
    Step.CODING: coding.run,
    Step.QA: qa.run,
    Step.QA_FIXER: fixing.run,
    Step.PUBLISH: publish.run,
    Step.ARCHIVE: archive.run,
}
WORKING: Final = WRITING | {Step.QA, Step.PUBLISH}  # steps that build on what stands on the branch
SALVAGE_SECONDS: Final = 120.0
AGAIN: Final = 0.2  # seconds before a task that did not stop is told again
BUDGETS: Final = {"task": "GW-BUDGET-TASK", "day": "GW-BUDGET-DAY"}  # whose minutes were the least
LOST: Final = "GW-ATTEMPT-LOST"  # control starts another attempt after this one without asking a person


@dataclass(frozen=True, slots=True)
class Attempt:
    """All that one run of an order needs."""

    site: Site
    order: Order
    redis: Redis
    names: Names
    claim: str
    recorder: Recorder
    access: Access


class Ending(msgspec.Struct, frozen=True):
    """How an attempt ended; `explanation` is for people."""

    outcome: str = "ok"
    code: str = ""
    explanation: str = ""
    made: Made | None = None


class Watched:
    """Work that anybody who has a reason may end; the first reason counts."""

    def __init__(self, work: Coroutine[Any, Any, Made | None]) -> None:
        self.reason: Exception | None = None
        self._task = asyncio.ensure_future(work)

    def end(self, reason: Exception) -> None:
        """Cancel the work for a reason."""
        if self.reason is None:
            self.reason = reason
        self._task.cancel()

    async def result(self) -> Made | None:
        """Wait for the work; raise the reason it was ended for, whatever it said when it was."""
        try:
            return await self._task
        except (asyncio.CancelledError, Exception):
            if self.reason is None:
                raise
            raise self.reason from None


class TimedOut(GatewrightError):
    """The phase's wall clock ran out."""


async def perform(attempt: Attempt) -> None:
    """Carry out an order and report its end, whatever happens to it.

    (1) Heartbeat and stop watch. (2) Mirror, fetch, worktree. (3) Archive the journal. (4) Look at what people pushed.
    (5) The step's phase. (6) Keep what is there where the phase did not come to its end. (7) Report the end, last of
    all.
    """
    order = attempt.order
    benches: list[Workbench] = []
    async with AsyncExitStack() as opened:
        watched = Watched(_work(attempt, opened, benches))
        attempt.recorder.on_lost = watched.end
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, watched.end, _shutdown())
        heart = asyncio.ensure_future(beat(attempt.redis, attempt.names, attempt.claim, watched.end))  # (1)
        opened.push_async_callback(stopped, heart)
        opened.push_async_callback(attempt.recorder.close)
        clock = asyncio.get_running_loop().call_later(order.wall_seconds, watched.end, _too_long(order))
        opened.callback(clock.cancel)
        try:
            ending = await _ending(watched)
            for bench in benches:
                ending = await _settled(bench, ending)
            await _report(attempt, ending)  # (7)
        except Superseded as error:
            structlog.get_logger().info("attempt.superseded", task=order.task, attempt=order.attempt, why=error.what)


async def stopped(task: asyncio.Task[None]) -> None:
    """Cancel a task until it is over: a Redis client that is cancelled as its answer arrives can lose that."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN)
    await asyncio.gather(task, return_exceptions=True)


async def _work(attempt: Attempt, opened: AsyncExitStack, benches: list[Workbench]) -> Made | None:
    site, order = attempt.site, attempt.order
    mirror, worktree = await opened.enter_async_context(standing(site, order, attempt.access))  # (2)
    journal = await evidence.journal(attempt.redis, attempt.names, order)
    signed = await notes.signed(attempt.redis, attempt.names, order, journal, site.instance_public())
    bench = Workbench(
        site, order, attempt.recorder, attempt.access, worktree,
        mirror=mirror, journal=journal, signed=signed, purse=Purse(attempt.redis, order.day),
    )  # fmt: skip
    opened.push_async_callback(bench.close)
    benches.append(bench)
    if order.spec is not None and order.step is not Step.ARCHIVE:  # (3) before that no gate has been passed
        await bench.archive()
    if order.step in WORKING:
        await bench.examine()  # (4)
    return await PHASES[order.step](bench)  # (5)


async def _ending(watched: Watched) -> Ending:
    """Wait for the end and put it into words; Superseded where there is nothing to report any more."""
    try:
        return Ending(made=await watched.result())
    except Superseded:
        raise
    except TimedOut as error:
        return Ending("timeout", error.code, str(error))
    except Stopped as error:
        return Ending("cancelled", error.code, str(error))
    except GatewrightError as error:
        return Ending("fail", error.code, str(error))
    except Exception as error:  # noqa: BLE001 - the end is reported whatever happens; the log has the place
        structlog.get_logger().exception("attempt.bug")
        return Ending(
            "fail",
            "GW-WORKER-CRASH",
            f"the worker met an error it does not know: {type(error).__name__} [GW-WORKER-CRASH]\n"
            "why: this is a defect of Gatewright; the worker's log has the place\n"
            "fix: `retry`, and report it",
        )


async def _settled(bench: Workbench, ending: Ending) -> Ending:
    """Keep what an unfinished attempt leaves, and close the door to the model, before the end is reported."""
    if ending.outcome != "ok" and bench.order.step in WRITING:
        ending = await _salvaged(bench, ending)  # (6)
    try:
        await bench.close()
    except GatewrightError as error:
        structlog.get_logger().warning("attempt.unclosed", task=bench.order.task, why=str(error))
        return ending if ending.outcome != "ok" else Ending("fail", error.code, str(error), ending.made)
    return ending


async def _salvaged(bench: Workbench, ending: Ending) -> Ending:
    try:
        async with asyncio.timeout(SALVAGE_SECONDS):
            await bench.salvage()
            made = Made(bench.head, await bench.source()) if bench.head != bench.order.base_commit else None
            return msgspec.structs.replace(ending, made=made)
    except Superseded:
        raise
    except (GatewrightError, TimeoutError) as error:
        structlog.get_logger().warning("attempt.unsaved", task=bench.order.task, why=str(error))
        if isinstance(error, GatewrightError) and error.code == ending.code:
            return ending  # said already
        lost = f"{ending.explanation}\n\nWhat the attempt had done could not be pushed: {error}"
        return msgspec.structs.replace(ending, explanation=lost)


async def _report(attempt: Attempt, ending: Ending) -> None:
    data = {"step": attempt.order.step.value, "code": ending.code}
    if ending.made is not None:
        data |= {"commit": ending.made.commit, "source_sha256": ending.made.source_sha256}
    await attempt.recorder.end(data, outcome=ending.outcome, explanation=ending.explanation)


def _shutdown() -> Stopped:
    return Stopped(
        LOST,
        "the worker was shut down while it worked on this",
        why="its machine or its service stops",
        fix="nothing to do: another attempt goes on from what was pushed",
    )


def _too_long(order: Order) -> TimedOut:
    seconds = order.wall_seconds
    if order.wall_scope != "attempt":
        scope = order.wall_scope
        return TimedOut(
            BUDGETS[scope],
            f"the {scope}'s budget of minutes is used up (this attempt had {seconds:.0f} s left of it)",
            fix=f"{'`retry` after 00:00 UTC, or raise' if scope == 'day' else 'Raise'} budget.{scope}_minutes, then "
            "`retry`: it goes on from what is there",
        )
    return TimedOut(
        "GW-PHASE-TIMEOUT",
        f"the phase took longer than {seconds:.0f} s",
        fix="`retry` goes on from the last commit; budget.phase_minutes allows more",
    )
