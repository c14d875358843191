"""The seal's form, read by programs that are none of ours: securesystemslib, sigstore, in-toto's own and openssl."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given
from hypothesis import strategies as st
from in_toto_attestation.v1.statement import Statement as TheirStatement
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
from sigstore import dsse as sigstore
from sigstore.hashes import HashAlgorithm, Hashed

from bot.audit import statement as ours
from bot.audit.keys import InstanceKey, VKey, verify
from bot.audit.statement import (
    PAYLOAD_TYPE,
    PREDICATE,
    STATEMENT,
    Agreed,
    Envelope,
    EnvelopeError,
    Judged,
    Model,
    Predicate,
    envelope,
    pae,
    statement,
)

SHA, COMMIT = "a" * 64, "b" * 40
PREDICATE_MADE = Predicate(
    approvals=(Agreed("github:7", "forge", SHA, 1_700_000_000_000, 9, "spec"),),
    base_commit=COMMIT, commit="c" * 40, emergency=False, head=SHA, models=(Model(12, "sonnet", "claude"),),
    outcome="done", plan_sha256=SHA, policy_sha256=SHA, qa=Judged("agent:opus", 40, "passed"), records=52, redacted=0,
    repo="github:github.com:5", root=base64.b64encode(bytes(32)).decode(), sealed_ts=1_700_000_100_000,
    spec_sha256=SHA, started_ts=1_700_000_000_000, task="42-k7f3qd", tests=ours.Tests("c" * 40, 0, 3),
)  # fmt: skip
TASK, INSTANCE = InstanceKey.generate(), InstanceKey.generate()
KEYS = (VKey("gw/task/42-k7f3qd", TASK.public), VKey("gw", INSTANCE.public))
MADE = envelope(statement("1" * 64, "2" * 64, PREDICATE_MADE), zip(KEYS, (TASK, INSTANCE), strict=True))


def theirs(key: VKey) -> SSlibKey:
    """A verifier key as securesystemslib has it, under the key id that envelopes carry."""
    crypto = Ed25519PublicKey.from_public_bytes(key.public)
    return SSlibKey.from_crypto(crypto, keyid=key.key_id.hex())


def test_what_was_made_reads_back_and_both_keys_signed_it():
    again = Envelope.parse(bytes(MADE))
    assert again == MADE
    assert [again.is_by(key) for key in KEYS] == [True, True]
    assert not again.is_by(VKey("gw", InstanceKey.generate().public))
    assert again.statement().predicate == PREDICATE_MADE
    assert [(one.name, one.digest.sha256[:1]) for one in again.statement().subject] == [
        ("journal", "1"),
        ("source", "2"),
    ]


def test_a_task_that_made_nothing_has_its_journal_as_the_only_subject():
    assert [one.name for one in statement("1" * 64, "", PREDICATE_MADE).subject] == ["journal"]


def test_securesystemslib_finds_both_signatures_and_none_after_a_change():
    read = TheirEnvelope.from_dict(json.loads(bytes(MADE)))
    assert set(read.verify([theirs(key) for key in KEYS], threshold=2)) == {key.key_id.hex() for key in KEYS}
    assert read.pae() == pae(PAYLOAD_TYPE, base64.b64decode(MADE.payload))
    changed = json.loads(bytes(MADE))
    changed["payload"] = base64.b64encode(base64.b64decode(changed["payload"]).replace(b'"done"', b'"dove"')).decode()
    with pytest.raises(VerificationError):
        TheirEnvelope.from_dict(changed).verify([theirs(key) for key in KEYS], threshold=1)


@pytest.mark.parametrize("number", [0, 1])
def test_sigstore_reads_envelope_and_statement_and_matches_the_subjects(number: int):
    """Its envelopes carry exactly one signature, so it is given one of the two; its model of the wire reads both."""
    assert len(sigstore._Envelope.from_json(bytes(MADE)).signatures) == 2
    with pytest.raises(sigstore.InvalidEnvelope, match="exactly one signature"):
        sigstore.Envelope._from_json(bytes(MADE))
    one = msgspec.structs.replace(MADE, signatures=(MADE.signatures[number],))
    read = sigstore.Envelope._from_json(bytes(one))
    body = base64.b64decode(MADE.payload)
    assert (read._inner.payload_type, read._inner.payload) == (PAYLOAD_TYPE, body)
    assert sigstore._pae(PAYLOAD_TYPE, body) == pae(PAYLOAD_TYPE, body)
    assert verify(KEYS[number].public, sigstore._pae(PAYLOAD_TYPE, body), read.signature)
    said = sigstore.Statement(body)
    for digit, matches in (("1", True), ("2", True), ("3", False)):
        digest = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=bytes.fromhex(digit * 64))
        assert said._matches_digest(digest) is matches


def test_in_totos_own_library_finds_a_valid_statement():
    said = json.loads(base64.b64decode(MADE.payload))
    read = TheirStatement([], "", {})
    ParseDict(said, read.pb)
    read.validate()
    assert (read.pb.type, read.pb.predicate_type) == (STATEMENT, PREDICATE)
    assert MessageToDict(read.pb)["predicate"]["task"] == "42-k7f3qd"


@pytest.mark.parametrize("number", [0, 1])
def test_openssl_verifies_each_signature_over_the_signed_bytes(tmp_path: Path, number: int):
    public = Ed25519PublicKey.from_public_bytes(KEYS[number].public)
    (tmp_path / "key.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    said = json.loads(bytes(MADE))
    body = base64.b64decode(said["payload"])
    signed = b"DSSEv1 %d %s %d %s" % (len(said["payloadType"]), said["payloadType"].encode(), len(body), body)
    (tmp_path / "sig").write_bytes(base64.b64decode(said["signatures"][number]["sig"]))

    def verified(content: bytes) -> bool:
        (tmp_path / "signed").write_bytes(content)
        done = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "signed",
             "-sigfile", "sig"],
            cwd=tmp_path, capture_output=True, check=False,
        )  # fmt: skip
        return done.returncode == 0

    assert verified(signed)
    assert not verified(signed.replace(b"in-toto", b"in-tata"))


def test_another_type_of_payload_is_neither_read_nor_verified():
    changed = msgspec.structs.replace(MADE, payload_type="application/json")
    assert not changed.is_by(KEYS[0])
    with pytest.raises(EnvelopeError, match="application/json"):
        changed.statement()


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"[]", b"\xff", bytes(MADE)[:-9], bytes(MADE).replace(b'"payload"', b'"pay"'),
     bytes(MADE).replace(b'{"keyid"', b'{"more":1,"keyid"', 1)],
)  # fmt: skip
def test_what_is_no_envelope_is_refused(raw: bytes):
    with pytest.raises(EnvelopeError):
        Envelope.parse(raw)


def body(**changes: object) -> Envelope:
    said = json.loads(base64.b64decode(MADE.payload)) | changes
    return msgspec.structs.replace(MADE, payload=base64.b64encode(json.dumps(said).encode()).decode())


@pytest.mark.parametrize(
    "wrong",
    [
        body(_type="https://in-toto.io/Statement/v0.1"), body(predicateType="https://slsa.dev/provenance/v1"),
        body(subject=[{"name": "journal", "digest": {"sha1": "a" * 40}}]), body(more=1), body(predicate={}),
        body(),  # the same, and not in its one spelling
        msgspec.structs.replace(MADE, payload="%%%"), msgspec.structs.replace(MADE, payload=""),
    ],
)  # fmt: skip
def test_what_is_no_statement_of_ours_is_refused(wrong: Envelope):
    with pytest.raises(EnvelopeError):
        wrong.statement()


@given(st.integers(0, len(bytes(MADE)) * 8 - 1))
def test_no_single_bit_of_a_seal_can_change_and_all_still_hold(bit: int):
    raw = bytearray(bytes(MADE))
    raw[bit // 8] ^= 1 << bit % 8
    try:
        read = Envelope.parse(bytes(raw))
        holds = [read.is_by(key) for key in KEYS] == [True, True] and read.statement().predicate == PREDICATE_MADE
    except EnvelopeError:
        return
    assert not holds or read.signatures != MADE.signatures, "only a key id, which is a hint, may differ"


def test_a_statement_is_spelled_in_canonical_form():
    said = base64.b64decode(MADE.payload)
    assert msgspec.json.encode(msgspec.json.decode(said), order="sorted") == said
    assert isinstance(msgspec.json.decode(said, type=ours.Statement), ours.Statement)
