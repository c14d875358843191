"""Who outside is asked to bear witness over HTTP: witnesses of the instance log, and a time-stamping authority."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx

from bot.audit import timestamp
from bot.audit.keys import VKey
from bot.audit.note import Checkpoint, Note, NoteError, Signature, witness_key
from bot.audit.timestamp import TimestampError
from bot.audit.witnessing import PATH, Status, Submission, cosignatures
from bot.model.errors import Unavailable, UsageError
from bot.settings import Audit, Witness

MOST_BYTES: Final = 64 * 1024  # of an answer
Proved = Callable[[int, int], Sequence[bytes]]  # the consistency proof between two sizes of the log


class WitnessClient:
    """One witness, and how far it signed as far as we know."""

    def __init__(self, settings: Witness, client: httpx.AsyncClient, timeout_s: float) -> None:
        self.url = settings.url.rstrip("/")
        self.key = _key(settings)
        self._client = client
        self._timeout_s = timeout_s
        self._size = 0

    async def cosign(self, head: Note, proved: Proved) -> tuple[Signature, ...]:
        """Have a head cosigned, from where the witness stands; raises Unavailable where it did not."""
        said = Checkpoint.parse(head.text)
        try:
            async with asyncio.timeout(self._timeout_s):
                for _ in range(2):
                    answer = await self._ask(head, min(self._size, said.size), said.size, proved)
                    if answer.status_code != Status.CONFLICT:
                        break
                    self._size = _told(answer, said.size)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise self._away(str(error) or type(error).__name__) from None
        if answer.status_code != Status.COSIGNED:
            raise self._away(_REASONS.get(answer.status_code, f"HTTP {answer.status_code}"))
        try:
            found = cosignatures(_text(answer), head, self.key)
        except NoteError as error:
            raise self._away(str(error)) from None
        if not found:
            raise self._away("its answer is not signed by the key in [audit] witnesses")
        self._size = said.size
        return found

    async def _ask(self, head: Note, old: int, size: int, proved: Proved) -> httpx.Response:
        body = bytes(Submission(old, tuple(proved(old, size)), head))
        return await self._client.post(self.url + PATH, content=body, headers={"content-type": "text/plain"})

    def _away(self, why: str) -> Unavailable:
        return Unavailable("GW-LOG-WITNESS", f"the witness {self.key.name} did not cosign", why=why)


def witnesses(audit: Audit, client: httpx.AsyncClient) -> tuple[WitnessClient, ...]:
    """Make a client for each witness that the settings name; raises UsageError for what is no verifier key."""
    return tuple(WitnessClient(one, client, audit.witness_timeout) for one in audit.witnesses)


async def stamped(audit: Audit, client: httpx.AsyncClient, message: bytes) -> bytes:
    """Get a time stamp over a message, held to the roots of the settings; raises Unavailable where there is none."""
    headers = {"content-type": timestamp.QUERY_TYPE, "accept": timestamp.REPLY_TYPE}
    try:
        async with asyncio.timeout(audit.witness_timeout):
            query = timestamp.query(message)
            answer = await client.post(audit.tsa_url, content=query, headers=headers)
        answer.raise_for_status()
        await asyncio.to_thread(_hold, audit, answer.content, message)
    except (httpx.HTTPError, TimeoutError, OSError, TimestampError) as error:
        why = str(error) or type(error).__name__
        raise Unavailable("GW-LOG-TSA", "the time-stamping authority gave no time stamp", why=why) from None
    return answer.content


def _hold(audit: Audit, token: bytes, message: bytes) -> None:
    if audit.tsa_ca:
        timestamp.verify(token, message, Path(audit.tsa_ca).expanduser().read_bytes())
    else:
        timestamp.read(token, message)


_REASONS: Final[Mapping[int, str]] = {
    Status.MALFORMED: "it could not read the request",
    Status.UNSIGNED: "it knows this log by another key",
    Status.UNKNOWN: "it does not know this log",
    Status.CONFLICT: "it signed another head of this size, or a later one",
    Status.INCONSISTENT: "it signed a history that this log does not go on from",
}


def _key(settings: Witness) -> VKey:
    try:
        return witness_key(settings.vkey)
    except ValueError as error:
        raise UsageError(
            "GW-LOG-WITNESS-KEY", f"[audit] witnesses names no verifier key for {settings.url}", why=str(error),
            fix="take it from whoever runs the witness: `gatewright audit witness` prints it",
        ) from None  # fmt: skip


def _told(answer: httpx.Response, most: int) -> int:
    words = _text(answer).removesuffix("\n")
    if words.isascii() and words.isdigit() and len(words) <= 16:
        return min(int(words), most)
    return 0


def _text(answer: httpx.Response) -> str:
    if len(answer.content) > MOST_BYTES:
        raise NoteError("an answer that is too long")
    return answer.content.decode("utf-8", errors="replace")
