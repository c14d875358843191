"""What people do and what the forge answers, as small acts that a table can list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.record import data_of
from bot.forges import gitlab
from bot.forges.protocol import Protection
from bot.model.errors import GatewrightError, Unavailable
from bot.model.event import AccountKind, Actor, Comment, EventKind, ForgeKind
from bot.model.manners import Manners
from bot.model.policy import Policy
from bot.model.role import Role
from bot.model.state import Gate, State
from bot.model.task import Task
from bot.settings import Settings
from bot.tasks.converge import converge_quietly
from tests.bot.tasks.forge import MIRA, OTTO, REPO, commit
from tests.bot.tasks.office import PLAN, SPEC, Office

DAY_MS = 86_400_000
MANNERS = {ForgeKind.GITHUB: Manners(), ForgeKind.GITLAB: gitlab.MANNERS}
PAST = {
    Gate.SPEC: (State.PLAN, State.PLAN_REVIEW, State.CODING, State.QA),
    Gate.PLAN: (State.CODING, State.QA),
}


class Scene:
    """One task that waits at a gate, under one policy."""

    def __init__(self, office: Office, gate: Gate) -> None:
        self.office, self.forge, self.gate, self.id = office, office.forge, gate, ""
        self.said: dict[int, Comment] = {}
        self.problems: list[str] = []

    async def begin(self, policy: Policy, before: tuple[Act, ...], forge: ForgeKind = ForgeKind.GITHUB) -> None:
        office = self.office
        office.repo = replace(REPO, forge=forge)
        office.forge.manners = MANNERS[forge]
        office.desk.settings = Settings(policy=policy)
        for act in before:
            await act(self)
        self.id = await office.at_spec_gate()
        if self.gate is Gate.SPEC:
            return
        await self._passes(Gate.SPEC, MIRA, "plan", PLAN)
        if self.gate is Gate.PLAN:
            return
        await self._says_yes(Gate.PLAN, OTTO)
        await office.converge(self.id)
        head = commit("coded")
        made = {"commit": head, "tree": head, "parent": head, "source_sha256": "c" * 64, "step": 1}
        await office.reports(self.id, "commit.made", made)
        await office.finds(self.id, head)
        await office.ends(self.id, commit=head, source_sha256="c" * 64)
        await office.judged(self.id, passed=True)
        await office.published(self.id)

    async def _passes(self, gate: Gate, who: Actor, kind: str, content: str) -> None:
        await self._says_yes(gate, who)
        await self.office.converge(self.id)
        await self.office.drafts(self.id, kind, content)

    async def _says_yes(self, gate: Gate, who: Actor) -> None:
        asked = (await self.task()).asked(gate)
        assert asked, await self.task()
        await self.office.says(self.id, who, f"/gatewright approve {asked.digest[:12]}")

    async def task(self) -> Task:
        return await self.office.desk.shelf.read(self.id)

    async def settle(self) -> Task:
        """Let control come to rest, whatever the forge answers."""
        await converge_quietly(self.office.desk, self.office.index, self.id)
        return await self.task()

    async def passed(self) -> bool:
        task = await self.settle()
        return task.let_pass(self.gate) is not None if self.gate is Gate.CHANGE else task.state in PAST[self.gate]

    async def reasons(self) -> set[str]:
        """Collect every code that says why something did not count."""
        task = await self.task()
        found = {one.code for one in task.heard} | {void.reason for void in task.voids} | {*self.problems}
        found |= {task.blocked_code, *self.office.log.codes("converge.failed")}
        for record in await self.office.records(self.id):
            if record.kind == "ruling":
                data: Any = data_of(record)
                assert isinstance(data, kinds.RulingMade)
                found |= {one.rule for one in data.ruling.outcomes if not one.ok}
                found |= {tally.code for tally in data.ruling.tallies}
        return found


Act = Callable[[Scene], Awaitable[None]]


def yes(who: Actor, words: str = "/approve") -> Act:
    """Say yes in a comment; <12> is the digest in force."""

    async def act(scene: Scene) -> None:
        task = await scene.task()
        asked, on_change = task.asked(scene.gate), scene.gate is Gate.CHANGE
        body = words.replace("<12>", asked.digest[:12] if asked else "")
        number = task.pull.number if task.pull and on_change else 42
        comment = scene.forge.says(who, body, number)
        comment = replace(comment, created_ms=scene.office.clock(), updated_ms=scene.office.clock())
        scene.forge.talk[comment.id] = (number, comment)
        scene.said[who.id] = comment
        await _heard(scene, scene.office.commented(comment, number, on_change=on_change))

    return act


def presses(who: Actor, head: str = "") -> Act:
    """Approve by the forge's own button."""

    async def act(scene: Scene) -> None:
        task, now = await scene.task(), scene.office.clock()
        assert task.pull
        said = Comment(9_000 + who.id, who, "", now, now)
        await _heard(scene, scene.office.event(
            EventKind.REVIEWED, who, task.pull.number, on_change=True, comment=said, head_sha=head or task.head,
            review_approves=True,
        ))  # fmt: skip

    return act


async def _heard(scene: Scene, event: Any) -> None:
    try:
        await scene.office.hears(scene.id, event)
    except GatewrightError as error:
        scene.problems.append(error.code)


def simple(change: Callable[[Scene], Any]) -> Act:
    """Change something of the world."""

    async def act(scene: Scene) -> None:
        change(scene)

    return act


async def settles(scene: Scene) -> None:
    await scene.settle()


async def looks(scene: Scene) -> None:
    """Let a minute pass, and more than the time between looks at a gate."""
    await scene.office.redis.delete(f"gw:looked:{scene.id}", f"gw:ruled:{scene.id}")
    await scene.settle()


def role(who: Actor, now: Role) -> Act:
    return simple(lambda scene: scene.forge.roles.__setitem__(who.id, now))


def kind(who: Actor, now: AccountKind) -> Act:
    return simple(lambda scene: scene.forge.people.__setitem__(who.id, replace(who, kind=now)))


def login(who: Actor, now: str) -> Act:
    return simple(lambda scene: scene.forge.people.__setitem__(who.id, replace(who, login=now)))


def member(group: str, who: Actor, days: float | None) -> Act:
    """Be in a group for some days; None: not any more, -1: since a time that the forge does not tell."""

    def change(scene: Scene) -> None:
        members = scene.forge.groups.setdefault(group, {})
        members.pop(who.id, None)
        if days is not None:
            members[who.id] = 0 if days < 0 else scene.office.clock() - int(days * DAY_MS)

    return simple(change)


def fails(method: str, code: str = "GW-FORGE-UNAVAILABLE") -> Act:
    return simple(lambda scene: scene.forge.failing.__setitem__(method, Unavailable(code, "500")))


def answers() -> Act:
    return simple(lambda scene: scene.forge.failing.clear())


def later(*, days: float = 0, minutes: float = 0) -> Act:
    def change(scene: Scene) -> None:
        scene.office.ahead_ms += int(days * DAY_MS + minutes * 60_000)

    return simple(change)


def file(text: str, path: str = ".gatewright.toml") -> Act:
    return simple(lambda scene: scene.forge.files.__setitem__(path, text.encode()))


def no_file() -> Act:
    return simple(lambda scene: scene.forge.files.clear())


def edits(who: Actor, words: str) -> Act:
    return simple(lambda scene: scene.forge.edits(scene.said[who.id], words))


def deletes(who: Actor) -> Act:
    return simple(lambda scene: scene.forge.talk.pop(scene.said[who.id].id))


def says(who: Actor, words: str) -> Act:
    async def act(scene: Scene) -> None:
        await scene.office.says(scene.id, who, words)

    return act


def redrafted() -> Act:
    async def act(scene: Scene) -> None:
        await scene.settle()
        await scene.office.drafts(scene.id, "spec", SPEC)

    return act


def base(name: str, *, rewritten: bool = False) -> Act:
    def change(scene: Scene) -> None:
        scene.forge.heads["main"], scene.forge.rewritten = commit(name), rewritten

    return simple(change)


def pushed(who: Actor, name: str = "foreign") -> Act:
    async def act(scene: Scene) -> None:
        task, head = await scene.task(), commit(name)
        assert task.pull
        scene.forge.pushes(task.branch, head)
        event = scene.office.event(EventKind.CHANGE_PUSHED, who, task.pull.number, on_change=True, head_sha=head)
        await _heard(scene, event)

    return act


def protected(*, is_enforced: bool) -> Act:
    return simple(lambda scene: setattr(scene.forge, "protected", Protection(is_enforced=is_enforced, why="")))
