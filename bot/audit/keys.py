"""The instance's signing key, and boxes that only one process can open."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from bot.model.errors import GatewrightError

ED25519: Final = b"\x01"  # signature type of C2SP signed notes
DERIVE_DOMAIN: Final = b"gatewright/derive/v1\n"
BOX_DOMAIN: Final = b"gatewright/box/v1\n"
KEY_BYTES: Final = 32
_NONCE: Final = bytes(12)  # each box key is used once: it comes from an ephemeral key
_NAME: Final = re.compile(r"[^\s+]{1,200}")


class KeyFileError(GatewrightError):
    """A key file that cannot be used as it lies there (`GW-KEY-...`)."""


class BoxError(GatewrightError):
    """A box that does not open: altered, for somebody else, or from another context."""


class VKey(msgspec.Struct, frozen=True):
    """A verifier key in the text form of C2SP signed notes: `name+8 hex digits+base64`."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Name the key in four bytes, as a note's signature line does."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> VKey:
        """Read the text form; raise ValueError where it is not one or its parts disagree."""
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        raw = base64.b64decode(encoded, validate=True)
        if not _NAME.fullmatch(name) or len(raw) != 1 + KEY_BYTES or raw[:1] != ED25519:
            raise ValueError("not an Ed25519 verifier key")
        key = cls(name, raw[1:])
        if key.key_id.hex() != key_id:
            raise ValueError("the key id does not belong to this name and key")
        return key


class InstanceKey:
    """The Ed25519 key by which control speaks for this instance."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public: bytes = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @classmethod
    def generate(cls) -> InstanceKey:
        """Make a key that lives in this process only."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load_or_create(cls, path: Path) -> InstanceKey:
        """Read the PEM file, or make it (0600, whole or not at all); raise KeyFileError where others may read it."""
        if not path.exists() and not path.is_symlink():
            _create(path, Ed25519PrivateKey.generate())
        return cls(_parse(_read_private(path), path))

    def vkey(self, name: str) -> str:
        """Spell the public half as a verifier key under a name without white space or plus signs."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a key name: {name!r}")
        return str(VKey(name, self.public))

    def sign(self, message: bytes) -> bytes:
        """Sign (64 bytes); the caller puts a domain in front of the message."""
        return self._private.sign(message)

    def derive(self, purpose: str) -> bytes:
        """Derive a secret (32 bytes) for one purpose; it tells nothing about the key, nor about other purposes."""
        secret = self._private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=DERIVE_DOMAIN + purpose.encode()).derive(secret)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether a raw Ed25519 public key (32 bytes) signed a message."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class Opener:
    """A fresh X25519 key that opens what was sealed to `public`, and dies with its process."""

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()
        self.public: bytes = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Open a box sealed to us in this context; raise BoxError for any other."""
        sender = sealed[:KEY_BYTES]
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(sender))
            cipher = _cipher(shared, sender, self.public, context)
            return cipher.decrypt(_NONCE, sealed[KEY_BYTES:], context)
        except (InvalidTag, ValueError):
            raise BoxError(
                "GW-KEY-BOX", "a sealed message does not open", why="it was altered, or sealed for another attempt"
            ) from None


def seal(public: bytes, plaintext: bytes, context: bytes) -> bytes:
    """Encrypt to a raw X25519 public key, bound to a context; 48 bytes longer than the plaintext."""
    ephemeral = X25519PrivateKey.generate()
    sender = ephemeral.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    return sender + _cipher(shared, sender, public, context).encrypt(_NONCE, plaintext, context)


def _cipher(shared: bytes, sender: bytes, recipient: bytes, context: bytes) -> ChaCha20Poly1305:
    info = BOX_DOMAIN + context
    return ChaCha20Poly1305(HKDF(SHA256(), KEY_BYTES, salt=sender + recipient, info=info).derive(shared))


def _create(path: Path, key: Ed25519PrivateKey) -> None:
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):  # another process was first: its key counts
            path.hardlink_to(scratch)
    finally:
        scratch.unlink()


def _read_private(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise KeyFileError(
            "GW-KEY-READ", f"cannot read the key file {path}", why=error.strerror or str(error),
            fix="make it a regular file that this user may read",
        ) from None  # fmt: skip
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid()):
            raise KeyFileError(
                "GW-KEY-MODE",
                f"the key file {path} is open to other users",
                why=f"mode {stat.S_IMODE(status.st_mode):04o}, owner {status.st_uid}",
                fix=f"chmod 600 {path}, and have it owned by the user that runs Gatewright",
            )
        return file.read(64 * 1024)


def _parse(content: bytes, path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(
            "GW-KEY-FORM",
            f"{path} holds no Ed25519 private key in PEM form",
            fix="restore the instance's key; a new one cannot speak for tasks that are already open",
        )
    return key
