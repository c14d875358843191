"""Writes to a forge: an intent before, a record of what came of it after, and never the same thing twice."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.forges.protocol import Forge, StatusState
from bot.model.errors import GatewrightError
from bot.model.task import Gate, Heard, State, Task
from bot.reports.words import Words
from bot.tasks.book import Book
from bot.tasks.desk import Desk
from bot.tasks.index import Index
from bot.tasks.names import named
from bot.tasks.needs import Purpose, Write, source
from bot.tasks.plain import text
from bot.tasks.texts import Texts

STATUS_NAME: Final = "gatewright/change"
EDIT_MS: Final = 15_000  # the progress comment is edited at most this often, save when the state changes

Writing = Callable[["Writer", Task, Write], Awaitable[str]]


class Writer:
    """Writes for one open book; what a forge refuses is logged and left to the next sweep."""

    def __init__(self, desk: Desk, index: Index, book: Book) -> None:
        self.desk = desk
        self.index = index
        self.book = book
        self._failed: set[str] = set()

    @property
    def forge(self) -> Forge:
        """The client of the task's forge."""
        origin = self.book.task.origin
        return self.desk.forge(origin.repo, origin.installation)

    @property
    def words(self) -> Words:
        """The bot's voice on that forge."""
        return Words.of(self.desk.settings, self.forge.manners)

    @property
    def texts(self) -> Texts:
        """What it says there about the task."""
        return Texts(self.desk, self.words)

    async def write(self, write: Write) -> None:
        """Do one write unless it was done, or failed a moment ago."""
        if write.key in self._failed or write.key in self.book.task.posted:
            return
        was_begun = write.key in self.book.task.intents
        if not was_begun:
            await self._record("forge.intent", kinds.ForgeIntent(write.purpose.value, write.rev))
        try:
            task = await named(self.desk.redis, self.book.task)
            object_id = await self._found(task, write) if was_begun else ""
            object_id = object_id or await WRITING[write.purpose](self, task, write)
        except GatewrightError as error:
            self._failed.add(write.key)
            task_id = self.book.task.origin.task
            self.desk.log.warning("forge.write", task=task_id, write=write.key, code=error.code, why=str(error))
            return
        await self._record("forge.done", kinds.ForgeDone(write.purpose.value, write.rev, object_id))

    async def progress(self) -> None:
        """Bring the one progress comment up to date."""
        task = self.book.task
        comment = task.posted.get(f"{Purpose.PROGRESS.value}:0")
        if comment is None:
            return
        key = f"gw:progress:{task.origin.task}"
        body = self.texts.progress(await named(self.desk.redis, task))
        shown = f"{task.state.value} {task.steps_done} {hashlib.sha256(_still(body).encode()).hexdigest()}"
        before = text(await self.desk.redis.get(key))
        if before == shown or (
            before.startswith(f"{task.state.value} ") and await self.desk.redis.exists(f"{key}:quiet")
        ):
            return
        try:
            await self.forge.edit_comment(task.origin.repo, task.origin.issue, int(comment), body)
        except GatewrightError as error:
            self.desk.log.warning("forge.progress", task=task.origin.task, code=error.code, why=str(error))
            return
        await self.desk.redis.set(key, shown)
        await self.desk.redis.set(f"{key}:quiet", "1", px=EDIT_MS)

    async def _record(self, kind: str, data: kinds.Data) -> None:
        await self.book.write(Draft(kind, data, self.desk.service))

    async def _found(self, task: Task, write: Write) -> str:
        """Look for what an interrupted write may have left on the forge."""
        repo = task.origin.repo
        if write.purpose is Purpose.PULL:
            change = await self.forge.find_change(repo, task.branch)
            return "" if change is None else await self._adopt(task, change.number)
        kind = MARKED.get(write.purpose)
        if kind is None:
            return ""
        if write.heard:
            number, answering, on_change = _place(write.heard)
            marker = self.words.marker(task, kind, write.heard.event_id)
        else:
            number, answering, on_change = task.origin.issue, 0, False
            marker = self.words.marker(task, kind, write.rev)
        comment = await self.forge.find_comment(repo, number, marker, answering=answering, on_change=on_change)
        return str(comment) if comment else ""

    async def _comment(self, task: Task, body: str) -> str:
        return str(await self.forge.comment(task.origin.repo, task.origin.issue, body))

    async def first_progress(self, task: Task, _: Write) -> str:
        """Post the progress comment."""
        return await self._comment(task, self.texts.progress(task))

    async def gate(self, task: Task, write: Write) -> str:
        """Ask for a decision."""
        return await self._comment(task, self.texts.gate(task, SHOWS[write.purpose]))

    async def gate_again(self, task: Task, write: Write) -> str:
        """Show the digest that counts now in the comment that asked before."""
        gate = SHOWS[write.purpose]
        body = self.texts.gate(task, gate)
        artifact = task.artifact(gate)
        comment = task.posted[f"gate.{gate.value}:{artifact.rev if artifact else 0}"]
        await self.forge.edit_comment(task.origin.repo, task.origin.issue, int(comment), body)
        return comment

    async def fold(self, task: Task, write: Write) -> str:
        """Fold the comment of a draft that was replaced."""
        gate = Gate.SPEC if write.purpose is Purpose.SPEC_FOLD else Gate.PLAN
        comment = task.posted[f"gate.{gate.value}:{write.rev}"]
        body = self.texts.superseded(task, gate, write.rev)
        await self.forge.edit_comment(task.origin.repo, task.origin.issue, int(comment), body)
        return comment

    async def react(self, task: Task, write: Write) -> str:
        """Show that a command was taken up."""
        number, comment, _ = _place(_heard(write))
        await self.forge.react(task.origin.repo, number, comment, "eyes")
        return str(comment)

    async def reply(self, task: Task, write: Write) -> str:
        """Answer a command with words."""
        heard = _heard(write)
        number, answering, on_change = _place(heard)
        body = self.texts.blob(heard.answer)
        made = await self.forge.comment(task.origin.repo, number, body, answering=answering, on_change=on_change)
        return str(made)

    async def blocked(self, task: Task, _: Write) -> str:
        """Say why nothing goes on."""
        return await self._comment(task, self.texts.blocked(task))

    async def closed(self, task: Task, _: Write) -> str:
        """Say how a task ended."""
        return await self._comment(task, self.texts.closed(task))

    async def open_pull(self, task: Task, _: Write) -> str:
        """Open the change for the branch that a worker pushed."""
        change = await self.forge.open_change(
            task.origin.repo,
            branch=task.branch,
            base=task.origin.base_branch,
            title=self.texts.change_title(task),
            body=self.texts.change_body(task),
            draft=task.state is State.BLOCKED,
        )
        return await self._adopt(task, change.number)

    async def edit_pull(self, task: Task, _: Write) -> str:
        """Describe the change anew, because its head has moved."""
        if task.pull is None:
            raise GatewrightError("GW-PULL-GONE", "there is no change to describe")
        number = task.pull.number
        change = await self.forge.get_change(task.origin.repo, number)
        is_draft = change.is_draft if change else task.pull.draft
        shown = replace(task, pull=replace(task.pull, draft=is_draft))
        await self.forge.edit_change(task.origin.repo, number, body=self.texts.change_body(shown))
        return await self._adopt(task, number)

    async def close_pull(self, task: Task, write: Write) -> str:
        """Close the change of an earlier generation, with a word about where it goes on."""
        number = task.stale_pulls[write.rev - 1]
        await self.forge.close_change(task.origin.repo, number)
        return str(number)

    async def status(self, task: Task, _: Write) -> str:
        """Show the change gate on the commit that it is about."""
        is_open = task.approval(Gate.CHANGE) is None
        state = StatusState.PENDING if is_open else StatusState.SUCCESS
        text = "waits for your review" if is_open else "approved for exactly this commit"
        await self.forge.set_status(task.origin.repo, task.head, state, STATUS_NAME, text)
        return task.head

    async def _adopt(self, task: Task, number: int) -> str:
        change = await self.forge.get_change(task.origin.repo, number)
        head = change.head if change and not change.is_merged else task.head
        is_draft = change.is_draft if change else False
        await self.index.bind_change(task.origin.repo, number, task.origin.task)
        await self._record("pull", kinds.Pull(number, head or task.head, task.branch, is_draft))
        return str(number)


def _place(heard: Heard) -> tuple[int, int, bool]:
    """Find where a command stands: the number, the comment that holds it, and whether it came as a review instead."""
    said = source(heard.event_id)
    return int(heard.event_id.partition(":")[0]), 0 if said.is_review else said.id, said.is_review


def _heard(write: Write) -> Heard:
    if write.heard is None:
        raise GatewrightError("GW-WRITE-HEARD", f"{write.key} answers no command")
    return write.heard


def _still(body: str) -> str:
    """Leave out of a progress text what moves by itself: its times."""
    return "\n".join(line for line in body.splitlines() if "Last change" not in line and "running" not in line)


SHOWS: Final = {
    Purpose.SPEC_GATE: Gate.SPEC,
    Purpose.PLAN_GATE: Gate.PLAN,
    Purpose.SPEC_AGAIN: Gate.SPEC,
    Purpose.PLAN_AGAIN: Gate.PLAN,
}
MARKED: Final = {
    Purpose.PROGRESS: "progress",
    Purpose.SPEC_GATE: "gate.spec",
    Purpose.PLAN_GATE: "gate.plan",
    Purpose.REPLY: "reply",
    Purpose.REVIEW_REPLY: "reply",
    Purpose.BLOCKED: "blocked",
    Purpose.CLOSED: "closed",
}
WRITING: Final[dict[Purpose, Writing]] = {
    Purpose.PROGRESS: Writer.first_progress,
    Purpose.SPEC_GATE: Writer.gate,
    Purpose.PLAN_GATE: Writer.gate,
    Purpose.SPEC_AGAIN: Writer.gate_again,
    Purpose.PLAN_AGAIN: Writer.gate_again,
    Purpose.SPEC_FOLD: Writer.fold,
    Purpose.PLAN_FOLD: Writer.fold,
    Purpose.REACT: Writer.react,
    Purpose.REPLY: Writer.reply,
    Purpose.REVIEW_REPLY: Writer.reply,
    Purpose.BLOCKED: Writer.blocked,
    Purpose.CLOSED: Writer.closed,
    Purpose.PULL: Writer.open_pull,
    Purpose.PULL_BODY: Writer.edit_pull,
    Purpose.PULL_CLOSE: Writer.close_pull,
    Purpose.STATUS: Writer.status,
}
