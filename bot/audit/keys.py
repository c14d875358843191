"""The instance's signing key, and boxes that only one process can open."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
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
    """The Ed25519 key by which control speaks for this instance, and the root of the secrets it keeps for itself.

    The root outlives the key: what was derived stays readable when the key is another.
    """

    def __init__(
        self, public: bytes, sign: Callable[[bytes], bytes], root: bytes, private: Ed25519PrivateKey | None = None
    ) -> None:
        self.public = public
        self.root = root
        self._sign = sign
        self._private = private  # None where it lies outside of this process

    @classmethod
    def of(cls, private: Ed25519PrivateKey, root: bytes | None = None) -> Self:
        """Hold a private key in this process; without a root of its own its secrets are derived from it."""
        if root is None:
            whole = HMAC(bytes(KEY_BYTES), SHA256())  # the first half of HKDF: it does not lead back to the key
            whole.update(private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
            root = whole.finalize()
        return cls(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), private.sign, root, private)

    @classmethod
    def generate(cls) -> Self:
        """Make a key that lives in this process only."""
        return cls.of(Ed25519PrivateKey.generate())

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Read the PEM file, or make it (0600, whole or not at all); raise KeyFileError where others may read it."""
        if not path.exists() and not path.is_symlink():
            create_private(path, _pem(Ed25519PrivateKey.generate()))
        return cls.of(_parse(_read_private(path), path), load_root(path))

    def vkey(self, name: str) -> str:
        """Spell the public half as a verifier key under a name without white space or plus signs."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a key name: {name!r}")
        return str(VKey(name, self.public))

    def sign(self, message: bytes) -> bytes:
        """Sign (64 bytes); the caller puts a domain in front of the message."""
        return self._sign(message)

    def wrapped(self, secret: bytes, context: bytes) -> bytes:
        """Encrypt the private half by a secret (32 bytes), for one context only."""
        if self._private is None:
            raise TypeError("a key that lies outside of this process cannot be wrapped")
        nonce = secrets.token_bytes(len(_NONCE))
        private = self._private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        return nonce + ChaCha20Poly1305(secret).encrypt(nonce, private, context)

    @classmethod
    def unwrapped(cls, wrapped: bytes, secret: bytes, context: bytes) -> InstanceKey:
        """Decrypt what `wrapped` made; raise BoxError for another secret, another context, or altered bytes."""
        nonce, box = wrapped[: len(_NONCE)], wrapped[len(_NONCE) :]
        try:
            private = ChaCha20Poly1305(secret).decrypt(nonce, box, context)
            return cls.of(Ed25519PrivateKey.from_private_bytes(private))
        except (InvalidTag, ValueError):
            raise BoxError(
                "GW-KEY-BOX", "an encrypted key does not open", why="it was altered, or is another instance's or task's"
            ) from None

    def derive(self, purpose: str) -> bytes:
        """Derive a secret (32 bytes) for one purpose; it tells nothing about the key, nor about other purposes."""
        return HKDFExpand(SHA256(), KEY_BYTES, info=DERIVE_DOMAIN + purpose.encode()).derive(self.root)


def root_of(path: Path) -> Path:
    """Name the file of the root that belongs to a key file."""
    return path.with_name(path.name + ".root")


def load_root(path: Path) -> bytes | None:
    """Read the root beside a key file; None where the key itself is the root still."""
    place = root_of(path)
    if not place.exists() and not place.is_symlink():
        return None
    root = _read_private(place)
    if len(root) != KEY_BYTES:
        raise KeyFileError("GW-KEY-FORM", f"{place} does not hold 32 bytes", fix="restore it from your backup")
    return root


def replace_key(path: Path) -> InstanceKey:
    """Put a new key in a key file's place, its root kept; the old key is gone from there."""
    old = InstanceKey.load_or_create(path)
    create_private(root_of(path), old.root)  # before the key that it came from goes
    scratch = path.with_name(f".{path.name}.next")
    scratch.unlink(missing_ok=True)
    create_private(scratch, _pem(Ed25519PrivateKey.generate()))
    scratch.replace(path)
    _fsync_folder(path.parent)
    return InstanceKey.load_or_create(path)


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


def create_private(path: Path, content: bytes) -> None:
    """Make a file (0600, whole or not at all) unless it is there: the first writer's content counts."""
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
    _fsync_folder(path.parent)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


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
