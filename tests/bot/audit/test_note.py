"""Signed notes: what others have made is read, what we make openssl verifies, and nothing else passes."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audit import merkle
from bot.audit.keys import InstanceKey, VKey
from bot.audit.note import LIMIT, Checkpoint, Note, NoteError, Proof, cosign, signatures

NAME = "gw-test/task/42-k7f3qd"
KEY = InstanceKey.generate()
VKEY = VKey(NAME, KEY.public)
HEAD = Checkpoint(NAME, 7, merkle.root([b"x"] * 7))
NOTE = Note.sign(str(HEAD), NAME, KEY.public, KEY)

# The example of golang.org/x/mod/sumdb/note, the package that the format comes from.
PETER = VKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
PETERS = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()


def test_a_note_that_others_made_is_read_and_verified() -> None:
    note = Note.parse(PETERS)
    assert note.text.endswith("what your problem is.\n")
    assert note.is_by(PETER)
    assert bytes(note) == PETERS
    assert not note.is_by(VKEY)
    assert not note.is_by(VKey("PeterNeuman", PETER.public))


def test_a_note_of_ours_comes_back_as_it_was() -> None:
    raw = bytes(NOTE)
    again = Note.parse(raw)
    assert again == NOTE
    assert again.is_by(VKEY)
    assert Checkpoint.parse(again.text) == HEAD
    assert raw.decode() == f"{NAME}\n7\n{base64.b64encode(HEAD.root).decode()}\n\n{NOTE.signatures[0].line()}\n"
    assert HEAD.trailer == f"{NAME} 7 {base64.b64encode(HEAD.root).decode()}"


def test_openssl_verifies_a_note_of_ours(tmp_path: Path) -> None:
    prefix = bytes.fromhex("302a300506032b6570032100")  # SubjectPublicKeyInfo of an Ed25519 key
    (tmp_path / "key.der").write_bytes(prefix + KEY.public)
    (tmp_path / "text").write_bytes(NOTE.text.encode())
    (tmp_path / "sig").write_bytes(NOTE.signatures[0].raw)
    words = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey",
             str(tmp_path / "key.der"), "-in", str(tmp_path / "text"), "-sigfile", str(tmp_path / "sig")]  # fmt: skip
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    (tmp_path / "text").write_bytes(NOTE.text.replace("7", "8", 1).encode())
    assert subprocess.run(words, capture_output=True, check=False).returncode != 0


def test_every_bit_of_a_note_counts() -> None:
    raw = bytes(NOTE)
    for place in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[place // 8] ^= 1 << place % 8
        try:
            note = Note.parse(bytes(flipped))
        except NoteError:
            continue
        assert not note.is_by(VKEY), place


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\n\n", b"text\n", b"text\n\n", b"text\n\nno dash\n", bytes(NOTE)[:-1], bytes(NOTE) + b"\n",
        bytes(NOTE).replace(b"\n", b"\r\n"), bytes(NOTE).replace(b"\n\n", b"\n"), b"\xff" + bytes(NOTE),
        b"\x00" + bytes(NOTE), bytes(NOTE).replace(b"\n", b"\t\n", 1), b"\x1b[2J" + bytes(NOTE),
        bytes(NOTE).replace("— ".encode(), b"- "), bytes(NOTE).replace("— ".encode(), "—  ".encode()),
        bytes(NOTE).replace("— ".encode(), "— a+".encode()), bytes(NOTE)[:-2] + b" \n",
        f"text\n\n— name {base64.b64encode(b'1234').decode()}\n".encode(), "text\n\n— name a\n".encode(),
        "text\n\n— name\n".encode(), "text\n\n—  AAAAAAAA\n".encode(), b"x" * LIMIT + bytes(NOTE),
    ],
)  # fmt: skip
def test_a_note_has_one_spelling(raw: bytes) -> None:
    with pytest.raises(NoteError):
        Note.parse(raw)


def test_base64_with_loose_bits_is_refused() -> None:
    raw = bytes(NOTE)  # 68 bytes: the last sign before `=` carries two bits that mean nothing
    sign = raw[-3:-2].decode()
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for other in {signs[signs.index(sign) ^ bit] for bit in (1, 2, 3)}:
        with pytest.raises(NoteError):
            Note.parse(raw[:-3] + other.encode() + raw[-2:])


def test_signatures_of_others_do_not_help_and_do_not_harm() -> None:
    other = InstanceKey.generate()
    beside = Note.sign(NOTE.text, NAME, other.public, other)
    assert not beside.is_by(VKEY)
    both = beside.plus(NOTE.signatures)
    assert both.is_by(VKEY)
    assert Note.parse(bytes(both)) == both
    borrowed = Note("another text\n", NOTE.signatures)
    assert not borrowed.is_by(VKEY)


@pytest.mark.parametrize(
    "text",
    [
        "", f"{NAME}\n7\n", str(HEAD) + "extension\n", str(HEAD)[:-1], str(HEAD).replace("\n7\n", "\n07\n"),
        str(HEAD).replace("\n7\n", "\n-7\n"), str(HEAD).replace("\n7\n", "\n7 \n"), str(HEAD).replace("\n7\n", "\n\n"),
        str(HEAD).replace("\n7\n", "\n\u0667\n"), "\n7\n" + str(HEAD).split("\n")[2] + "\n", f"{NAME}\n7\nAAAA\n",
        str(HEAD).replace("\n7\n", "\n99999999999999999\n"), f"{NAME}\n7\n{base64.b64encode(bytes(33)).decode()}\n",
        f"{NAME}\n7\n{base64.urlsafe_b64encode(bytes([251] * 32)).decode()}\n",
    ],
)  # fmt: skip
def test_a_checkpoint_has_one_spelling(text: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


@given(st.integers(0, 2**50), st.binary(min_size=32, max_size=32))
def test_any_head_comes_back_as_it_was(size: int, root: bytes) -> None:
    head = Checkpoint(NAME, size, root)
    assert Checkpoint.parse(str(head)) == head


def test_a_witness_says_when_it_saw_a_head() -> None:
    witness = InstanceKey.generate()
    key = VKey("witness.example.org", witness.public)
    seen = cosign(NOTE.text, key.name, key.public, witness, 1_790_000_000)
    note = Note.parse(bytes(NOTE.plus([seen])))
    assert note.cosigned_s(key) == 1_790_000_000
    assert not note.is_by(key)  # a cosignature is no signature of the log's own
    assert note.cosigned_s(VKEY) is None
    assert NOTE.cosigned_s(key) is None
    later = NOTE.plus([type(seen)(seen.name, seen.key_id, (1_790_000_001).to_bytes(8, "big") + seen.raw[8:])])
    assert later.cosigned_s(key) is None
    assert signatures([seen.line()]) == (seen,)
    with pytest.raises(NoteError):
        signatures(["not a line"])


def test_a_proof_comes_back_as_it_was_and_has_one_spelling() -> None:
    lines = [b"%d" % number for number in range(5)]
    hashes = merkle.inclusion([merkle.leaf(line) for line in lines], 3)
    head = Checkpoint("gw-test", 5, merkle.root(lines))
    proof = Proof(3, hashes, Note.sign(str(head), "gw-test", KEY.public, KEY))
    raw = bytes(proof)
    assert raw.startswith(b"c2sp.org/tlog-proof@v1\nindex 3\n")
    assert Proof.parse(raw) == proof
    assert merkle.is_included(b"3", proof.index, head.size, proof.hashes, head.root)
    for wrong in (
        b"", raw.replace(b"@v1", b"@v2"), raw.replace(b"index 3", b"index 03"), raw.replace(b"index 3", b"index -3"),
        raw.replace(b"index 3\n", b""), raw.replace(b"\n\n", b"\nAAAA\n\n", 1), raw.replace(b"index 3", b"index 3\n"),
    ):  # fmt: skip
        with pytest.raises(NoteError):
            Proof.parse(wrong)
