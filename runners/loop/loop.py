"""Our own agent for plain chat models: ask, carry out, repeat, until the model answers without a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeAlias

import msgspec

from runners.loop import answer
from runners.loop.beneath import Beneath
from runners.loop.calls import Done, Hands
from runners.loop.errors import ToolFault
from runners.loop.prompts import say
from runners.loop.protocol import Message, Model, Prompt, Reply, Stop, System, Turn
from runners.loop.repetition import NUDGE_AT, STOP_AT, Repetition
from runners.loop.tools import TOOLS, Bench, Kind, offered
from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause, Door, Jail, Recorder, Request, Result

FORMAT_ERRORS: Final = 4  # turns in a row that could not be used; the last one ends the run
ANSWERS: Final = 3  # tries at a structured answer
LAST_TURNS: Final = 3  # when these are left, the model is told

Connect: TypeAlias = Callable[[Request, Door, Recorder], AbstractAsyncContextManager[Model]]


class Loop:
    """A provider made of a chat model and our tools; `connect` opens the model for one run."""

    def __init__(self, name: str, connect: Connect, kinds: tuple[Kind, ...] = TOOLS) -> None:
        self.name = name
        self._connect = connect
        self._kinds = kinds

    async def run(self, request: Request, jail: Jail, door: Door, recorder: Recorder) -> Result:
        """Drive one request to its end; raises ProviderError."""
        limits = request.limits
        try:
            async with asyncio.timeout(limits.wall_seconds) as wall:
                with Beneath(jail.worktree, jail.inside) as files:
                    hands = Hands(
                        offered(request.access, self._kinds), frozenset(kind.name for kind in self._kinds),
                        Bench(files, jail, limits), door, recorder,
                    )  # fmt: skip
                    async with self._connect(request, door, recorder) as model:
                        return await Conversation(request, model, hands, jail.inside).run()
        except TimeoutError as error:
            if not wall.expired():
                raise
            raise ProviderError(
                Cause.TIMEOUT, f"the run took longer than {limits.wall_seconds:g} s",
                fix="Give the phase more time (budget.phase_minutes), or ask for less at once.",
            ) from error  # fmt: skip


class Conversation:
    """One run of the loop: what was said so far, and what still counts against the model."""

    def __init__(self, request: Request, model: Model, hands: Hands, inside: str) -> None:
        self._request = request
        self._model = model
        self._hands = hands
        self._tools = [kind.offer() for kind in hands.kinds.values()]
        self._repetition = Repetition()
        self._errors = 0
        self._answers = 0
        self._before = hands.door.usage
        schema = request.schema and say("schema", schema=msgspec.json.encode(request.schema).decode())
        self._messages: list[Message] = [
            System(request.system + say("system", inside=inside)),
            Prompt(request.prompt + (schema or "")),
        ]

    async def run(self) -> Result:
        """Go on until the model answers without a call; raises ProviderError."""
        for left in reversed(range(self._request.limits.turns)):
            turn = await self._ask()
            self._messages.append(turn)
            if turn.calls:
                self._hear(await self._hands.carry_out(turn.calls), left)
            elif (result := self._finish(turn)) is not None:
                return result
        raise ProviderError(
            Cause.BUDGET, f"the model was not done after {self._request.limits.turns} turns",
            fix="Allow more turns (budget.turns), or split the work into smaller steps.",
        )  # fmt: skip

    async def _ask(self) -> Turn:
        idle = self._request.limits.idle_seconds
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(idle) as clock:
                turn = await self._model.complete(self._messages, self._tools, lambda: clock.reschedule(now() + idle))
        except TimeoutError as error:
            if not clock.expired():
                raise
            raise ProviderError(
                Cause.TIMEOUT, f"no sign of life from the model for {idle:g} s",
                fix="Check that the endpoint is up and not overloaded, then `retry`.",
            ) from error  # fmt: skip
        if turn.stop is Stop.FILTER:
            raise ProviderError(
                Cause.REFUSAL, "the provider's content filter stopped the answer",
                fix="Reword the task, or choose another model for this phase.",
            )  # fmt: skip
        return turn

    def _hear(self, done: list[Done], left: int) -> None:
        if any(one.understood for one in done):
            self._errors = 0
        for one in done:
            if one.changed:
                self._repetition.forget()
            self._messages.append(self._nudged(one, left))
        if not any(one.understood for one in done):
            self._count_error(done[-1].reply.text)

    def _nudged(self, one: Done, left: int) -> Reply:
        count = self._repetition.count(one.call, one.reply)
        if count >= STOP_AT:
            raise ProviderError(
                Cause.ANSWER, f"the model made the same {one.call.name} call {count} times and learned nothing new",
                fix="Choose another model for this phase, or say in the task what it should do instead.",
            )  # fmt: skip
        text = one.reply.text
        if count >= NUDGE_AT:
            text += say("repeated", count=count)
        if left and left <= LAST_TURNS:
            text += say("last", left=left)
        return Reply(one.reply.call_id, one.reply.name, text)

    def _finish(self, turn: Turn) -> Result | None:
        if turn.stop is Stop.LENGTH or not turn.text.strip():
            said = say("cut" if turn.stop is Stop.LENGTH else "empty")
            self._count_error(said)
            self._messages.append(Prompt(said))
            return None
        schema = self._request.schema
        found: dict[str, Any] | None = None
        if schema is not None:
            try:
                found = answer.parse(turn.text, schema)
            except ToolFault as fault:
                self._refuse(fault)
                return None
        usage = self._hands.door.usage - self._before
        return Result(text=turn.text, answer=found, usage=usage, model=turn.model or self._request.model)

    def _refuse(self, fault: ToolFault) -> None:
        self._answers += 1
        if self._answers >= ANSWERS:
            raise ProviderError(
                Cause.ANSWER, f"no usable answer in {ANSWERS} tries", why=str(fault),
                fix="`retry`, or choose a model that is better at structured answers.",
            )  # fmt: skip
        self._messages.append(Prompt(say("answer", fault=fault)))

    def _count_error(self, said: str) -> None:
        self._errors += 1
        if self._errors >= FORMAT_ERRORS:
            raise ProviderError(
                Cause.ANSWER, f"{FORMAT_ERRORS} answers in a row could not be used", why=said,
                fix="Choose a model that can call tools for this phase.",
            )  # fmt: skip
