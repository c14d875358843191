"""The head of the instance log: signed by the instance, cosigned by witnesses, and what is stamped over seals."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bot.audit.log import Log
from bot.audit.note import Checkpoint, Note
from bot.audit.witnessing import merged
from bot.model.errors import Unavailable
from bot.tasks.desk import Desk
from bot.tasks.troubles import Troubles

if TYPE_CHECKING:  # an instance that asks nobody needs no HTTP client
    import httpx

    from bot.tasks.outsiders import WitnessClient

AWAY_S: Final = 60.0  # that a witness which did not answer is left in peace


class Heads:
    """Signs heads and asks those who are named in the settings; `note` is the newest head with what stands below it."""

    def __init__(self, desk: Desk, troubles: Troubles) -> None:
        self.note: Note | None = None
        self._desk = desk
        self._troubles = troubles
        self._rest: dict[str, float] = {}  # witness -> when it is asked again
        self._client: httpx.AsyncClient | None = None
        self._witnesses: tuple[WitnessClient, ...] = ()

    async def sign(self, log: Log) -> None:
        """Sign the head if it is new, and have it cosigned by those who are there."""
        now, name = log.head, self._desk.settings.server.instance
        if not now.size or (self.note and Checkpoint.parse(self.note.text).size == now.size):
            return
        key, said = self._desk.key, str(Checkpoint(name, now.size, now.root))
        note = await asyncio.to_thread(Note.sign, said, name, key.public, key)
        await asyncio.to_thread(log.publish, note)
        self.note = note
        await self.cosign(log, is_urgent=False)

    async def cosign(self, log: Log, *, is_urgent: bool) -> bool:
        """Ask the witnesses that have not signed the newest head, all of them if urgent; tell whether all have."""
        head, now = self.note, asyncio.get_running_loop().time()
        if head is None:
            return False
        lacking = [one for one in self._asked() if head.cosigned_s(one.key) is None]
        ready = [one for one in lacking if is_urgent or self._rest.get(one.url, 0.0) <= now]
        answers = await asyncio.gather(*(one.cosign(head, log.consistency) for one in ready), return_exceptions=True)
        for one, answer in zip(ready, answers, strict=True):
            if isinstance(answer, Unavailable):
                self._rest[one.url] = now + AWAY_S
                self._troubles.say(one.url, answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                self._troubles.over(one.url)
                self._rest.pop(one.url, None)
                head = merged(head, answer)
        if head != self.note:
            await asyncio.to_thread(log.publish, head)
            self.note = head
        return all(head.cosigned_s(one.key) is not None for one in lacking)

    async def stamp(self, message: bytes) -> bytes | None:
        """Have bytes stamped; None where the authority did not."""
        from bot.tasks.outsiders import stamped  # noqa: PLC0415 - see above

        try:
            token = await stamped(self._desk.settings.audit, self._http(), message)
        except Unavailable as error:
            self._troubles.say("tsa", error)
            return None
        self._troubles.over("tsa")
        return token

    async def close(self) -> None:
        """Close the connections; they are made again when they are needed."""
        if self._client is not None:
            await self._client.aclose()
            self._client, self._witnesses = None, ()

    def _asked(self) -> tuple[WitnessClient, ...]:
        audit = self._desk.settings.audit
        if audit.witnesses and not self._witnesses:
            from bot.tasks.outsiders import witnesses  # noqa: PLC0415 - see above

            self._witnesses = witnesses(audit, self._http())
        return self._witnesses

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            import httpx  # noqa: PLC0415 - see above

            self._client = httpx.AsyncClient(timeout=self._desk.settings.audit.witness_timeout)
        return self._client
