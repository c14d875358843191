"""The seal in open formats: an in-toto Statement v1 about one task, in a DSSE envelope.

https://github.com/in-toto/attestation and https://github.com/secure-systems-lab/dsse. Subjects carry SHA-256 only:
tools that read Statements refuse others, so git ids stand in the predicate.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Annotated, Final

import msgspec

from bot.audit.keys import VKey, verify
from bot.audit.kinds import Sha
from bot.audit.order import Signer

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://gatewright/attestations/ai-change/v1"


class EnvelopeError(ValueError):
    """Bytes that are no envelope, or whose payload is no statement of ours."""


class Digest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The digest of a subject."""

    sha256: Sha


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a statement is about: `journal` (all segments, one after the other) and `source` (the source digest)."""

    digest: Digest
    name: str


class Agreed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One person's yes: record, actor, gate, gate digest, and when the forge says it was given."""

    actor: str
    basis: str
    digest: str
    forge_ts: int
    seq: int
    what: str


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model and how often it was asked."""

    calls: int
    model: str
    provider: str


class Tests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The checks on the commit that QA judged last."""

    commit: str
    failed: int
    suites: int


class Judged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """QA's last verdict."""

    actor: str
    seq: int
    verdict: str


class Predicate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the journal comes to; each value can be derived from it again. Times are Unix ms."""

    approvals: tuple[Agreed, ...]
    base_commit: str
    commit: str
    emergency: bool
    head: str  # hash of the last record, the seal
    models: tuple[Model, ...]
    outcome: str
    plan_sha256: str
    policy_sha256: str
    qa: Judged | None
    records: int
    redacted: int
    repo: str
    root: str  # base64, as in the last checkpoint
    sealed_ts: int
    spec_sha256: str
    started_ts: int
    task: str
    tests: Tests


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An in-toto Statement v1 with our predicate."""

    kind: Annotated[str, msgspec.Meta(pattern=rf"^{STATEMENT}\Z")] = msgspec.field(name="_type")
    predicate: Predicate
    predicate_type: Annotated[str, msgspec.Meta(pattern=rf"^{PREDICATE}\Z")] = msgspec.field(name="predicateType")
    subject: tuple[Subject, ...]


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signature of an envelope; `keyid` is the hex key id of a verifier key, a hint and nothing more."""

    keyid: str
    sig: str


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A DSSE envelope; `payload` is base64."""

    payload: str
    payload_type: str = msgspec.field(name="payloadType")
    signatures: tuple[Signed, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Envelope:
        """Read an envelope; raise EnvelopeError where it is none. Nothing is believed yet."""
        try:
            return msgspec.json.decode(raw, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise EnvelopeError(f"not a DSSE envelope: {error}") from None

    def __bytes__(self) -> bytes:
        return msgspec.json.encode(self, order="sorted") + b"\n"

    def is_by(self, key: VKey) -> bool:
        """Tell whether this key signed type and payload."""
        signed = pae(self.payload_type, self._body())
        return any(verify(key.public, signed, _bytes(one.sig)) for one in self.signatures)

    def statement(self) -> Statement:
        """Read the payload; raise EnvelopeError where it is not our kind of statement in its one spelling."""
        body = self._body()
        if self.payload_type != PAYLOAD_TYPE:
            raise EnvelopeError(f"the payload is said to be {self.payload_type[:80]!a}")
        try:
            found = msgspec.json.decode(body, type=Statement)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise EnvelopeError(f"not a statement about a change: {error}") from None
        if msgspec.json.encode(found, order="sorted") != body:
            raise EnvelopeError("the statement is not in canonical form")
        return found

    def _body(self) -> bytes:
        return _bytes(self.payload)


def statement(journal_sha256: str, source_sha256: str, predicate: Predicate) -> Statement:
    """Say what a task came to; without a source (nothing was made) the journal is the only subject."""
    digests: Mapping[str, str] = {"journal": journal_sha256, "source": source_sha256}
    subjects = tuple(Subject(Digest(sha256), name) for name, sha256 in digests.items() if sha256)
    return Statement(STATEMENT, predicate, PREDICATE, subjects)


def envelope(said: Statement, keys: Iterable[tuple[VKey, Signer]]) -> Envelope:
    """Sign a statement with each key."""
    body = msgspec.json.encode(said, order="sorted")
    message = pae(PAYLOAD_TYPE, body)
    signed = tuple(Signed(key.key_id.hex(), _text(signer.sign(message))) for key, signer in keys)
    return Envelope(_text(body), PAYLOAD_TYPE, signed)


def pae(payload_type: str, body: bytes) -> bytes:
    """Spell what is signed: the type stands inside, so that none can pass for another."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def _bytes(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EnvelopeError("not base64") from None
    if _text(raw) != text:  # the last digit may hold bits that nothing decodes
        raise EnvelopeError("not the one spelling in base64")
    return raw


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
