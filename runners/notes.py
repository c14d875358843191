"""What was signed for a task, taken from Redis only as far as it fits the journal that control's order names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import structlog
from redis.asyncio import Redis

from bot.audit import entries, kinds, layout, seal
from bot.audit.delegation import Delegation
from bot.audit.keys import VKey
from bot.audit.merkle import Tree, is_included
from bot.audit.note import Checkpoint, Note, NoteError, Proof
from bot.audit.record import data_of, decode
from bot.audit.statement import Envelope
from bot.model.errors import GatewrightError
from bot.model.order import Order
from runners.names import Names

KEY: Final = "key.note"


class Doubt(Exception):
    """Something in Redis that is not what its name says."""


async def signed(
    redis: Redis, names: Names, order: Order, lines: Sequence[bytes], public: bytes
) -> Mapping[str, bytes]:
    """Read the task's key, checkpoints, proofs and seal up to the order's journal, by their paths below `audit/`.

    Write access to Redis is no authority: what does not verify is left out, and refused where the order rests on it.
    """
    opened = data_of(decode(lines[0])) if lines else None
    if not isinstance(opened, kinds.TaskOpened) or not opened.task_vkey:
        return {}  # a journal of a version that signed none
    judge = Judge(order, lines, opened, public)
    stored = await redis.hgetall(names.signed)
    found = {_text(path): bytes(content) for path, content in stored.items() if isinstance(content, bytes)}
    try:
        taken = dict(judge.taken(found))
    except Doubt as error:
        raise _foreign(str(error)) from error
    for path in sorted(found.keys() - taken.keys()):
        if why := judge.refused.get(path):
            structlog.get_logger().warning("signed.refused", task=order.task, path=path[:120], why=why)
    return taken


class Judge:
    """Looks at each signed file beside the lines that it is about."""

    def __init__(self, order: Order, lines: Sequence[bytes], opened: kinds.TaskOpened, public: bytes) -> None:
        self.order = order
        self.lines = lines
        self.refused: dict[str, str] = {}
        # The order's signature covers record 0: the key that spoke for the instance then may be another one by now.
        self.then = VKey.parse(opened.vkey)
        self.instance = (self.then, VKey(order.instance, public))
        self.key = VKey.parse(opened.task_vkey)

    def taken(self, found: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
        """Give what verifies; raise Doubt where the key's note or the order's own checkpoint does not.

        The order of a sealed task whose key was lost names no checkpoint, and is delivered without.
        """
        last = layout.checkpoint(len(self.lines)).removeprefix("audit/") if self.order.checkpoint else KEY
        for path in (KEY, last):
            if path not in found:
                raise Doubt(f"{path} is missing")
        self._check_key(found[KEY])
        yield KEY, found[KEY]
        shapes = [layout.SIGNED.fullmatch(path) for path in found]
        roots = self._roots({len(self.lines), *(int(shape[1]) for shape in shapes if shape and shape[1])})
        head = Checkpoint(self.key.name, len(self.lines), roots[len(self.lines)])
        if self.order.checkpoint not in ("", head.trailer):
            raise Doubt("the order names another head of this journal")
        for path in sorted(found.keys() - {KEY}):
            try:
                if self._is_ours(path, found, roots):
                    yield path, found[path]
            except (Doubt, NoteError, ValueError) as error:
                if path == last:
                    raise Doubt(f"{path}: {error}") from None
                self.refused[path] = str(error)

    def _check_key(self, raw: bytes) -> None:
        try:
            note = Note.parse(raw)
            said = Delegation.parse(note.text)
        except NoteError as error:
            raise Doubt(f"{KEY}: {error}") from None
        if len(note.signatures) != 1 or not note.is_by(self.then):
            raise Doubt(f"{KEY}: the instance did not sign it, or not alone")
        first = decode(self.lines[0])
        if (said.key, said.genesis) != (self.key, first.prev) or said.since_ms > first.ts:
            raise Doubt(f"{KEY}: it is about another key or journal")

    def _roots(self, sizes: set[int]) -> dict[int, bytes]:
        tree, roots = Tree(), {}
        for line in self.lines:
            tree.append(line)
            if tree.size in sizes:
                roots[tree.size] = tree.root()
        return roots

    def _is_ours(self, path: str, found: Mapping[str, bytes], roots: Mapping[int, bytes]) -> bool:
        """Tell whether a file belongs to this journal; one about more of it than the order names belongs to later."""
        shape = layout.SIGNED.fullmatch(path)
        if shape is None:
            raise Doubt("no part of the evidence")
        raw, size = found[path], int(shape[1] or shape[2] or len(self.lines))
        if len(raw) > layout.limit(f"audit/{path}"):
            raise Doubt("larger than it may be")
        if size > len(self.lines):
            return False
        if path == seal.PATH:
            return self._is_sealed(raw)
        if shape[1]:
            self._check_note(raw, Checkpoint(self.key.name, size, roots[size]))
            return True
        note = found.get(layout.checkpoint(size).removeprefix("audit/"))
        if note is None:
            raise Doubt("it is about a checkpoint that is not there")
        if path.endswith(".tsr"):
            if hashlib.sha256(note).digest() not in raw:
                raise Doubt("it is about something else")
            return True
        self._check_proof(Proof.parse(raw), note)
        return True

    def _check_note(self, raw: bytes, expected: Checkpoint) -> None:
        note = Note.parse(raw)
        if Checkpoint.parse(note.text) != expected:
            raise Doubt("it is about another journal")
        if len(note.signatures) != 1 or not note.is_by(self.key):
            raise Doubt("the task's key did not sign it, or not alone")

    def _check_proof(self, proof: Proof, note: bytes) -> None:
        head = Checkpoint.parse(proof.checkpoint.text)
        if head.origin != self.order.instance or not any(proof.checkpoint.is_by(key) for key in self.instance):
            raise Doubt("the instance did not sign the head of the log")
        entry = entries.encode(entries.TaskCheckpoint(note.decode(), self.order.task))
        if not is_included(entry, proof.index, head.size, proof.hashes, head.root):
            raise Doubt("it does not prove that checkpoint")

    def _is_sealed(self, raw: bytes) -> bool:
        if decode(self.lines[-1]).kind != "seal":
            return False
        seal.check(Envelope.parse(raw), seal.read(self.lines), self.key, self.instance)
        return True


def _text(path: bytes | str) -> str:
    return path.decode("utf-8", "replace") if isinstance(path, bytes) else path


def _foreign(why: str) -> GatewrightError:
    return GatewrightError(
        "GW-SIGNED-FOREIGN",
        "what Redis holds as signed for this task is not by the keys that its journal names",
        why=why,
        fix="somebody else has written to Redis, or lost a part of it; `gatewright audit verify` reads what git holds",
    )
