"""An instance key that lies elsewhere: a program asks a token, an HSM or a key service to sign."""

from __future__ import annotations

import base64
import binascii
import subprocess
from collections.abc import Sequence
from functools import partial
from typing import Final

from bot.audit.keys import InstanceKey, VKey, verify
from bot.model.errors import GatewrightError

PATIENCE_S: Final = 30.0
SIGNATURE: Final = 64  # bytes
CODE: Final = "GW-KEY-COMMAND"


def command_key(command: Sequence[str], public: VKey, root: bytes) -> InstanceKey:
    """Sign by a program: the message on its stdin, 64 bytes or their base64 on its stdout; no shell reads it.

    Whoever signs waits for it. A signature by another key is refused, and nothing of what the program says is shown.
    """
    return InstanceKey(public.public, partial(_sign, tuple(command), public), root)


def _sign(command: tuple[str, ...], public: VKey, message: bytes) -> bytes:
    signature = _signature(_said(command, message))
    if not verify(public.public, message, signature):
        raise GatewrightError(
            CODE, "what [audit] sign_command answered is no signature by [audit] public_key",
            why=f"{len(signature)} bytes, which do not verify by {public.name}+{public.key_id.hex()}",
            fix="have it sign with Ed25519 (not the prehashed form), by the key whose public half is named",
        )  # fmt: skip
    return signature


def _signature(said: bytes) -> bytes:
    if len(said) == SIGNATURE:
        return said
    try:
        return base64.b64decode(b"".join(said.split()), validate=True)
    except (binascii.Error, ValueError):
        return said


def _said(command: tuple[str, ...], message: bytes) -> bytes:
    try:
        done = subprocess.run(command, input=message, capture_output=True, timeout=PATIENCE_S, check=True)
    except subprocess.CalledProcessError as error:
        why = f"exit code {error.returncode}"
    except subprocess.TimeoutExpired:
        why = f"no answer within {PATIENCE_S:.0f} s"
    except OSError as error:
        why = error.strerror or str(error)
    else:
        return done.stdout
    raise GatewrightError(
        CODE, "[audit] sign_command did not sign", why=why, fix="run it by hand as the user of control"
    )
