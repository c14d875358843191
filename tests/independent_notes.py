"""Checkpoints checked by somebody who has the formats, the standard library and openssl, and none of our code."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import tempfile
from pathlib import Path

SPKI = bytes.fromhex("302a300506032b6570032100")  # what stands before a raw Ed25519 key in its X.509 form
SHOWN = re.compile(r"^```\n([^\n]+\n[0-9]+\n[^\n]+\n\n[^`]+)```\r?$", re.MULTILINE)


def verify_notes(task_dir: Path) -> dict[int, str]:
    """Return the trailer of each signed size, or raise AssertionError that names the file that does not verify."""
    lines = [line for path in sorted((task_dir / "audit").glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    first = json.loads(lines[0])
    instance, own = first["data"]["vkey"], first["data"]["task_vkey"]
    delegation = (task_dir / "audit" / "key.note").read_text(encoding="utf-8")
    said = _signed_text(delegation, instance).split("\n")
    assert said[:3] == ["gatewright/delegation/v1", own, first["prev"]], "key.note"
    assert int(said[3]) <= first["ts"], "key.note"
    trailers = {}
    for path in sorted((task_dir / "audit" / "checkpoints").glob("*.note")):
        origin, size, root = _signed_text(path.read_text(encoding="utf-8"), own).split("\n")[:3]
        assert origin == own.partition("+")[0] == f"{instance.partition('+')[0]}/task/{task_dir.name}", path.name
        assert path.name == f"{int(size):010d}.note"
        assert base64.b64decode(root) == _root(lines[: int(size)]), path.name
        trailers[int(size)] = f"{origin} {size} {root}"
    return trailers


def notes_in(text: str) -> list[str]:
    """Find the notes that a comment or a description shows."""
    return SHOWN.findall(text.replace("\r\n", "\n"))


def _signed_text(note: str, vkey: str) -> str:
    """Verify a note by openssl and return what was signed."""
    name, key_id, encoded = vkey.split("+", 2)
    public = base64.b64decode(encoded)
    assert hashlib.sha256(name.encode() + b"\n" + public).digest()[:4].hex() == key_id
    text, _, below = note.rpartition("\n\n")
    dash, signer, signature = below.rstrip("\n").split(" ")
    raw = base64.b64decode(signature)
    assert (dash, signer, raw[:4].hex()) == ("\N{EM DASH}", name, key_id), below
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        for part, content in (("key", SPKI + public[1:]), ("text", f"{text}\n".encode()), ("sig", raw[4:])):
            (here / part).write_bytes(content)
        words = ["pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", "key", "-in", "text"]
        ran = subprocess.run(
            ["openssl", *words, "-sigfile", "sig"], cwd=here, capture_output=True, text=True, check=False
        )
    assert ran.returncode == 0, f"{below}: {ran.stdout}{ran.stderr}"
    return f"{text}\n"


def _root(leaves: list[bytes]) -> bytes:
    """Compute the root as RFC 6962 writes it down, by recursion."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\1" + _root(leaves[:split]) + _root(leaves[split:])).digest()
