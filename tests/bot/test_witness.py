"""A witness as a second department runs it: over HTTP, across restarts, against a log that takes things back."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from bot import witness as module
from bot.audit import merkle
from bot.audit.keys import InstanceKey, VKey
from bot.audit.note import Checkpoint, Note, signatures, witness_key
from bot.audit.witnessing import SIZE_TYPE, Submission
from bot.model.errors import GatewrightError
from tests.conftest import ROOT

KEY = InstanceKey.generate()
LOG = KEY.vkey("bank")
ENTRIES = [bytes([number]) for number in range(9)]


def request(old: int, size: int, entries: list[bytes] = ENTRIES) -> bytes:
    head = Note.sign(str(Checkpoint("bank", size, merkle.root(entries[:size]))), "bank", KEY.public, KEY)
    return bytes(Submission(old, merkle.consistency([merkle.leaf(one) for one in entries[:size]], old), head))


class Place:
    """The folder of one witness."""

    def __init__(self, folder: Path) -> None:
        self.key, self.state = folder / "w.key", folder / "w.json"

    def started(self) -> module.Witness:
        return module.make(LOG, self.key, self.state)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def client(place: Place) -> Iterator[TestClient]:
    witness = place.started()
    with TestClient(witness.app()) as client:
        yield client
    witness.close()


def asks(client: TestClient, raw: bytes) -> httpx.Response:
    return client.post("/add-checkpoint", content=raw)


def test_it_cosigns_what_grows_and_its_word_verifies(client: TestClient, place: Place):
    before = int(time.time())
    for old, size in ((0, 3), (3, 3), (3, 9)):
        answer = asks(client, request(old, size))
        assert answer.status_code == 200
        text = str(Checkpoint("bank", size, merkle.root(ENTRIES[:size])))
        key = VKey("bank.witness", InstanceKey.load_or_create(place.key).public)
        signed = Note(text, signatures(answer.text.splitlines()))
        assert before <= (signed.cosigned_s(key) or 0) <= int(time.time())


def test_a_fork_and_a_roll_back_are_refused_also_after_a_restart(place: Place):
    forked = [*ENTRIES[:2], b"other", *ENTRIES[3:]]
    attempts = [
        (request(0, 4), 409), (request(4, 5), 409), (request(6, 6, forked), 409), (request(6, 8, forked), 422),
        (request(0, 9, forked), 409),
    ]  # fmt: skip
    first = place.started()
    with TestClient(first.app()) as client:
        assert asks(client, request(0, 6)).status_code == 200
        for raw, status in attempts:
            assert asks(client, raw).status_code == status
    first.close()
    second = place.started()
    with TestClient(second.app()) as client:
        for raw, status in attempts:
            assert asks(client, raw).status_code == status
        told = asks(client, request(0, 7))
        assert (told.text, told.headers["content-type"]) == ("6\n", SIZE_TYPE)
        assert asks(client, request(6, 7)).status_code == 200
    second.close()


@pytest.mark.parametrize(
    ("raw", "status"), [(b"", 400), (b"old 0\n\nwords", 400), (b"x" * 70_000, 400), (request(0, 3)[:-9], 400)]
)
def test_what_is_no_request_is_said_to_be_none(client: TestClient, raw: bytes, status: int):
    assert asks(client, raw).status_code == status


def test_other_keys_and_other_logs_get_nothing(client: TestClient):
    other = InstanceKey.generate()
    text = str(Checkpoint("bank", 0, merkle.EMPTY))
    assert asks(client, bytes(Submission(0, (), Note.sign(text, "bank", other.public, other)))).status_code == 403
    text = str(Checkpoint("shop", 0, merkle.EMPTY))
    assert asks(client, bytes(Submission(0, (), Note.sign(text, "shop", KEY.public, KEY)))).status_code == 404
    assert client.get("/add-checkpoint").status_code == 405


def test_nothing_is_signed_that_is_not_on_the_disk(place: Place, monkeypatch: pytest.MonkeyPatch):
    witness = place.started()
    with TestClient(witness.app(), raise_server_exceptions=False) as client:
        monkeypatch.setattr(module.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
        assert asks(client, request(0, 6)).status_code == 500
        monkeypatch.undo()
        assert asks(client, request(0, 3)).status_code == 200, "it never signed 6"
    witness.close()


def test_two_witnesses_do_not_share_a_state(place: Place):
    first = place.started()
    with pytest.raises(GatewrightError, match="another witness uses"):
        place.started()
    first.close()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"origin":"other","size":1,"root":"AA=="}'])
def test_a_state_that_is_another_logs_or_broken_is_not_overwritten(place: Place, content: bytes):
    place.state.write_bytes(content)
    with pytest.raises(GatewrightError) as caught:
        place.started()
    assert caught.value.code == "GW-WITNESS-STATE"
    assert place.state.read_bytes() == content


@pytest.mark.parametrize("listen", ["8090", "here", ":80", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_said(place: Place, listen: str):
    with pytest.raises(GatewrightError) as caught:
        module.serve(listen=listen, log_key=LOG, key=place.key, state=place.state)
    assert caught.value.code == "GW-WITNESS-LISTEN"
    with pytest.raises(GatewrightError) as caught:
        module.make("bank+1+x", place.key, place.state)
    assert caught.value.code == "GW-WITNESS-KEY"


def test_the_verb_runs_one_and_prints_its_key(place: Place):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    words = ["--listen", f"127.0.0.1:{port}", "--log-key", LOG, "--key", place.key, "--state", place.state]
    child = subprocess.Popen(
        [sys.executable, "-m", "bot", "audit", "witness", *words], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        key = witness_key(child.stdout.readline().strip())
        assert key.name == "bank.witness"
        deadline = time.monotonic() + 20
        while True:
            try:
                answer = httpx.post(f"http://127.0.0.1:{port}/add-checkpoint", content=request(0, 3))
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        note = Note(str(Checkpoint("bank", 3, merkle.root(ENTRIES[:3]))), signatures(answer.text.splitlines()))
        assert note.cosigned_s(key)
    finally:
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=20)
    assert re.search(r"witness\.cosigned", said)
