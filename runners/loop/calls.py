"""Carrying out the calls of one turn, each reported before and after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import msgspec

from runners.loop.errors import ToolFault
from runners.loop.prompts import say
from runners.loop.protocol import Call, Reply
from runners.loop.repair import repair
from runners.loop.tools import Arguments, Bench, Kind, Output
from runners.providers.protocol import Door, Recorder

MAX_CALLS: Final = 20  # of one turn


@dataclass(frozen=True)
class Done:
    """A call with its reply; `understood` is false where it was no call that could be carried out."""

    call: Call
    reply: Reply
    understood: bool
    changed: bool = False
    reads: bool = False


@dataclass(frozen=True)
class Hands:
    """Carries out calls for one run; `known` are tools that exist but are not offered here."""

    kinds: Mapping[str, Kind]
    known: frozenset[str]
    bench: Bench
    door: Door
    recorder: Recorder

    async def carry_out(self, calls: Sequence[Call]) -> list[Done]:
        """Carry out calls in order, save that neighbours which only read run side by side."""
        done: list[Done] = []
        for reads, group in groupby(calls[:MAX_CALLS], key=self._reads):
            batch = list(group)
            if reads and len(batch) > 1:
                done.extend(await self._together(batch))
            else:
                done.extend([await self._one(call) for call in batch])
        done.extend(self._too_many(calls[MAX_CALLS:]))
        return done

    def _reads(self, call: Call) -> bool:
        kind = self.kinds.get(call.name)
        return kind is None or kind.reads

    async def _together(self, calls: Sequence[Call]) -> list[Done]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._one(call)) for call in calls]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return [task.result() for task in tasks]

    async def _one(self, call: Call) -> Done:
        kind, arguments, refusal, said = self._understand(call)
        number = self.door.number()
        data = {"attempt": self.door.attempt, "call": number}
        asked = {**data, "tool": _name(call), "decision": "allow" if kind else "deny"}
        self.recorder.record("tool.call", asked, blobs={"args": call.arguments.encode(errors="replace")})
        started = time.monotonic()
        output = Output("", "cancelled")  # what stands where nothing else comes to pass
        try:
            output = refusal if kind is None or arguments is None else await self._perform(kind, arguments)
        finally:
            result = {**data, "exit": output.exit, "dur_ms": int((time.monotonic() - started) * 1000)}
            blobs = {"out": output.text.encode(errors="replace")} if output.text else None
            self.recorder.record("tool.result", result, outcome=output.outcome, blobs=blobs)
        changed = kind is not None and not kind.reads and output.exit is None and output.outcome == "ok"
        reads = kind is not None and kind.reads
        return Done(call, Reply(call.id, call.name, output.text + said), arguments is not None, changed, reads)

    def _understand(self, call: Call) -> tuple[Kind | None, Arguments | None, Output, str]:
        """Find the tool, its arguments or why there are none, and what was left out of them."""
        kind = self.kinds.get(call.name)
        if kind is None:
            key = "denied" if call.name in self.known else "unknown"
            return None, None, Output(say(key, name=_name(call), tools=", ".join(self.kinds)), "denied"), ""
        mended, keys = repair(call.arguments, kind.offer().parameters)
        said = say("left_out", name=kind.name, keys=", ".join(map(_short, keys))) if keys else ""
        try:
            return kind, kind.decode(mended), Output(""), said
        except (msgspec.MsgspecError, RecursionError) as fault:
            text = say("arguments", name=kind.name, fault=fault, parameters=_parameters(kind))
            return kind, None, Output(text, "fail"), ""

    async def _perform(self, kind: Kind, arguments: Arguments) -> Output:
        try:
            return await kind.carry_out(arguments, self.bench)
        except ToolFault as fault:
            return Output(str(fault), "fail")

    def _too_many(self, calls: Sequence[Call]) -> Iterator[Done]:
        for call in calls:
            yield Done(call, Reply(call.id, call.name, say("many", limit=MAX_CALLS)), understood=False)


def _name(call: Call) -> str:
    """Cut a name down to what a record may hold: the model chose it."""
    return _short(call.name)


def _short(name: str) -> str:
    return "".join(character for character in name[:64] if character.isprintable()) or "?"


def _parameters(kind: Kind) -> str:
    schema = kind.offer().parameters
    return ", ".join(
        f"{name}: {value['type']}{'' if name in schema['required'] else ' (optional)'}"
        for name, value in schema["properties"].items()
    )
