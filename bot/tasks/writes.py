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
from bot.model.state import Gate, State
from bot.model.task import Heard, Task
from bot.reports.words import Words
from bot.tasks.anchors import anchors
from bot.tasks.approvers import approvers
from bot.tasks.ballot import STATUS_NAME, sha256
from bot.tasks.book import Book
from bot.tasks.desk import Desk
from bot.tasks.holding import waits
from bot.tasks.index import Index
from bot.tasks.names import logins, named
from bot.tasks.need import FOLDS, MARKED, SHOWS, Purpose, Write
from bot.tasks.plain import text
from bot.tasks.shown import is_given_up, status_commit
from bot.tasks.signing import newest
from bot.tasks.texts import Texts
from bot.tasks.wanted import source

MERGE: Final = "GW-FORGE-MERGE"  # what forges answer where they do not merge
EDIT_MS: Final = 15_000  # the progress comment is edited at most this often, save when the state changes

MOVES: Final = ("Last change", "running", " tokens in, ")

Writing = Callable[["Writer", Task, Write], Awaitable[str]]


class Writer:
    """Writes for one open book; what a forge refuses is logged and left to the next sweep."""

    def __init__(self, desk: Desk, index: Index, book: Book) -> None:
        self.desk = desk
        self.index = index
        self.book = book
        self._failed: set[str] = set()
        self._said = ""  # what the present write put on the forge, where that shows a note

    @property
    def forge(self) -> Forge:
        """The client of the task's forge."""
        origin = self.book.task.origin
        return self.desk.forge(origin.repo, origin.installation)

    @property
    def words(self) -> Words:
        """The bot's voice on that forge."""
        return self.desk.words(self.book.task.origin.repo)

    @property
    def texts(self) -> Texts:
        """What it says there about the task."""
        return Texts(self.desk, self.words)

    async def write(self, write: Write) -> None:
        """Do one write unless it was done, or failed a moment ago."""
        if write.key in self._failed or write.key in self.book.task.posted:
            return
        self._said = ""
        was_begun = write.key in self.book.task.intents
        if not was_begun:
            await self._record("forge.intent", kinds.ForgeIntent(write.purpose.value, write.rev))
        try:
            task = await named(self.desk.redis, self.book.task)
            object_id = await self._found(task, write) if was_begun else ""
            object_id = object_id or await WRITING[write.purpose](self, task, write)
            shown = await self._shown(task, write, object_id)
        except GatewrightError as error:
            self._failed.add(write.key)
            task_id = self.book.task.origin.task
            self.desk.log.warning("forge.write", task=task_id, write=write.key, code=error.code, why=str(error))
            if write.purpose is Purpose.MERGE and error.code == MERGE:
                await self._give_up(error)
            return
        done = Draft("forge.done", kinds.ForgeDone(write.purpose.value, write.rev, object_id, shown), self.desk.service)
        await self.book.write(done, *await anchors(self.desk, self.book, write.purpose, object_id, self._said))

    async def progress(self) -> None:
        """Bring the one progress comment up to date."""
        task = self.book.task
        comment = task.posted.get(f"{Purpose.PROGRESS.value}:0")
        if comment is None:
            return
        key = f"gw:progress:{task.origin.task}"
        body = self.texts.progress(await named(self.desk.redis, task), await waits(self.desk, self.index, task))
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
            number, answering, on_change = _page(task, write)
            marker = self.words.marker(task, kind, write.rev)
        comment = await self.forge.find_comment(repo, number, marker, answering=answering, on_change=on_change)
        return str(comment) if comment else ""

    async def _shown(self, task: Task, write: Write, object_id: str) -> str:
        """Hash a comment that asks as the forge gives it back: what people read there is what they approve."""
        if write.purpose not in SHOWS:
            return ""
        now = await self.forge.get_comment(task.origin.repo, task.origin.issue, int(object_id))
        if now is None:
            raise GatewrightError("GW-GATE-GONE", "the comment that asks is gone again", why="somebody deleted it")
        self._said = now.body
        return sha256(now.body)

    async def _give_up(self, error: GatewrightError) -> None:
        """Ask people, because the forge will refuse the same again."""
        refs = (self.desk.store("explanation", str(error).encode()),)
        blocked = Draft("task.blocked", kinds.TaskBlocked(error.code), self.desk.service, refs=refs)
        await self.book.write(blocked)

    async def _comment(self, task: Task, body: str) -> str:
        return str(await self.forge.comment(task.origin.repo, task.origin.issue, body))

    async def first_progress(self, task: Task, _: Write) -> str:
        """Post the progress comment."""
        return await self._comment(task, self.texts.progress(task, await waits(self.desk, self.index, task)))

    async def _is_gone(self, task: Task, comment: str) -> bool:
        """Tell whether somebody deleted a comment of ours."""
        return await self.forge.get_comment(task.origin.repo, task.origin.issue, int(comment)) is None

    async def gate(self, task: Task, write: Write) -> str:
        """Ask for a decision."""
        gate = SHOWS[write.purpose]
        return await self._comment(task, await self._asking(task, gate))

    async def _asking(self, task: Task, gate: Gate) -> str:
        _, by = task.policy_file
        names = await logins(self.desk.redis, task.origin.repo, (by,) if by else ())
        texts = Texts(self.desk, self.words, names.get(by, ""), await newest(self.desk, self.book))
        return texts.gate(task, gate, await approvers(self.desk, task, gate))

    async def _description(self, task: Task) -> str:
        texts = Texts(self.desk, self.words, note=await newest(self.desk, self.book))
        self._said = texts.change_body(task, await approvers(self.desk, task, Gate.CHANGE))
        return self._said

    async def gate_again(self, task: Task, write: Write) -> str:
        """Show the digest that counts now in the comment that asked before."""
        gate = SHOWS[write.purpose]
        comment = task.shown[f"gate.{gate.value}"].partition(":")[0]
        if await self._is_gone(task, comment):
            return await self.gate(task, write)
        body = await self._asking(task, gate)
        await self.forge.edit_comment(task.origin.repo, task.origin.issue, int(comment), body)
        return comment

    async def fold(self, task: Task, write: Write) -> str:
        """Fold the comment of a draft that was replaced."""
        gate = FOLDS[write.purpose]
        comment = task.posted[f"gate.{gate.value}:{write.rev}"]
        if await self._is_gone(task, comment):
            return comment
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
            body=await self._description(task),
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
        await self.forge.edit_change(task.origin.repo, number, body=await self._description(shown))
        return await self._adopt(task, number)

    async def close_pull(self, task: Task, write: Write) -> str:
        """Close the change of an earlier generation, with a word about where it goes on."""
        number = task.stale_pulls[write.rev - 1]
        await self.forge.close_change(task.origin.repo, number)
        return str(number)

    async def status(self, task: Task, _: Write) -> str:
        """Show the change gate on the commit that it is about; what fell is taken back where it was shown."""
        head = task.head if task.state is State.CHANGE_REVIEW else status_commit(task)
        state, text = StatusState.PENDING, "waits for your review"
        if is_given_up(task):
            state, text = StatusState.FAILURE, "the task has ended"
        elif task.let_pass(Gate.CHANGE) is not None:
            state, text = StatusState.SUCCESS, "approved for exactly this commit"
        await self.forge.set_status(task.origin.repo, head, state, STATUS_NAME, text)
        return head

    async def voided(self, task: Task, write: Write) -> str:
        """Say in one line which approvals fell and why, where they were given."""
        void = task.voids[write.rev - 1]
        body = self.words.voided(task, void.gate, void.reason, rev=write.rev)
        if void.gate is Gate.CHANGE and task.pull is not None:
            return str(await self.forge.comment(task.origin.repo, task.pull.number, body, on_change=True))
        return await self._comment(task, body)

    async def emergency(self, task: Task, write: Write) -> str:
        """Say loudly that somebody broke the glass."""
        broke = task.emergencies[write.rev - 1]
        names = await logins(self.desk.redis, task.origin.repo, (broke.person,))
        return await self._comment(task, self.words.emergency(task, rev=write.rev, who=names[broke.person]))

    async def merge(self, task: Task, _: Write) -> str:
        """Merge the change, if its head is still the one that was let pass."""
        if task.pull is None:
            raise GatewrightError("GW-PULL-GONE", "there is no change to merge")
        await self.forge.merge(task.origin.repo, task.pull.number, task.head)
        return task.head

    async def release_ci(self, task: Task, write: Write) -> str:
        """Let CI run on a commit that a person named."""
        commit = task.ci_released[write.rev - 1]
        if task.pull is None:
            raise GatewrightError("GW-PULL-GONE", "there is no change whose CI could run")
        await self.forge.release_ci(task.origin.repo, task.pull.number, task.branch, commit)
        return commit

    async def _adopt(self, task: Task, number: int) -> str:
        change = await self.forge.get_change(task.origin.repo, number)
        head = change.head if change and not change.is_merged else task.head
        is_draft = change.is_draft if change else False
        await self.index.bind_change(task.origin.repo, number, task.origin.task)
        await self._record("pull", kinds.Pull(number, head or task.head, task.branch, is_draft))
        return str(number)


def _page(task: Task, write: Write) -> tuple[int, int, bool]:
    is_of_change = write.purpose is Purpose.VOIDED and task.voids[write.rev - 1].gate is Gate.CHANGE
    if is_of_change and task.pull is not None:
        return task.pull.number, 0, True
    return task.origin.issue, 0, False


def _place(heard: Heard) -> tuple[int, int, bool]:
    """Find where a command stands: the number, the comment that holds it, and whether it came as a review instead."""
    said = source(heard.event_id)
    return int(heard.event_id.partition(":")[0]), 0 if said.is_review else said.id, said.is_review


def _heard(write: Write) -> Heard:
    if write.heard is None:
        raise GatewrightError("GW-WRITE-HEARD", f"{write.key} answers no command")
    return write.heard


def _still(body: str) -> str:
    """Leave out of a progress text what moves by itself: its times, and what calls use; minutes are worth an edit."""
    lines = (line for line in body.splitlines() if not any(word in line for word in MOVES))
    return "\n".join(line.partition(",")[0] if line.startswith("**Total:**") else line for line in lines)


WRITING: Final[dict[Purpose, Writing]] = {
    Purpose.PROGRESS: Writer.first_progress,
    Purpose.SPEC_GATE: Writer.gate,
    Purpose.PLAN_GATE: Writer.gate,
    Purpose.SCOPE_GATE: Writer.gate,
    Purpose.SPEC_AGAIN: Writer.gate_again,
    Purpose.PLAN_AGAIN: Writer.gate_again,
    Purpose.SCOPE_AGAIN: Writer.gate_again,
    Purpose.SPEC_FOLD: Writer.fold,
    Purpose.PLAN_FOLD: Writer.fold,
    Purpose.SCOPE_FOLD: Writer.fold,
    Purpose.VOIDED: Writer.voided,
    Purpose.EMERGENCY: Writer.emergency,
    Purpose.MERGE: Writer.merge,
    Purpose.CI: Writer.release_ci,
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
