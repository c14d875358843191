"""What could go around the gates on a GitLab: secrets in CI, rules on our branches, accounts that people share."""

from __future__ import annotations

import re
import time
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from bot.forges.errors import FORBIDDEN, NOT_FOUND
from bot.forges.gitlab_gates import ProtectedBranch
from bot.forges.gitlab_shapes import Account, Clock, Member, Project, read
from bot.forges.gitlab_survey import DEVELOPER, PACE, Remark
from bot.forges.gitlab_transport import Pace, Request, Transport
from bot.forges.protocol import Home
from bot.model.errors import GatewrightError
from bot.settings import GitLab as Table

OURS: Final = "gatewright/1-abcdef-a"  # any branch of a task
GROUP_BOT: Final = re.compile(r"group_[0-9]+_bot")
NAMED: Final = 5  # variables that are named; there may be hundreds


class Variable(msgspec.Struct, frozen=True):
    """A variable of CI jobs; its value is not read."""

    key: str
    protected: bool = False


class Exposure:
    """One look at one project; `runs_ci` says whether policy lets our pushes start CI."""

    def __init__(self, table: Table, *, runs_ci: bool, clock: Clock = time.time, pace: Pace = PACE) -> None:
        self._transport = Transport(table.url, table.token, pace=pace, clock=clock)
        self._host = urlsplit(table.url).hostname or ""
        self._runs_ci = runs_ci

    async def project(self, path: str) -> list[Remark]:
        """Look; raises where the project is not shown to us."""
        found = read(Project, await self._get(f"/projects/{quote(path, safe='')}"), "a project")
        me = read(Account, await self._get("/user"), "our account")
        where = f"/projects/{found.id}"
        rules = await self._rules(where)
        return [
            *self._account(me),
            *await self._branches(where, rules, me.id or 0),
            *(await self._variables(where, are_ours_protected=bool(rules)) if self._runs_ci else ()),
        ]

    async def place(self, path: str) -> Home:
        """Say which project it is, and its default branch."""
        found = read(Project, await self._get(f"/projects/{quote(path, safe='')}"), "a project")
        return Home(found.repo(self._host, 0), found.default_branch or "main", "")

    async def close(self) -> None:
        """Release the connection."""
        await self._transport.close()

    def _account(self, me: Account) -> list[Remark]:
        name = me.username
        if not me.bot:
            why = "whoever signs in with it speaks as the bot, and the bot's own comments never count as theirs"
            fix = "use a project access token, whose account nobody can sign in with"
            return [Remark(f"@{name} is a person's account, or GitLab does not say", why, fix)]
        if GROUP_BOT.match(name):
            why = "it reaches every project of the group, and every owner of the group can make it speak"
            return [Remark(f"@{name} belongs to a whole group", why, "use a project access token for each project")]
        return []

    async def _rules(self, where: str) -> tuple[ProtectedBranch, ...]:
        """Read the rules that hold for branches of tasks; none where GitLab does not show them."""
        found = await self._perhaps(f"{where}/protected_branches", per_page=100)
        rules = read(tuple[ProtectedBranch, ...], found or [], "protected branches")
        return tuple(rule for rule in rules if rule.covers(OURS))

    async def _branches(self, where: str, rules: tuple[ProtectedBranch, ...], me: int) -> list[Remark]:
        if not rules:
            return []
        data = await self._perhaps(f"{where}/members/all/{me}")
        level = 0 if data is None else read(Member, data, "a member").access_level
        names = ", ".join(rule.name for rule in rules)
        allowed = any(_lets_in(rule, me, level) for rule in rules)
        if not allowed:
            why = "the bot could not push its work"
            fix = "let its account push to them under Settings -> Repository -> Protected branches"
            words = f"branches of tasks are protected by {names}, and the bot may not push"
            return [Remark(words, why, fix, is_fault=True)]
        why = "CI on protected branches gets protected variables, and these branches hold what agents wrote"
        return [Remark(f"branches of tasks are protected by {names}", why, "take gatewright/* out of that rule")]

    async def _variables(self, where: str, *, are_ours_protected: bool) -> list[Remark]:
        fix = 'protect them under Settings -> CI/CD -> Variables, or set [policy] ci = "hold"'
        why = "a push by the bot starts CI with them before anybody has approved the change"
        found = await self._perhaps(f"{where}/variables", per_page=100)
        if found is None:
            return [Remark("CI variables were not checked", "GitLab shows them to maintainers only", fix)]
        listed = read(tuple[Variable, ...], found, "CI variables")
        open_ = [each.key for each in listed if are_ours_protected or not each.protected]
        if not open_:
            return [Remark("no CI variable of the project is open to branches of tasks")]
        more = f" and {len(open_) - NAMED} more" if len(open_) > NAMED else ""
        return [Remark(f"{len(open_)} CI variable(s) are open: {', '.join(open_[:NAMED])}{more}", why, fix)]

    async def _perhaps(self, path: str, **query: Any) -> Any | None:
        try:
            return await self._get(path, **query)
        except GatewrightError as error:
            if error.code in (NOT_FOUND, FORBIDDEN):
                return None
            raise

    async def _get(self, path: str, **query: Any) -> Any:
        return await self._transport.send(Request("GET", path, query))


def _lets_in(rule: ProtectedBranch, me: int, level: int) -> bool:
    """Tell whether a rule lets our account push, by name or by role."""
    return any(
        each.user_id == me or (each.user_id is None and each.access_level and DEVELOPER <= each.access_level <= level)
        for each in rule.push_access_levels
    )
