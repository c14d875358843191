"""The names under which a worker finds its orders in Redis and leaves its reports."""

from __future__ import annotations

from typing import Final

import msgspec

WAKE: Final = "gw:wake"
ALIVE_SECONDS: Final = 30  # a heartbeat older than this means that the worker is gone
ACCESS_SECONDS: Final = 60  # how long a credential waits to be picked up


def day(date: str) -> str:
    """Name the hash in which a UTC date's model calls are summed, made by control."""
    return f"gw:day:{date}"


class Names(msgspec.Struct, frozen=True):
    """The keys of one attempt."""

    task: str
    attempt: int

    @property
    def order(self) -> str:
        """The signed order, written by control."""
        return f"gw:order:{self.task}:{self.attempt}"

    @property
    def current(self) -> str:
        """The number of the attempt that may act, written by control."""
        return f"gw:current:{self.task}"

    @property
    def stop(self) -> str:
        """Present when control wants the attempt to end now."""
        return f"gw:stop:{self.task}:{self.attempt}"

    @property
    def claim(self) -> str:
        """The run that took the attempt up: RQ may start a job twice, the attempt starts once."""
        return f"gw:claim:{self.task}:{self.attempt}"

    @property
    def stream(self) -> str:
        """The attempt's reports."""
        return f"gw:attempt:{self.task}:{self.attempt}"

    @property
    def alive(self) -> str:
        """The heartbeat, with a time to live."""
        return f"gw:alive:{self.task}:{self.attempt}"

    @property
    def journal(self) -> str:
        """The task's journal, written by control alone."""
        return f"gw:journal:{self.task}"

    @property
    def signed(self) -> str:
        """What was signed for the task, by its path in the evidence, written by control alone."""
        return f"gw:signed:{self.task}"

    def answer(self, number: int) -> str:
        """Name the sealed answer to a request for access."""
        return f"gw:access:{self.task}:{self.attempt}:{number}"

    def ask(self, number: int) -> str:
        """Name a request for access."""
        return f"{self.answer(number)}:ask"

    def knock(self, number: int) -> str:
        """Make the wake entry that points control to a request for access."""
        return f"access:{self.task}:{self.attempt}:{number}"
