"""How the worker's parent hands settings to its work-horses: in memory, and past the disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from bot.model.errors import UsageError
from bot.settings import Settings

VARIABLE: Final = "GATEWRIGHT_HANDOVER_FD"


class Handover(msgspec.Struct, frozen=True):
    """What a work-horse needs to know about the machine it runs on; `slot` picks the jail's user."""

    settings: Settings
    slot: int = 0


def offer(handover: Handover) -> int:
    """Put a handover into an anonymous file for children that are forked later; return its descriptor.

    The descriptor is close-on-exec, so no program that a work-horse starts can inherit it.
    """
    descriptor = os.memfd_create("gatewright-handover", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(msgspec.json.encode(handover))
    os.environ[VARIABLE] = str(descriptor)
    return descriptor


def take() -> Handover:
    """Read what the parent offered; UsageError outside a work-horse."""
    descriptor = os.environ.get(VARIABLE, "")
    if not descriptor.isdecimal():
        raise UsageError(
            "GW-WORKER-HANDOVER",
            "this job runs outside a Gatewright worker",
            why=f"{VARIABLE} is not set, so there are no settings",
            fix="start workers with `gatewright work` or `gatewright up`, not with `rq worker`",
        )
    return msgspec.json.decode(Path(f"/proc/self/fd/{descriptor}").read_bytes(), type=Handover)
