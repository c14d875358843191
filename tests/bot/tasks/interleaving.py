"""Random lives of a task: what people, workers and the forge may do, each possible at any time."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec.structs import replace

from bot.model.errors import Unavailable
from bot.model.event import AccountKind, Actor, Comment, Event, EventKind
from bot.model.role import Role
from bot.model.state import Step
from bot.model.task import Task
from bot.tasks.converge import converge_quietly
from tests.bot.tasks.forge import LENA, MIRA, OTTO, STRANGER, TOM, commit
from tests.bot.tasks.office import PLAN, SPEC, Office

SOURCE = "c" * 64
TALKERS: Final = (MIRA, TOM, LENA, OTTO, STRANGER)
FILES: Final = (
    b"[policy.spec]\nquorum = 2\n", b'[policy.change]\nnot_by = ["plan"]\n', b'[policy]\ndigest = "required"\n',
    b"[policy",
    b'[policy.plan]\napprovers = ["user:11"]\n', b'[policy]\nmin_role = "maintain"\n',
)  # fmt: skip
BROKEN: Final = (
    "role",
    "account",
    "get_comment",
    "issue",
    "home",
    "get_change",
    "comment",
    "edit_comment",
    "set_status",
)


class Life:
    """One task, and a pair of dice."""

    def __init__(self, office: Office) -> None:
        self.office, self.forge, self.id, self.count = office, office.forge, "", 0

    async def task(self) -> Task:
        return await self.office.desk.shelf.read(self.id)

    async def settle(self) -> None:
        await converge_quietly(self.office.desk, self.office.index, self.id)

    def next(self, word: str) -> str:
        """Name a commit that was not there before."""
        self.count += 1
        return commit(f"{word} {self.count}")


Move = Callable[[Life, int], Awaitable[None]]


async def converges(life: Life, _: int) -> None:
    await life.settle()


async def a_minute_passes(life: Life, dice: int) -> None:
    life.office.ahead_ms += (1 + dice % 5) * 60_000
    await life.office.redis.delete(f"gw:looked:{life.id}", f"gw:ruled:{life.id}")
    await life.settle()


async def works(life: Life, dice: int) -> None:
    """Let the worker whose attempt runs report what it should."""
    office, task = life.office, await life.task()
    running = task.running
    if running is None or life.forge.failing:
        await life.settle()
    elif running.step is Step.SPEC:
        await office.drafts(life.id, "spec", SPEC)
    elif running.step is Step.PLANNING:
        await office.drafts(life.id, "plan", PLAN)
    elif running.step in (Step.CODING, Step.QA_FIXER):
        head = life.next("work")
        made = {"commit": head, "tree": head, "parent": head, "source_sha256": SOURCE, "step": 1}
        await office.reports(life.id, "commit.made", made)
        await office.finds(life.id, head, dice % 3 // 2)
        await office.ends(life.id, commit=head, source_sha256=SOURCE)
    elif running.step is Step.QA:
        await office.finds(life.id, task.head, task.scope.count if task.scope else 0)
        now = replace(task, source_sha256=SOURCE)
        verdict = {
            "round": now.rounds + 1, "commit": now.head, "source_sha256": SOURCE, "criteria": 3,
            "verdict": "failed" if dice % 4 == 0 else "passed", "met": 2 if dice % 4 == 0 else 3,
        }  # fmt: skip
        await office.reports(life.id, "qa.verdict", verdict)
        await office.ends(life.id, commit=now.head, source_sha256=SOURCE)
    elif running.step is Step.PUBLISH:
        branch, head = task.branch or f"gatewright/{life.id}-x-{task.generation}", life.next("published")
        life.forge.pushes(branch, head)
        await office.reports(life.id, "pushed", {"ref": f"refs/heads/{branch}", "commit": head, "size": task.size})
        await office.ends(life.id, commit=head, source_sha256=task.source_sha256)
    else:
        pushed = {"ref": f"refs/gatewright/audit/{life.id}", "commit": commit("audit"), "size": task.size}
        await office.reports(life.id, "pushed", pushed)
        await office.ends(life.id)


async def says_yes(life: Life, dice: int) -> None:
    task = await life.task()
    asked = task.asked(task.state.gate) if task.state.gate else None
    scope = "scope " if task.state.gate == "scope" else ""
    exact = asked.digest[:12] if asked and dice % 2 else ""
    await _says(life, TALKERS[dice % len(TALKERS)], f"/approve {scope}{exact}".strip())


async def _says(life: Life, who: Actor, words: str) -> None:
    task, now = await life.task(), life.office.clock()
    is_change = task.state.gate == "change" and task.pull is not None
    number = task.pull.number if is_change and task.pull else 42
    said = replace(life.forge.says(who, words, number), created_ms=now, updated_ms=now)
    life.forge.talk[said.id] = (number, said)
    await _hears(life, life.office.commented(said, number, on_change=is_change))


async def _hears(life: Life, event: Event) -> None:
    with contextlib.suppress(Unavailable):  # the delivery would be tried again; here it is lost
        await life.office.hears(life.id, event)


async def says_more(life: Life, dice: int) -> None:
    words = (
        "/revise shorter", "/fix the log line", "/retry", "/pause", "/resume", "/model coding=opus", "/retry once more",
        "/approve\n/revise no", f"/emergency {await _digest(life)} production is down, INC-1", "/ci " + "0" * 12,
        "/reviewed it was real",
    )  # fmt: skip
    await _says(life, TALKERS[dice % len(TALKERS)], words[dice // 5 % len(words)])


async def _digest(life: Life) -> str:
    task = await life.task()
    asked = task.asked(task.state.gate) if task.state.gate else None
    return asked.digest[:12] if asked else "0" * 12


async def takes_back(life: Life, dice: int) -> None:
    """Edit or delete a comment: some person's, or ours that asks."""
    own = [comment for _, comment in life.forge.talk.values() if dice % 3 == 0 or comment.author in TALKERS]
    if not own:
        return
    comment = own[dice % len(own)]
    if dice % 2:
        life.forge.edits(comment, comment.body + " or not")
    else:
        del life.forge.talk[comment.id]


async def presses(life: Life, dice: int) -> None:
    task, now = await life.task(), life.office.clock()
    if task.pull is None:
        return
    who = TALKERS[dice % len(TALKERS)]
    if dice % 3 == 0:
        life.forge.unapproved.add(who.id)
        await _hears(life, life.office.event(EventKind.UNREVIEWED, who, task.pull.number, on_change=True))
        return
    life.forge.unapproved.discard(who.id)
    said = Comment(life.forge.says(who, "", task.pull.number).id, who, "", now, now)
    await _hears(life, life.office.event(
        EventKind.REVIEWED, who, task.pull.number, on_change=True, comment=said, head_sha=task.head,
        review_approves=True,
    ))  # fmt: skip


async def rights_change(life: Life, dice: int) -> None:
    who = TALKERS[dice % len(TALKERS)]
    life.forge.roles[who.id] = (Role.NONE, Role.READ, Role.WRITE, Role.MAINTAIN, Role.WRITE)[dice // 5 % 5]
    kind = AccountKind.BOT if dice % 11 == 0 else AccountKind.HUMAN
    life.forge.people[who.id] = replace(who, kind=kind)


async def issue_changes(life: Life, dice: int) -> None:
    issue = life.forge.issues[42]
    life.forge.issues[42] = replace(issue, body=f"Version {dice % 3}")
    if dice % 2:
        await _hears(life, life.office.event(EventKind.ISSUE_EDITED))


async def policy_changes(life: Life, dice: int) -> None:
    life.forge.files.clear()
    if dice % 3:
        life.forge.files[".gatewright.toml"] = FILES[dice % len(FILES)]


async def base_moves(life: Life, dice: int) -> None:
    life.forge.heads["main"], life.forge.rewritten = commit(f"base {dice % 4}"), dice % 7 == 0


async def somebody_pushes(life: Life, dice: int) -> None:
    task = await life.task()
    if task.pull is None or task.branch not in life.forge.heads:
        return
    who, head = TALKERS[dice % len(TALKERS)], life.next("foreign")
    if dice % 3 == 0:
        life.forge.trees[head] = life.forge.trees.get(task.head, task.head)
    life.forge.pushes(task.branch, head)
    if dice % 4:
        pushed = life.office.event(EventKind.CHANGE_PUSHED, who, task.pull.number, on_change=True, head_sha=head)
        await _hears(life, pushed)


async def forge_breaks(life: Life, dice: int) -> None:
    life.forge.failing.clear()
    if dice % 2:
        life.forge.failing[BROKEN[dice // 2 % len(BROKEN)]] = Unavailable("GW-FORGE-UNAVAILABLE", "500")


OFTEN: Final[tuple[Move, ...]] = (works, says_yes, converges)
MOVES: Final[tuple[Move, ...]] = (
    *OFTEN * 5, a_minute_passes, says_more, takes_back, presses, rights_change, issue_changes, policy_changes,
    base_moves, somebody_pushes, forge_breaks,
)  # fmt: skip
# To a green change gate where nothing comes in between: two approve the spec, Tom the plan, two others the change.
STRAIGHT: Final[tuple[tuple[Move, int], ...]] = (
    (works, 1), (says_yes, 5), (says_yes, 7), (converges, 0), (works, 1), (says_yes, 11), (converges, 0),
    (works, 1), (works, 1), (works, 1), (says_yes, 13), (says_yes, 7), (converges, 0), (works, 1),
)  # fmt: skip
