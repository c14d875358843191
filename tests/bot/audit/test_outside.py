"""A key behind a command: here openssl holds it, as a token's or a key service's client would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bot.audit import outside
from bot.audit.keys import InstanceKey, VKey, verify
from bot.audit.outside import command_key
from bot.model.errors import GatewrightError

MESSAGE = b"gatewright/order/v1\nbytes \x00\xff"


@pytest.fixture
def held(tmp_path: Path) -> tuple[Path, VKey]:
    """A key that openssl made, and its public half."""
    pem = tmp_path / "token.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", pem], check=True, capture_output=True)
    der = subprocess.run(["openssl", "pkey", "-in", pem, "-pubout", "-outform", "DER"], check=True, capture_output=True)
    return pem, VKey("bank", der.stdout[-32:])


def program(tmp_path: Path, body: str) -> tuple[str, ...]:
    script = tmp_path / "sign.py"
    script.write_text(f"import base64, subprocess, sys, tempfile\n{body}\n")
    return (sys.executable, str(script))


def openssl(pem: Path, tail: str) -> str:
    return (
        "f = tempfile.NamedTemporaryFile(); f.write(sys.stdin.buffer.read()); f.flush()\n"
        f"s = subprocess.run(['openssl', 'pkeyutl', '-sign', '-rawin', '-inkey', {str(pem)!r}, '-in', f.name],"
        f" check=True, capture_output=True).stdout\n{tail}"
    )


@pytest.mark.parametrize("tail", ["sys.stdout.buffer.write(s)", "print(base64.b64encode(s).decode())"])
def test_what_a_command_signs_verifies_and_looks_like_any_key(tmp_path: Path, held, tail: str):
    pem, public = held
    key = command_key(program(tmp_path, openssl(pem, tail)), public, bytes(32))
    assert verify(public.public, MESSAGE, key.sign(MESSAGE))
    assert key.vkey("bank") == str(public)
    assert key.derive("marker") != command_key(("x",), public, bytes(31) + b"\1").derive("marker")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("sys.exit(3)", "exit code 3"),
        ("sys.stdout.write('no signature')", "do not verify"),
        ("sys.stdout.buffer.write(bytes(64))", "do not verify"),
        ("import time; time.sleep(60)", "no answer within"),
    ],
)
def test_a_command_that_does_not_sign_says_so_and_shows_nothing(tmp_path: Path, monkeypatch, held, body, why):
    monkeypatch.setattr(outside, "PATIENCE_S", 0.5)
    with pytest.raises(GatewrightError) as caught:
        command_key(program(tmp_path, body), held[1], bytes(32)).sign(MESSAGE)
    assert caught.value.code == "GW-KEY-COMMAND"
    assert why in caught.value.why
    assert "no signature by" in caught.value.what or "did not sign" in caught.value.what


def test_another_keys_signature_is_refused(tmp_path: Path, held):
    other = VKey("bank", InstanceKey.generate().public)
    with pytest.raises(GatewrightError, match="no signature by"):
        command_key(program(tmp_path, openssl(held[0], "sys.stdout.buffer.write(s)")), other, bytes(32)).sign(MESSAGE)


def test_a_program_that_is_not_there_is_named(tmp_path: Path, held):
    with pytest.raises(GatewrightError) as caught:
        command_key((str(tmp_path / "none"),), held[1], bytes(32)).sign(MESSAGE)
    assert "No such file" in caught.value.why
