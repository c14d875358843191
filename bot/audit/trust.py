"""Whom an auditor trusts: a file of their own, never part of the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from bot.audit.keys import VKey
from bot.audit.kinds import Count
from bot.audit.note import HASH, NoteError, decode, witness_key
from bot.model.errors import UsageError

SCHEMA: Final = "gatewright/trust/v1"
LIMIT: Final = 1024 * 1024  # bytes of a trust file
TOLERANCE_S: Final = 300

Text = Annotated[str, Meta(min_length=1, max_length=400)]
Pem = Annotated[str, Meta(pattern=r"^-----BEGIN CERTIFICATE-----", max_length=20_000)]


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the file as it is written."""


class Revoked(Form, frozen=True):
    """A key that counts only for what the instance's log held before it had `log_size` entries."""

    vkey: Text
    log_size: Count


class SeenHead(Form, frozen=True):
    """The last head of the instance's log that the auditor saw; `root` is base64."""

    size: Count
    root: Text


class Quorum(Form, frozen=True):
    """How many of which witnesses have to have cosigned."""

    quorum: Annotated[int, Meta(ge=1)]
    keys: Annotated[tuple[Text, ...], Meta(min_length=1)]


class File(Form, frozen=True):
    """The whole file."""

    schema: Literal["gatewright/trust/v1"]
    instance: Text
    keys: Annotated[tuple[Text, ...], Meta(min_length=1)]
    revoked: tuple[Revoked, ...] = ()
    log: SeenHead | None = None
    witnesses: Quorum | None = None
    tsa: tuple[Pem, ...] = ()
    bots: tuple[Annotated[str, Meta(pattern=r"^[a-z]{1,16}:[0-9]{1,20}\Z")], ...] = ()
    clock_tolerance_s: Annotated[int, Meta(ge=0, le=86_400)] = TOLERANCE_S
    log_dir: str = ""


class Trust(msgspec.Struct, frozen=True):
    """What a trust file comes to: keys read, and names held to the instance's."""

    instance: str
    keys: tuple[VKey, ...]
    revoked: Mapping[VKey, int] = {}
    log_size: int = 0
    log_root: bytes = b""
    quorum: int = 0
    witnesses: tuple[VKey, ...] = ()
    tsa: tuple[str, ...] = ()
    bots: tuple[str, ...] = ()
    tolerance_ms: int = TOLERANCE_S * 1000
    log_dir: Path | None = None

    @property
    def known(self) -> tuple[VKey, ...]:
        """List all keys that ever spoke for the instance, revoked ones too."""
        return tuple(dict.fromkeys((*self.keys, *self.revoked)))

    @property
    def highest(self) -> int:
        """Name the highest level that this file lets anybody reach."""
        return 5 if self.witnesses or self.tsa else 4


def load(path: Path) -> Trust:
    """Read a trust file; raise UsageError that says which part of it cannot be used."""
    try:
        with path.open("rb") as file:
            raw = file.read(LIMIT + 1)
    except OSError as error:
        raise UsageError(
            "GW-AUDIT-TRUST", f"cannot read the trust file {path}", why=error.strerror or str(error),
            fix="name the file that the instance's operator gave you (gatewright keys trust prints it)",
        ) from None  # fmt: skip
    if len(raw) > LIMIT:
        raise _refused(path, f"it is larger than {LIMIT} bytes")
    try:
        said = msgspec.json.decode(raw, type=File)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(path, str(error)) from None
    try:
        return _trust(said, path)
    except ValueError as error:  # NoteError is one
        raise _refused(path, str(error)) from None


def _trust(said: File, path: Path) -> Trust:
    revoked = {_key(one.vkey, said.instance): one.log_size for one in said.revoked}
    root = decode(said.log.root) if said.log else b""
    if said.log and len(root) != HASH:
        raise NoteError("log.root is not 32 bytes")
    quorum = said.witnesses.quorum if said.witnesses else 0
    witnesses = tuple(dict.fromkeys(witness_key(text) for text in (said.witnesses.keys if said.witnesses else ())))
    if quorum > len(witnesses):
        raise ValueError(f"witnesses.quorum is {quorum}, and {len(witnesses)} witnesses are named")
    return Trust(
        instance=said.instance,
        keys=tuple(key for text in said.keys if (key := _key(text, said.instance)) not in revoked),
        revoked=revoked,
        log_size=said.log.size if said.log else 0,
        log_root=root,
        quorum=quorum,
        witnesses=witnesses,
        tsa=said.tsa,
        bots=said.bots,
        tolerance_ms=said.clock_tolerance_s * 1000,
        log_dir=path.parent / said.log_dir if said.log_dir else None,
    )


def _key(text: str, instance: str) -> VKey:
    try:
        key = VKey.parse(text)
    except ValueError as error:
        raise ValueError(f"{text[:60]!a} is no verifier key: {error}") from None
    if key.name != instance:
        raise ValueError(f"a key of {key.name!a} stands among those of {instance!a}")
    return key


def _refused(path: Path, why: str) -> UsageError:
    return UsageError(
        "GW-AUDIT-TRUST-FORM", f"{path} is no trust file that can be used", why=why,
        fix="docs/audit.md#trust lists every key of it",
    )  # fmt: skip
