"""`gatewright keys ...`: the keys that an instance signs with."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding

from bot import keyring
from bot.audit.key_notes import Ring
from bot.audit.keys import KEY_BYTES, VKey
from bot.audit.log import newest
from bot.audit.note import Checkpoint, witness_key, witness_vkey
from bot.audit.timestamp import certificates
from bot.model.errors import UsageError
from bot.settings import Settings
from bot.settings_file import data_dir, load, make_dir

TRUST: Final = "gatewright/trust/v1"


def init(config: Path | None) -> int:
    """Make what is missing, and print the verifier key."""
    settings = load(config)
    data, name = make_dir(data_dir(settings)), settings.server.instance
    key = keyring.control_key(settings)
    keyring.remember_key(data, name, key)
    sys.stdout.write(key.vkey(name) + "\n")
    return 0


def show(config: Path | None, *, public: str, as_json: bool) -> int:
    """Print each key, oldest first, and what became of it; or spell a raw one."""
    settings = load(config)
    name = settings.server.instance
    if public:
        sys.stdout.write(f"{_spelled(public, name)}\n")
        return 0
    ring, present = _ring(settings), keyring.shown_key(data_dir(settings))
    rows = [{"vkey": str(key), "state": _state(str(key), ring, present)} for key in ring.keys]
    if as_json:
        sys.stdout.write(json.dumps({"schema": "gatewright/keys/v1", "instance": name, "keys": rows}, indent=2) + "\n")
        return 0
    for row in rows:
        sys.stdout.write(f"{row['vkey']}  {row['state']}\n")
    return 0


def rotate(config: Path | None) -> int:
    """Replace the key file; raises UsageError where the key is none of ours to replace."""
    settings = load(config)
    if settings.audit.sign_command:
        raise UsageError(
            "GW-KEY-OUTSIDE", "the key lies where [audit] sign_command asks for it",
            fix="make a new one there, name it in [audit] public_key, and start control again: it announces the key",
        )  # fmt: skip
    _ring(settings)
    before, after = keyring.rotate(data_dir(settings), settings.server.instance)
    sys.stdout.write(
        f"{after}\nsigns from now on; {before.name}+{before.key_id.hex()} is kept to verify what it signed.\n"
        "Copy keys/instance.pub and keys/instance.history to the workers of other machines, keys/instance.key and\n"
        "keys/instance.key.root to further replicas of control, and give auditors `gatewright keys trust` anew.\n"
    )
    return 0


def revoke(named: str, *, log_size: int, config: Path | None) -> int:
    """Announce the end of a key; raises UsageError for the one in use, and for what is no key of this instance."""
    settings = load(config)
    data, name = data_dir(settings), settings.server.instance
    ring = _ring(settings)
    key = next((one for one in ring.keys if named in (str(one), one.key_id.hex())), None)
    if key is None:
        known = ", ".join(one.key_id.hex() for one in ring.keys)
        raise UsageError("GW-KEY-UNKNOWN", f"{named[:120]!a} is no key of {name}", why=f"known here: {known}")
    if str(key) == keyring.shown_key(data):
        raise UsageError(
            "GW-KEY-CURRENT", "the key in use cannot be revoked", why="somebody has to sign the revocation",
            fix="`gatewright keys rotate` first",
        )  # fmt: skip
    size = log_size if log_size >= 0 else _log_size(settings)
    keyring.revoke(data, name, keyring.control_key(settings), key, size)
    sys.stdout.write(f"{key} is revoked: of what only it signed, the first {size} entries of the log count.\n")
    return 0


def trust(config: Path | None, *, out: Path | None) -> int:
    """Write what an auditor has to know beforehand."""
    text = json.dumps(trust_file(load(config)), indent=2) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, "utf-8")
    return 0


def trust_file(settings: Settings) -> dict[str, Any]:
    """Spell the trust file (docs/audit.md): keys, revocations, the newest head, witnesses, roots of time stamps."""
    ring, audit, data = _ring(settings), settings.audit, data_dir(settings)
    said: dict[str, Any] = {
        "schema": TRUST,
        "instance": settings.server.instance,
        "keys": [str(key) for key in ring.valid],
        "revoked": [
            {"vkey": str(key), "log_size": ring.revoked[str(key)]} for key in ring.keys if key not in ring.valid
        ],
    }
    if audit.log and (head := newest(keyring.log_folder(settings, data))):
        seen = Checkpoint.parse(head.text)
        said["log"] = {"size": seen.size, "root": b64encode(seen.root).decode("ascii")}
    if audit.witnesses:
        keys = [witness_vkey(witness_key(one.vkey)) for one in audit.witnesses]
        said["witnesses"] = {"quorum": len(keys), "keys": keys}
    if audit.tsa_url and audit.tsa_ca:
        roots = certificates(Path(audit.tsa_ca).expanduser().read_bytes())
        said["tsa"] = [root.public_bytes(Encoding.PEM).decode("ascii") for root in roots]
    return said


def _ring(settings: Settings) -> Ring:
    data = data_dir(settings)
    if not keyring.shown_key(data):
        raise UsageError("GW-KEY-NONE", "this instance has no key yet", fix="`gatewright keys init`, or start control")
    keyring.remember_key(data, settings.server.instance, keyring.control_key(settings))
    return keyring.key_ring(data)


def _state(vkey: str, ring: Ring, present: str) -> str:
    if vkey in ring.revoked:
        return f"revoked at {ring.revoked[vkey]} entries"
    return "in use" if vkey == present else "kept"


def _log_size(settings: Settings) -> int:
    head = newest(keyring.log_folder(settings, data_dir(settings)))
    return Checkpoint.parse(head.text).size if head else 0


def _spelled(public: str, name: str) -> VKey:
    try:
        raw = bytes.fromhex(public)
    except ValueError:
        raw = b""
    if len(raw) != KEY_BYTES:
        raise UsageError("GW-KEY-PUBLIC", "that is no raw Ed25519 key", fix="give its 32 bytes as 64 hex digits")
    return VKey(name, raw)
