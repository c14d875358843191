"""A task's own key: signed for by the instance when the task is opened, destroyed when it is sealed.

Whoever steals the instance's key later can sign for new tasks, and not again for this one.
"""

from __future__ import annotations

import re
from typing import Final, Self

import msgspec

from bot.audit.keys import VKey
from bot.audit.note import Note, NoteError
from bot.audit.order import Signer

DOMAIN: Final = "gatewright/delegation/v1"
_GENESIS: Final = re.compile(r"[0-9a-f]{64}")
_MS: Final = re.compile(r"0|[1-9][0-9]{0,15}")


class Delegation(msgspec.Struct, frozen=True):
    """What an instance says about one task's key: which key, for which journal (its genesis), since when (Unix ms)."""

    key: VKey
    genesis: str
    since_ms: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a note; raise NoteError where it says something else."""
        lines = text.split("\n")
        is_ours = len(lines) == 5 and lines[0] == DOMAIN and not lines[4]
        if not is_ours or not _GENESIS.fullmatch(lines[2]) or not _MS.fullmatch(lines[3]):
            raise NoteError("not a delegation")
        try:
            key = VKey.parse(lines[1])
        except ValueError as error:
            raise NoteError("no verifier key") from error
        return cls(key, lines[2], int(lines[3]))

    def __str__(self) -> str:
        return f"{DOMAIN}\n{self.key}\n{self.genesis}\n{self.since_ms}\n"

    def signed(self, instance: str, public: bytes, signer: Signer) -> Note:
        """Have the instance sign for it."""
        return Note.sign(str(self), instance, public, signer)


def key_name(instance: str, task: str) -> str:
    """Name a task's key, which is also the origin of its checkpoints."""
    return f"{instance}/task/{task}"
