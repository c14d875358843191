"""`gatewright sandbox run`: any command in exactly the jail that agents get, with a gateway that refuses everything."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from bot import logs
from bot.model.errors import UsageError
from bot.settings import Settings
from runners import process
from runners.egress import rules
from runners.gateway.server import DIALECTS, Gateway
from runners.jails import confined
from runners.providers.protocol import Upstream
from runners.site import Site, socket_folder
from runners.way_out import way_out
from runners.workspace import command
from runners.workspace.files import passage
from runners.workspace.sandbox import Sandbox, probe

# Every dialect is answered in its own words, and nobody holds the token: no call gets as far as these.
NOBODY: Final = {name: Upstream(name, "http://127.0.0.1:9", "none") for name in DIALECTS}


class Nowhere:
    """A recorder for runs that are nobody's evidence."""

    def record(
        self, kind: str, data: Mapping[str, Any], *, outcome: str = "ok", blobs: Mapping[str, bytes] | None = None
    ) -> None:
        """Forget it; what is refused is logged where it is refused."""


def run(
    directory: Path,
    argv: Sequence[str],
    settings: Settings,
    *,
    has_gateway: bool = True,
    writable: bool = True,
    quiet: bool = False,
    as_json: bool = False,
) -> int:
    """Run a command on a directory and return its exit code; raises GW-SANDBOX-... where the jail cannot start.

    A root's jail runs as the owner of the directory where that is a jail's user, else as one that no worker has.
    """
    if not directory.is_dir():
        raise UsageError("GW-SANDBOX-DIR", f"{directory} is no directory", fix="name an existing one with --dir")
    if not argv:
        raise UsageError("GW-SANDBOX-COMMAND", "no command is given", fix="gatewright sandbox run --dir DIR -- CMD")
    if settings.sandbox.mode != "bwrap":
        why = f'sandbox.mode = "{settings.sandbox.mode}": agents get none'
        raise UsageError("GW-SANDBOX-START", "there is no sandbox to try", why=why, fix='set sandbox.mode = "bwrap"')
    rules.check(settings.sandbox)
    logs.structured("sandbox")
    first = settings.sandbox.user
    slot, held = process.take_slot(first)
    owner = directory.stat().st_uid
    site = Site(settings, owner - first if first <= owner <= first + process.SLOTS else slot)
    try:
        return asyncio.run(
            _run(site, directory, argv, has_gateway=has_gateway, writable=writable, quiet=quiet, as_json=as_json)
        )
    finally:
        held.close()


async def _run(
    site: Site, directory: Path, argv: Sequence[str], *, has_gateway: bool, writable: bool, quiet: bool, as_json: bool
) -> int:
    async with opened(site, directory, has_gateway=has_gateway) as jail:
        tried = await command.attempt(jail, argv, writable=writable, is_kept=as_json)
        if tried is None:
            said = await asyncio.to_thread(probe, site.settings.sandbox)
            why = said or "it starts on an empty directory, and not on this one"
            raise UsageError("GW-SANDBOX-START", "the sandbox cannot start", why=why)
    if as_json:
        command.show(tried)
    elif not quiet:
        command.say(tried, site.settings.sandbox)
    return tried.exit_code


@asynccontextmanager
async def opened(site: Site, directory: Path, *, has_gateway: bool) -> AsyncIterator[Sandbox]:
    """Open the jail of an attempt over any directory: same user, limits and ways out."""
    async with AsyncExitStack() as stack:
        folder = passage(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatewright-sandbox-"))))
        egress = await stack.enter_async_context(
            way_out(site, site.settings.sandbox.network_allow, Nowhere(), "egress")
        )
        socket = None
        if has_gateway:
            place = stack.enter_context(socket_folder(site))
            door = await stack.enter_async_context(Gateway(place, NOBODY, "none", Nowhere(), 0, uid=site.user))
            socket = door.socket
        jail = confined(site, directory, folder / "jail", socket=socket, egress=egress.socket if egress else None)
        stack.push_async_callback(jail.close)
        yield jail
