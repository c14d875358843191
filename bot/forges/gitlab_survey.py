"""What a GitLab shows its bot when `doctor` asks: who it is, what token and role allow, which webhook leads to us."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec

from bot.forges.errors import FORBIDDEN, NOT_FOUND
from bot.forges.gitlab_shapes import Account, Clock, Id, Member, Project, read
from bot.forges.gitlab_transport import Pace, Request, Transport
from bot.model.errors import GatewrightError
from bot.settings import GitLab as Table

# A person waits: no second try, nothing that is sat out.
PACE: Final = Pace(write_gap=0.0, tries=1, patience=0.0, request=10.0, visible=())
SCOPE: Final = "api"
DEVELOPER: Final = 30
LEVELS: Final = {50: "Owner", 40: "Maintainer", 30: "Developer", 20: "Reporter", 15: "Planner", 10: "Guest"}
EVENTS: Final = {
    "note_events": "Comments", "issues_events": "Issues events", "merge_requests_events": "Merge request events",
}  # fmt: skip
HOOK_PATH: Final = "/webhooks/gitlab"
SOON_DAYS: Final = 14


class Remark(msgspec.Struct, frozen=True):
    """One thing that was seen; well unless `fix` says what to do, and in the way of all work where it `is_fault`."""

    words: str
    why: str = ""
    fix: str = ""
    is_fault: bool = False


class Version(msgspec.Struct, frozen=True):
    """Which GitLab it is."""

    version: str = "of unknown version"


class Token(msgspec.Struct, frozen=True):
    """What the token in use says of itself."""

    scopes: tuple[str, ...] = ()
    expires_at: str | None = None


class Hook(msgspec.Struct, frozen=True):
    """A webhook as maintainers see it."""

    id: Id
    url: str = ""
    note_events: bool | None = None
    issues_events: bool | None = None
    merge_requests_events: bool | None = None
    alert_status: str | None = None  # 15.x


class Survey:
    """One look at one GitLab; `public_url` is where GitLab reaches us, empty where that is not known."""

    def __init__(self, table: Table, *, public_url: str = "", clock: Clock = time.time, pace: Pace = PACE) -> None:
        self._transport = Transport(table.url, table.token, pace=pace, clock=clock)
        self._table = table
        self._hook_url = f"{public_url.rstrip('/')}{HOOK_PATH}" if public_url else ""
        self._clock = clock

    async def instance(self) -> list[Remark]:
        """Look at the instance and the token; raises where GitLab refuses or does not answer."""
        me = read(Account, await self._get("/user"), "our account").actor()
        version = read(Version, await self._perhaps("/version") or {}, "its version").version
        known = await self._perhaps("/personal_access_tokens/self")
        token = None if known is None else read(Token, known, "our token")
        scopes = "scopes not shown" if token is None else f"scopes {', '.join(token.scopes) or 'none'}"
        secrets = f"{len(self._table.webhook_tokens)} webhook and {len(self._table.signing_secrets)} signing token(s)"
        about = Remark(f"{self._table.url} {version} as {me.login}, {scopes}, {secrets}")
        return [about, *(self._judged(token) if token else ())]

    async def project(self, path: str) -> list[Remark]:
        """Look at our role in a project and at its webhooks; raises where the project is not shown to us."""
        found = read(Project, await self._get(f"/projects/{quote(path, safe='')}"), "a project")
        where = f"/projects/{found.id}"
        return [await self._role(where, found.path_with_namespace), *await self._hooks(where)]

    async def close(self) -> None:
        """Release the connection."""
        await self._transport.close()

    def _judged(self, token: Token) -> Iterator[Remark]:
        if SCOPE not in token.scopes:
            fix = f"make a token with the scope {SCOPE}, and name it in [gitlab] token"
            yield Remark(f"the token lacks the scope {SCOPE}", "without it nothing can be written", fix, is_fault=True)
        if token.expires_at is None:
            return
        try:
            until = datetime.fromisoformat(token.expires_at).replace(tzinfo=UTC).timestamp()
        except ValueError:
            return
        if until - self._clock() < SOON_DAYS * 86_400:
            yield Remark(f"the token ends on {token.expires_at}", fix="make a new one in time, then revoke the old one")

    async def _role(self, where: str, path: str) -> Remark:
        me = read(Account, await self._get("/user"), "our account").actor()
        data = await self._perhaps(f"{where}/members/all/{me.id}")
        level = 0 if data is None else read(Member, data, "a member").access_level
        name = next((name for least, name in LEVELS.items() if level >= least), "no member")
        if level >= DEVELOPER:
            return Remark(f"{path}: {name}")
        why = "branches, merge requests and commit statuses need the role Developer"
        return Remark(f"{path}: {name}", why, "give the bot's account the role Developer", is_fault=True)

    async def _hooks(self, where: str) -> list[Remark]:
        wanted = ", ".join(EVENTS.values())
        fix = f"look at Settings -> Webhooks: one must lead to {self._hook_url or '...' + HOOK_PATH} with {wanted}"
        try:
            data = await self._get(f"{where}/hooks", per_page=100)
        except GatewrightError as error:
            if error.code not in (FORBIDDEN, NOT_FOUND):
                raise
            return [Remark("webhooks were not checked", "GitLab shows them to maintainers only", fix)]
        ours = [hook for hook in read(tuple[Hook, ...], data, "webhooks") if self._is_ours(hook)]
        if not ours:
            return [Remark("no webhook of the project leads here", "one of its group may, which is not seen here", fix)]
        return [_hook(hook) for hook in ours]

    def _is_ours(self, hook: Hook) -> bool:
        return hook.url == self._hook_url if self._hook_url else hook.url.rstrip("/").endswith(HOOK_PATH)

    async def _perhaps(self, path: str) -> Any | None:
        """Read what old instances do not have and what narrow scopes do not show."""
        try:
            return await self._get(path)
        except GatewrightError as error:
            if error.code in (NOT_FOUND, FORBIDDEN):
                return None
            raise

    async def _get(self, path: str, **query: Any) -> Any:
        return await self._transport.send(Request("GET", path, query))


def _hook(hook: Hook) -> Remark:
    missing = [name for flag, name in EVENTS.items() if not getattr(hook, flag)]
    if missing:
        return Remark(
            f"webhook {hook.id} does not tell everything", f"not ticked: {', '.join(missing)}",
            "tick them in Settings -> Webhooks", is_fault=True,
        )  # fmt: skip
    if hook.alert_status not in (None, "executable"):
        fix = "mend what Settings -> Webhooks -> Edit -> Recent events shows, then use Test"
        return Remark(f"webhook {hook.id} is {hook.alert_status}", "too many deliveries failed", fix, is_fault=True)
    return Remark(f"webhook {hook.id} leads to {hook.url} with {', '.join(EVENTS.values())}")
