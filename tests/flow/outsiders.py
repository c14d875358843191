"""The end of a task as somebody finds it who has the repository and none of our code: git, openssl, hashlib, json."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf.json_format import ParseDict
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
from sigstore.dsse import Statement as SigstoreStatement

EM_DASH = "\N{EM DASH} "


def read(repo: Path, task: str, scratch: Path) -> dict:
    """Check what the audit ref holds of a sealed task, and return what its seal says."""
    top = f"refs/gatewright/audit/{task}:.gatewright/tasks/{task}/audit"
    names = _git(repo, "ls-tree", "-r", "--name-only", top).decode().split()
    files = {name: _git(repo, "show", f"{top}/{name}") for name in names}
    journal = b"".join(files[name] for name in sorted(names) if name.endswith(".jsonl"))
    lines = journal.splitlines()
    records = [json.loads(line) for line in lines]
    assert [one["kind"] for one in records].count("seal") == 1
    assert records[-1]["kind"] == "seal"
    own, instance = records[0]["data"]["task_vkey"], records[0]["data"]["vkey"]

    note = files[f"checkpoints/{len(lines):010d}.note"].decode()
    text, _, signature = note.partition("\n\n")
    origin, size, root = text.split("\n")
    assert (int(size), root) == (len(lines), base64.b64encode(_root(lines)).decode())
    raw = base64.b64decode(signature.removeprefix(EM_DASH).split(" ")[1])
    assert origin == own.partition("+")[0]
    assert _openssl(scratch, own, f"{text}\n".encode(), raw[4:])

    sealed = json.loads(files["seal.dsse.json"])
    body = base64.b64decode(sealed["payload"])
    kind = sealed["payloadType"].encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)
    for vkey, one in zip((own, instance), sealed["signatures"], strict=True):
        assert _openssl(scratch, vkey, signed, base64.b64decode(one["sig"]))
        assert not _openssl(scratch, vkey, signed + b" ", base64.b64decode(one["sig"]))
    keys = [SSlibKey.from_crypto(_public(one), keyid=one.split("+")[1]) for one in (own, instance)]
    assert len(Envelope.from_dict(json.loads(files["seal.dsse.json"])).verify(keys, threshold=2)) == 2
    SigstoreStatement(body)
    said: dict = json.loads(body)
    theirs = Statement([], "", {})
    ParseDict(said, theirs.pb)
    theirs.validate()
    digests = {one["name"]: one["digest"]["sha256"] for one in said["subject"]}
    assert digests["journal"] == hashlib.sha256(journal).hexdigest()
    assert digests.get("source", "") == records[-1]["data"]["source_sha256"]
    assert (said["predicate"]["task"], said["predicate"]["records"]) == (task, len(lines))
    return said


def _git(repo: Path, *words: str) -> bytes:
    return subprocess.run(["git", "-C", str(repo), *words], check=True, capture_output=True).stdout


def _public(vkey: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(vkey.split("+", 2)[2])[1:])


def _openssl(scratch: Path, vkey: str, signed: bytes, signature: bytes) -> bool:
    key = _public(vkey).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, content in (("key", key), ("signed", signed), ("sig", signature)):
        (scratch / name).write_bytes(content)
    words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key", "-rawin", "-in", "signed", "-sigfile", "sig"]
    return subprocess.run(words, cwd=scratch, capture_output=True, check=False).returncode == 0


def _root(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, as it stands there."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _root(leaves[:half]) + _root(leaves[half:])).digest()
