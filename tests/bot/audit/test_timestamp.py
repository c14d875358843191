"""Time stamps by an authority that openssl plays, and openssl's own opinion of what we ask and accept."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bot.audit import timestamp
from bot.audit.timestamp import TimestampError
from bot.model.errors import UsageError
from tests.bot.audit.tsa import Authority, openssl
from tests.conftest import ROOT

MESSAGE = b"gatewright/task/42-k7f3qd\n7\nroot\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="module")
def token(authority: Authority) -> bytes:
    return authority.reply(timestamp.query(MESSAGE))


def test_a_stamp_names_the_time_and_openssl_agrees(authority: Authority, token: bytes, tmp_path: Path):
    found = timestamp.verify(token, MESSAGE, authority.roots)
    assert abs(found.timestamp() - time.time()) < 60
    assert timestamp.read(token, MESSAGE) == found
    (tmp_path / "t.tsr").write_bytes(token)
    (tmp_path / "m").write_bytes(MESSAGE)
    said = openssl(
        "ts", "-verify", "-in", tmp_path / "t.tsr", "-data", tmp_path / "m", "-CAfile", authority.folder / "root.pem"
    )
    assert b"Verification: OK" in said


def test_openssls_own_request_is_accepted_as_well(authority: Authority):
    timestamp.verify(authority.token(MESSAGE), MESSAGE, authority.roots)


def test_what_is_asked_is_asked_with_a_nonce_and_for_the_certificate(tmp_path: Path):
    (tmp_path / "q").write_bytes(timestamp.query(MESSAGE))
    said = openssl("ts", "-query", "-in", tmp_path / "q", "-text").decode()
    assert "Hash Algorithm: sha256" in said
    assert "Certificate required: yes" in said
    assert "Nonce: unspecified" not in said


def test_a_stamp_over_something_else_or_by_somebody_else_is_refused(authority: Authority, token: bytes, tmp_path: Path):
    with pytest.raises(TimestampError, match="something else"):
        timestamp.verify(token, MESSAGE + b"x", authority.roots)
    with pytest.raises(TimestampError, match="not by an authority"):
        timestamp.verify(token, MESSAGE, Authority(tmp_path / "other").roots)
    for roots in (b"", b"words"):
        with pytest.raises(TimestampError, match="certificates"):
            timestamp.verify(token, MESSAGE, roots)


def test_no_altered_byte_changes_the_time_or_the_message(authority: Authority, token: bytes):
    time_of = timestamp.verify(token, MESSAGE, authority.roots)
    accepted = 0
    for at in range(len(token)):
        try:
            found = timestamp.verify(token[:at] + bytes([token[at] ^ 4]) + token[at + 1 :], MESSAGE, authority.roots)
        except TimestampError:
            continue
        accepted += 1  # unsigned parts: what the envelope says of itself
        assert found == time_of
    assert accepted < len(token) / 20, accepted


@pytest.mark.parametrize("raw", [b"", b"words", bytes(100), b"\x30\x03\x02\x01\x00", b"x" * 70_000])
def test_what_is_no_reply_is_none(raw: bytes):
    with pytest.raises(TimestampError):
        timestamp.read(raw, MESSAGE)


def test_a_request_that_was_refused_is_none(authority: Authority):
    with pytest.raises(TimestampError):
        timestamp.read(authority.reply(b"\x30\x03\x02\x01\x01"), MESSAGE)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path):
    (tmp_path / "rfc3161_client.py").write_text("raise ImportError\n")
    program = "from bot.audit import timestamp\ntry: timestamp.query(b'x')\nexcept Exception as e: print(e.code, e.fix)"
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "GW-AUDIT-TSA pip install 'gatewright[tsa]'\n"
    assert issubclass(UsageError, Exception)
