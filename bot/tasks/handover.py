"""Hand a credential for one repository to the attempt that may use it now, sealed to that attempt's own key."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final

import msgspec

from bot.audit.keys import seal, verify
from bot.forges.protocol import GitAccess
from bot.keyring import runner_public
from bot.model.access import Ask, context, message
from bot.model.errors import GatewrightError, Unavailable
from bot.model.task import Origin
from bot.tasks.desk import Desk

LIFE_S: Final = 60
PAUSES_S: Final = (1.0, 4.0, 10.0, 20.0)  # together less than an attempt waits


async def hand_over(desk: Desk, task: str, attempt: int, number: int) -> bool:
    """Answer one request for access; refuse silently towards the asker, loudly in the log.

    (0) The request is there and reads. (1) The attempt is the one that may act. (2) The runner key signed it, and
    the worker goes by the same [policy]. (3) The credential is minted for this repository only. (4) It is sealed to
    the key in the request and lives 60 s.
    """
    knock = f"access:{task}:{attempt}:{number}"
    raw = await desk.redis.getdel(f"gw:{knock}:ask")  # (0)
    if raw is None:
        return False
    try:
        asked = msgspec.json.decode(raw, type=Ask)
        public, signature = bytes.fromhex(asked.public), bytes.fromhex(asked.signature)
    except (msgspec.DecodeError, ValueError) as error:
        desk.log.warning("access.unreadable", task=task, attempt=attempt, why=str(error))
        return False
    if await desk.redis.get(f"gw:current:{task}") != str(attempt).encode():  # (1)
        desk.log.warning("access.superseded", task=task, attempt=attempt)
        return False
    if fault := _fault(desk, knock, asked, signature):  # (2)
        desk.log.error(fault, task=task, attempt=attempt)
        return False
    origin = (await desk.shelf.read(task)).origin
    minted = await _minted(desk, origin, write=asked.write)  # (3)
    if minted is None:
        return False
    access, shown = minted
    await desk.redis.set(f"gw:{knock}", seal(public, msgspec.json.encode(access), context(knock)), ex=LIFE_S)  # (4)
    desk.log.info("access.minted", task=task, attempt=attempt, write=asked.write, token_sha256=shown)
    return True


def _fault(desk: Desk, knock: str, asked: Ask, signature: bytes) -> str:
    """Say what is wrong with who asks: the wrong key, or rules other than ours; empty where nothing is."""
    said = message(knock, asked.public, write=asked.write, policy=asked.policy)
    if not verify(runner_public(desk.data), said, signature):
        return "access.forged"
    return "" if asked.policy == desk.settings.policy.sha256() else "access.policy"


async def _minted(desk: Desk, origin: Origin, *, write: bool) -> tuple[GitAccess | None, str] | None:
    """Have the forge mint a credential, with patience for as long as the attempt waits; None where it will not."""
    forge = desk.forge(origin.repo, origin.installation)
    for pause in (*PAUSES_S, None):
        try:
            access = await forge.git_access(origin.repo, write=write)
        except GatewrightError as error:
            desk.log.warning("access.unavailable", task=origin.task, code=error.code, why=error.what)
            if pause is None or not isinstance(error, Unavailable):
                return None
            await asyncio.sleep(pause)
        else:
            return access, hashlib.sha256(access.password.encode()).hexdigest()[:12] if access else "none"
    return None
