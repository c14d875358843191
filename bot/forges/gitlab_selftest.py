"""Find out what a GitLab does to commands in comments, by one note that is removed again."""

from __future__ import annotations

import re
import time
from typing import Final
from urllib.parse import quote

import msgspec

from bot.forges.gitlab_shapes import Clock, read
from bot.forges.gitlab_survey import PACE, Remark
from bot.forges.gitlab_text import check_name
from bot.forges.gitlab_transport import Pace, Request, Transport
from bot.model.errors import GatewrightError, UsageError
from bot.settings import GitLab as Table

PLACE: Final = re.compile(r"(?P<project>[^#\s]+)#(?P<issue>[1-9][0-9]{0,9})")
# The one text that does not pass gitlab_text, whose work is to take out just this. It holds nobody's words. `/approve`
# is for merge requests: on an issue it changes nothing. The named line is in a note of ours, to which we do not listen.
BARE: Final = "/approve"
TEXT: Final = "Self-test of Gatewright; this note is removed at once.\n\n{bare}\n\nand by name:\n\n{named}\n"


class Kept(msgspec.Struct, frozen=True):
    """What GitLab made of the note; without an id it kept none."""

    id: int = 0
    body: str = ""


def place(text: str) -> tuple[str, int]:
    """Read `group/project#42`."""
    found = PLACE.fullmatch(text)
    if found is None:
        fix = "name an issue that may get a note for a moment: group/project#42"
        raise UsageError("GW-DOCTOR-SELF-TEST", f"'{text}' names no issue", fix=fix)
    return found["project"], int(found["issue"])


async def self_test(
    table: Table, where: str, *, bot_name: str, clock: Clock = time.time, pace: Pace = PACE
) -> list[Remark]:
    """Post the note, compare what was kept of it, remove it; raises where GitLab refuses."""
    project, issue = place(where)
    check_name(bot_name)
    named = f"/{bot_name} help"
    transport = Transport(table.url, table.token, pace=pace, clock=clock)
    path = f"/projects/{quote(project, safe='')}/issues/{issue}/notes"
    try:
        sent = {"body": TEXT.format(bare=BARE, named=named)}
        kept = read(Kept, await transport.send(Request("POST", path, data=sent, notifies=True)), "a note")
        left = await _remove(transport, f"{path}/{kept.id}") if kept.id else None
    finally:
        await transport.close()
    lines = kept.body.splitlines()
    remarks = [_bare(is_kept=BARE in lines), _named(named, is_kept=named in lines)]
    if left is not None:
        remarks.append(Remark(f"the self-test's note {kept.id} is still there", left.what, f"delete it on {where}"))
    return remarks


async def _remove(transport: Transport, path: str) -> GatewrightError | None:
    """Delete the note; what keeps it from that is told, and no reason to keep quiet about what was found."""
    try:
        await transport.send(Request("DELETE", path))
    except GatewrightError as error:
        return error
    return None


def _bare(*, is_kept: bool) -> Remark:
    if is_kept:
        return Remark(f"self-test: a bare {BARE} survives here; the bot still shows and hears its own name only")
    return Remark(f"self-test: GitLab takes a bare {BARE} for itself, as expected")


def _named(named: str, *, is_kept: bool) -> Remark:
    if is_kept:
        return Remark(f"self-test: {named} arrives whole")
    why = "this GitLab, or something before it, cuts it out"
    return Remark(f"self-test: {named} does not arrive", why, "choose another [trigger] bot_name", is_fault=True)
