"""One command under consideration, with everything its decision is taken on."""

from __future__ import annotations

from dataclasses import dataclass

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.audit.record import Ref
from bot.commands.permission import SILENT
from bot.model.errors import GatewrightError
from bot.model.event import Actor, Comment, Event
from bot.model.gates import Glass
from bot.model.manners import Manners
from bot.model.role import Role
from bot.model.task import Task
from bot.reports.views import Waits
from bot.reports.words import NOTHING, Words
from bot.tasks.desk import Desk


@dataclass(frozen=True)
class Context:
    """What a person asks for, who they are, and what reading the forge anew said about them."""

    desk: Desk
    task: Task
    event: Event
    comment: Comment
    role: Role
    me: Actor
    event_id: str
    head: str = ""  # of a change: the commit that a review was about, or the one that its page shows
    is_native: bool = False  # the forge's own button, not a comment
    is_unclear: bool = False  # the same comment also asks for something that contradicts an approval
    objection: str = ""  # why this person's yes would not count now: a code of bot.policy.rules.TALLIES
    barred_as: str = ""  # the part that bars them, where four eyes do
    breaks_glass: bool = False  # policy names them among those who may
    may_review: tuple[Glass, ...] = ()  # emergencies that policy lets them review
    waits: Waits = NOTHING  # what holds the task besides people, for an answer to `status`

    @property
    def manners(self) -> Manners:
        """What is usual on this forge."""
        return self.desk.forge(self.event.repo).manners

    @property
    def words(self) -> Words:
        """The bot's voice on this forge."""
        return self.desk.words(self.event.repo)

    def record(self, verb: str, *refs: Ref, accepted: bool = True, code: str = "", **more: str) -> Draft:
        """Write down that a command was heard and what came of it."""
        data = kinds.Command(
            verb=verb,
            event_id=self.event_id,
            forge_ts=self.comment.created_ms,
            accepted=accepted,
            permission=self.role.value,
            code=code,
            **more,
        )
        who = self.desk.person(self.event.repo, self.comment.author, "requester")
        return Draft("command", data, who, "forge", "ok" if accepted else "denied", refs)

    def refused(self, verb: str, why: GatewrightError) -> Draft:
        """Refuse with words that say what to do now."""
        if why.code in SILENT:
            return self.record(verb, accepted=False, code=why.code)
        answer = self.words.refused(
            self.task, event_id=self.event_id, login=self.comment.author.login, verb=verb, error=why
        )
        return self.record(verb, self.desk.store("answer", answer.encode()), accepted=False, code=why.code)
