"""A witness for somebody else's instance log: it signs each head that goes on from the last one, and no other.

Run it where the operator of the instance cannot reach: he cannot show two histories then, nor take one back.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import sys
import time
from pathlib import Path
from typing import IO, Final

import msgspec
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bot import logs
from bot.audit.keys import InstanceKey, VKey
from bot.audit.note import NoteError, cosign, witness_vkey
from bot.audit.witnessing import LIMIT, PATH, SIZE_TYPE, Held, Status, Submission, judge
from bot.model.errors import GatewrightError, UsageError

CONNECTIONS: Final = 64
PATIENCE_S: Final = 10.0  # that a request may take to arrive


class Witness:
    """One witness of one log; what it signed is on its disk before anybody is told."""

    def __init__(self, log: VKey, key: InstanceKey, name: str, state: Path) -> None:
        self.log = log
        self.key = VKey(name, key.public)
        self._signer = key
        self._state = state
        self._one = asyncio.Lock()
        self._lock = _locked(state)
        try:
            self.held = _read(state, log.name)
        except GatewrightError:
            self._lock.close()
            raise

    def app(self) -> Starlette:
        """Build the application."""
        return Starlette(routes=[Route(PATH, self.add, methods=["POST"])])

    async def add(self, request: Request) -> Response:
        """Answer one request for a cosignature."""
        try:
            raw = await asyncio.wait_for(_body(request), PATIENCE_S)
            asked = Submission.parse(raw)
        except (NoteError, TimeoutError, ClientDisconnect):
            return Response(status_code=Status.MALFORMED)
        async with self._one:
            return self._answer(asked)

    def close(self) -> None:
        """Let another process witness."""
        self._lock.close()

    def _answer(self, asked: Submission) -> Response:
        status, said = judge(asked, self.held, self.log)
        log = structlog.get_logger("gatewright.witness")
        if status is Status.CONFLICT:
            log.warning("witness.conflict", held=self.held.size, old=asked.old)
            return Response(f"{self.held.size}\n", status_code=status, headers={"content-type": SIZE_TYPE})
        if said is None:
            log.warning("witness.refused", status=int(status), held=self.held.size, asked=asked.note.text[:200])
            return Response(status_code=status)
        held = Held(said.origin, said.size, said.root)
        _write(self._state, held)
        self.held = held
        line = cosign(asked.note.text, self.key.name, self.key.public, self._signer, int(time.time())).line()
        log.info("witness.cosigned", size=said.size)
        return Response(line + "\n", media_type="text/plain; charset=utf-8")


def serve(*, listen: str, log_key: str, key: Path, state: Path, name: str = "") -> int:
    """Witness one log until a signal; print the verifier key that its operator and its auditors need."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise UsageError("GW-WITNESS-LISTEN", f"{listen!r} is no address", fix="name it as 127.0.0.1:8090")
    witness = make(log_key, key, state, name)
    logs.structured("witness")
    sys.stdout.write(f"{witness_vkey(witness.key)}\n")
    sys.stdout.flush()
    uvicorn.Server(
        uvicorn.Config(
            witness.app(), host=host.strip("[]"), port=int(port), ws="none", log_config=None, access_log=False,
            server_header=False, limit_concurrency=CONNECTIONS, lifespan="off",
        )
    ).run()  # fmt: skip
    witness.close()
    return 0


def make(log_key: str, key: Path, state: Path, name: str = "") -> Witness:
    """Make a witness; raises UsageError for what is no verifier key, and where its state is another log's."""
    try:
        log = VKey.parse(log_key)
    except ValueError as error:
        raise UsageError(
            "GW-WITNESS-KEY", "that is no verifier key of a log", why=str(error),
            fix="take it from `gatewright keys show` of the instance",
        ) from None  # fmt: skip
    return Witness(log, InstanceKey.load_or_create(key), name or f"{log.name}.witness", state)


async def _body(request: Request) -> bytes:
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > LIMIT:
            raise NoteError("longer than a request may be")
    return bytes(found)


def _locked(state: Path) -> IO[bytes]:
    state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = state.with_name(state.name + ".lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise GatewrightError(
            "GW-WITNESS-BUSY", f"another witness uses {state}", fix="stop it: two could sign two histories"
        ) from None
    return file


def _read(state: Path, origin: str) -> Held:
    try:
        held = msgspec.json.decode(state.read_bytes(), type=Held)
    except FileNotFoundError:
        return Held(origin)
    except (OSError, msgspec.MsgspecError) as error:
        raise _no_state(state, str(error)) from None
    if held.origin != origin:
        raise _no_state(state, f"it is about {held.origin}")
    return held


def _no_state(state: Path, why: str) -> GatewrightError:
    return GatewrightError(
        "GW-WITNESS-STATE", f"{state} is not what this witness signed last", why=why,
        fix="restore it; without it give the witness a new key and name, and tell the auditors",
    )  # fmt: skip


def _write(state: Path, held: Held) -> None:
    scratch = state.with_name(f".{state.name}.{secrets.token_hex(4)}")
    with scratch.open("xb") as file:
        file.write(msgspec.json.encode(held))
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(state)
    folder = os.open(state.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
