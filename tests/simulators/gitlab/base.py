"""What all doing shares: the world, the words and the way to tell of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulators.gitlab.hooks import Courier
from tests.simulators.gitlab.hosting import Hosting
from tests.simulators.gitlab.payloads import Payloads
from tests.simulators.gitlab.things import Label, LabelEvent, Note, Subject
from tests.simulators.gitlab.world import Project, User, World

if TYPE_CHECKING:
    from tests.simulators.gitlab.interpret import Interpreter


@dataclass(frozen=True)
class Executed:
    """One quick action that GitLab carried out, or tried to, for the author of a text."""

    user: User
    subject: Subject
    name: str
    argument: str
    applied: bool


class Base:
    """Changes to the world, with the webhooks that follow."""

    interpreter: Interpreter  # set by the server: it needs the actions, as they need it

    def __init__(self, world: World, courier: Courier, hosting: Hosting, payloads: Payloads) -> None:
        self._world = world
        self._courier = courier
        self._hosting = hosting
        self._payloads = payloads
        self.executed: list[Executed] = []

    def tell(
        self, subject: Subject, by: User, action: str, changes: dict[str, object] | None = None, **more: object
    ) -> None:
        """Announce what became of an issue or a merge request."""
        payload = self._payloads.subject_event(subject, by, action, changes or {}, **more)
        if subject.kind == "MergeRequest":
            trigger = "merge_requests_events"
        else:
            trigger = "confidential_issues_events" if subject.confidential else "issues_events"
        self._courier.emit(subject.project, trigger, payload)

    def say(self, subject: Subject, by: User, body: str) -> Note:
        """Write a system note, of which no webhook tells."""
        now = self._world.now()
        number = self._world.next_id()
        note = Note(number, subject, by, body, now, now, f"{number:040x}", system=True)
        subject.notes.append(note)
        return note

    def history(self, subject: Subject, by: User, before: list[Label], now: list[Label]) -> None:
        """Keep who set and took which labels."""
        gone, come = [x for x in before if x not in now], [x for x in now if x not in before]
        for action, labels in (("remove", gone), ("add", come)):
            for label in labels:
                kept = LabelEvent(self._world.next_id(), by, self._world.now(), label, action)
                subject.label_events.append(kept)

    def new_label(self, project: Project, title: str, color: str = "#6699cc", description: str | None = None) -> Label:
        """Make a label."""
        label = Label(self._world.next_id(), title, color, description, self._world.now())
        project.labels.append(label)
        return label
