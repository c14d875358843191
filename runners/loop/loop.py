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
from runners.loop.errors import ToolFault, ToolsRefused
from runners.loop.memory import Memory
from runners.loop.prompts import say
from runners.loop.protocol import Measured, Model, Prompt, Reply, Stop, System, Turn
from runners.loop.repetition import NUDGE_AT, STOP_AT, Idleness, Repetition
from runners.loop.text_calls import Reading, as_calls, parameter_types, read
from runners.loop.thinking import spoken
from runners.loop.tools import TOOLS, Bench, Kind, offered
from runners.loop.words import described, heard, in_words
from runners.providers.errors import ProviderError
from runners.providers.protocol import Access, Cause, Door, Jail, Recorder, Request, Result

FORMAT_ERRORS: Final = 4  # turns in a row that could not be used; the last one ends the run
ANSWERS: Final = 3  # tries at a structured answer
STRANGERS: Final = 2  # calls of no known tool, written as text, that are answered; after that they are an answer
LAST_TURNS: Final = 3  # when these are left, the model is told

Connect: TypeAlias = Callable[[Request, Door, Recorder], AbstractAsyncContextManager[Model]]


class Loop:
    """A provider made of a chat model and our tools; `connect` opens the model for one run."""

    def __init__(self, name: str, connect: Connect, kinds: tuple[Kind, ...] = TOOLS, context: int = 0) -> None:
        self.name = name
        self._context = context  # tokens the model can read; 0 where the model says it, or only its server knows
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
                        context = model.context if isinstance(model, Measured) else self._context
                        return await Conversation(request, model, hands, jail.inside, context).run()
        except TimeoutError as error:
            if not wall.expired():
                raise
            raise ProviderError(
                Cause.TIMEOUT, f"the run took longer than {limits.wall_seconds:g} s",
                fix="Give the phase more time (budget.phase_minutes), or ask for less at once.",
            ) from error  # fmt: skip


class Conversation:
    """One run of the loop: what was said so far, and what still counts against the model."""

    def __init__(self, request: Request, model: Model, hands: Hands, inside: str, context: int = 0) -> None:
        self._request = request
        self._model = model
        self._hands = hands
        self._tools = [kind.offer() for kind in hands.kinds.values()]
        self._types = parameter_types(self._tools)
        self._repetition = Repetition()
        self._idleness = Idleness()
        self._strangers = 0
        self._errors = 0
        self._answers = 0
        self._before = hands.door.usage
        schema = request.schema and say("schema", schema=msgspec.json.encode(request.schema).decode())
        first = System(request.system + say("system", inside=inside)), Prompt(request.prompt + (schema or ""))
        self._memory = Memory(first, context)

    async def run(self) -> Result:
        """Go on until the model answers without a call; raises ProviderError."""
        for left in reversed(range(self._request.limits.turns)):
            turn = await self._ask()
            self._memory.add(turn)
            reading = self._read(turn)
            if turn.calls:
                self._hear(await self._hands.carry_out(turn.calls), left)
            elif reading.calls:
                self._hear(await self._hands.carry_out(as_calls(reading, left)), left, in_words=True)
            elif (fault := self._unreadable(reading, turn.stop)) is not None:
                self._count_error(fault)
                self._memory.add(Prompt(fault))
            elif (result := self._finish(turn)) is not None:
                return result
        raise ProviderError(
            Cause.BUDGET, f"the model was not done after {self._request.limits.turns} turns",
            fix="Allow more turns (budget.turns), or split the work into smaller steps.",
        )  # fmt: skip

    async def _ask(self) -> Turn:
        """Ask for one turn; where the conversation is too long, old tool outputs are dropped as long as that helps."""
        if self._memory.fit():
            self._repetition.forget()  # what was dropped may be asked for again
        if not self._memory.fits():
            raise ProviderError(
                Cause.CONTEXT, "the conversation is longer than the model can read, even without old tool outputs",
                fix="Choose a model with a larger context, or make the task smaller.",
            )  # fmt: skip
        while True:
            try:
                return await self._complete()
            except ProviderError as error:
                if error.cause is not Cause.CONTEXT or not self._memory.shrink():
                    raise
                self._repetition.forget()
            except ToolsRefused as refused:
                self._go_on_in_words(refused)

    def _go_on_in_words(self, refused: ToolsRefused) -> None:
        if not self._tools:
            raise ProviderError(
                Cause.ANSWER, "the endpoint refuses tools, and says so where none were offered", why=str(refused)[:500],
                fix="Choose another model for this phase.",
            ) from refused  # fmt: skip
        self._memory.instruct(described(self._tools))
        self._tools = []

    async def _complete(self) -> Turn:
        idle = self._request.limits.idle_seconds
        now = asyncio.get_running_loop().time
        messages = self._memory.messages if self._tools else in_words(self._memory.messages)
        try:
            async with asyncio.timeout(idle) as clock:
                turn = await self._model.complete(messages, self._tools, lambda: clock.reschedule(now() + idle))
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

    def _read(self, turn: Turn) -> Reading:
        """Look for calls in the text; half an answer holds none."""
        done = turn.stop in (Stop.END, Stop.GARBLED)
        return read(turn.text, self._types) if done and not turn.calls else Reading()

    def _unreadable(self, reading: Reading, stop: Stop) -> str | None:
        """Say what is wrong with calls written as text of which none could be carried out."""
        if reading.broken or (stop is Stop.GARBLED and not reading.unknown):
            return say("unclear")
        if not reading.unknown or (self._strangers >= STRANGERS and stop is not Stop.GARBLED):
            return None
        self._strangers += 1
        return say("unknown", name=reading.unknown[0][:64], tools=", ".join(self._hands.kinds))

    def _hear(self, done: list[Done], left: int, *, in_words: bool = False) -> None:
        understood = any(one.understood for one in done)
        if understood:
            self._errors = 0
        replies: list[Reply] = []
        for one in done:
            if one.changed:
                self._repetition.forget()
            replies.append(self._nudged(one, left))
        replies[-1] = self._urged(replies[-1], done)
        if in_words:
            # A server that made no native calls of these may not take native replies; and one message, because some
            # templates insist on user and assistant in turn.
            self._memory.add(heard(replies), output=True)
        else:
            for reply in replies:
                self._memory.add(reply, output=True)
        if not understood:
            self._count_error(done[-1].reply.text)

    def _urged(self, reply: Reply, done: list[Done]) -> Reply:
        """Tell a model that is to write and only reads to begin."""
        if self._request.access is not Access.WRITE:
            return reply
        count = self._idleness.nudge(
            only_reads=all(one.reads for one in done), changed=any(one.changed for one in done)
        )
        return msgspec.structs.replace(reply, text=reply.text + say("reading", count=count)) if count else reply

    def _nudged(self, one: Done, left: int) -> Reply:
        count = self._repetition.count(one.call, one.reply, reads=one.reads)
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
        text = spoken(turn.text)
        if turn.stop is Stop.LENGTH or not text.strip():
            said = say("cut" if turn.stop is Stop.LENGTH else "empty")
            self._count_error(said)
            self._memory.add(Prompt(said))
            return None
        schema = self._request.schema
        found: dict[str, Any] | None = None
        if schema is not None:
            try:
                found = answer.parse(text, schema)
            except ToolFault as fault:
                self._refuse(fault)
                return None
        usage = self._hands.door.usage - self._before
        return Result(text=text, answer=found, usage=usage, model=turn.model or self._request.model)

    def _refuse(self, fault: ToolFault) -> None:
        self._answers += 1
        if self._answers >= ANSWERS:
            raise ProviderError(
                Cause.ANSWER, f"no usable answer in {ANSWERS} tries", why=str(fault),
                fix="`retry`, or choose a model that is better at structured answers.",
            )  # fmt: skip
        self._memory.add(Prompt(say("answer", fault=fault)))

    def _count_error(self, said: str) -> None:
        self._errors += 1
        if self._errors >= FORMAT_ERRORS:
            raise ProviderError(
                Cause.ANSWER, f"{FORMAT_ERRORS} answers in a row could not be used", why=said,
                fix="Choose a model that can call tools for this phase.",
            )  # fmt: skip
