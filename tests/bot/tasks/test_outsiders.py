"""Witnesses and time-stamping authorities that answer wrongly, late, or for somebody else."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from bot.audit import merkle
from bot.audit.keys import InstanceKey, VKey
from bot.audit.note import Checkpoint, Note, cosign, witness_vkey
from bot.audit.witnessing import Submission
from bot.model.errors import Unavailable, UsageError
from bot.settings import Audit, Witness
from bot.tasks.outsiders import stamped, witnesses
from tests.bot.audit.tsa import Server

KEY, SEEN = InstanceKey.generate(), InstanceKey.generate()
ENTRIES = [bytes([number]) for number in range(9)]
LEAVES = [merkle.leaf(entry) for entry in ENTRIES]
HEAD = Note.sign(str(Checkpoint("bank", 9, merkle.root(ENTRIES))), "bank", KEY.public, KEY)
NAME = VKey("w", SEEN.public)
GOOD = (200, (cosign(HEAD.text, "w", SEEN.public, SEEN, 7).line() + "\n").encode())


def proved(old: int, size: int) -> tuple[bytes, ...]:
    return merkle.consistency(LEAVES[:size], old)


async def ask(url: str, timeout: float = 2.0, times: int = 1):
    async with httpx.AsyncClient() as client:
        [one] = witnesses(Audit(witnesses=(Witness(url + "/", witness_vkey(NAME)),), witness_timeout=timeout), client)
        for _ in range(times):
            found = await one.cosign(HEAD, proved)
        return found


async def test_a_witness_that_stands_elsewhere_is_asked_from_there_and_then_known():
    def answer(raw: bytes) -> tuple[int, bytes]:
        return GOOD if raw.startswith((b"old 4\n", b"old 9\n")) else (409, b"4\n")

    with Server(answer) as server:
        assert len(await ask(server.url, times=2)) == 1
    assert [Submission.parse(raw).old for raw in server.asked] == [0, 4, 9]
    assert Submission.parse(server.asked[1]).proof == proved(4, 9)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((409, b"4\n"), "another head"),
        ((409, b"words"), "another head"),
        ((409, b"99999999999999999999999\n"), "another head"),
        ((409, b"12\n"), "another head"),
        ((422, b""), "does not go on from"),
        ((404, b""), "does not know this log"),
        ((403, b""), "another key"),
        ((400, b""), "could not read"),
        ((500, b""), "HTTP 500"),
        ((200, b"words\n"), "not a signature line"),
        ((200, b""), "not a signature line"),
        ((200, b"x" * 70_000), "too long"),
        ((200, (cosign(HEAD.text, "w", KEY.public, KEY, 7).line() + "\n").encode()), "not signed by the key"),
        ((302, b""), "HTTP 302"),
    ],
)
async def test_a_wrong_answer_is_no_cosignature(answer: tuple[int, bytes], why: str):
    with Server(lambda _: answer) as server, pytest.raises(Unavailable) as caught:
        await ask(server.url)
    assert caught.value.code == "GW-LOG-WITNESS"
    assert why in caught.value.why
    assert len(server.asked) <= 2


async def test_a_witness_that_is_slow_or_gone_is_left():
    def slow(_: bytes) -> tuple[int, bytes]:
        time.sleep(0.5)
        return GOOD

    began = time.monotonic()
    with Server(slow) as server, pytest.raises(Unavailable):
        await ask(server.url, timeout=0.1)
    assert time.monotonic() - began < 5
    with pytest.raises(Unavailable):
        await ask("http://127.0.0.1:9")


async def test_a_key_that_is_none_is_said():
    with pytest.raises(UsageError) as caught:
        witnesses(Audit(witnesses=(Witness("http://127.0.0.1:9", "words"),)), httpx.AsyncClient())
    assert caught.value.code == "GW-LOG-WITNESS-KEY"


@pytest.mark.parametrize("answer", [(500, b""), (200, b"words"), (200, b"")])
@pytest.mark.parametrize("ca", ["", "none.pem"])
async def test_an_authority_that_answers_wrongly_gave_no_stamp(tmp_path: Path, answer: tuple[int, bytes], ca: str):
    with Server(lambda _: answer) as server:
        audit = Audit(tsa_url=server.url, tsa_ca=str(tmp_path / ca) if ca else "")
        async with httpx.AsyncClient() as client:
            with pytest.raises(Unavailable) as caught:
                await stamped(audit, client, b"message")
    assert caught.value.code == "GW-LOG-TSA"
