"""Issues, notes, labels, award emoji: what people say, cleaned of quick actions before it is saved."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Final

from tests.simulators.gitlab.access import missing, refused
from tests.simulators.gitlab.base import Base
from tests.simulators.gitlab.quick_actions import QuickAction, extract
from tests.simulators.gitlab.shapes_accounts import Json
from tests.simulators.gitlab.things import Award, Label, Note, Subject
from tests.simulators.gitlab.world import Project, User

PAUSE: Final = timedelta(seconds=10)  # between opening an issue and a person's next act; templates need none
LONGEST_NOTE: Final = 1_000_000
LONGEST_DESCRIPTION: Final = 1_048_576
LONGEST_TITLE: Final = 255
MOST_NOTES: Final = 5_000
EMOJI: Final = re.compile(r"[a-z0-9_+-]{1,80}")


class Talk(Base):
    """What is said about issues and merge requests."""

    most_notes = MOST_NOTES  # tests lower it

    def open_issue(
        self,
        project: Project,
        by: User,
        title: str,
        text: str | None,
        labels: list[str],
        *,
        confidential: bool = False,
        imported_from: str = "none",
        reply_to: str | None = None,
    ) -> Subject:
        """Open an issue; its hook carries the labels given with it."""
        self.check_texts(title, text)
        left, actions = self._clean(text)
        now, iid = self._world.now(), max([0, *project.issues]) + 1
        number = self._world.next_id()
        made = now if labels else now - PAUSE
        issue = Subject(number, iid, project, title, left, by, made, now, confidential=confidential)
        issue.labels = [project.label(name) or self.new_label(project, name) for name in labels]
        issue.imported_from, issue.reply_to = imported_from, reply_to
        self.history(issue, by, [], issue.labels)
        project.issues[iid] = issue
        self.tell(issue, by, "open", {"id": (None, number), "title": ("", title)})
        self._carry_out(issue, by, actions)
        return issue

    def move_issue(self, issue: Subject, by: User, to: Project) -> Subject:
        """Move an issue to another project: a copy there, with notes and the history of labels, and this one closed."""
        iid, number = max([0, *to.issues]) + 1, self._world.next_id()
        there = Subject(number, iid, to, issue.title, issue.description, issue.author, issue.created, self._world.now())
        there.labels = [to.label(x.title) or self.new_label(to, x.title) for x in issue.labels]
        for event in issue.label_events:
            label = to.label(event.label.title) or self.new_label(to, event.label.title)
            there.label_events.append(replace(event, id=self._world.next_id(), label=label))
        for note in issue.notes:
            there.notes.append(replace(note, id=self._world.next_id(), subject=there, awards=[]))
        to.issues[iid] = there
        self.tell(there, by, "open", {"id": (None, number), "title": ("", issue.title)})
        self.say(there, by, f"moved from {issue.project.full_path}#{issue.iid}")
        self.say(issue, by, f"moved to {to.full_path}#{iid}")
        issue.moved_to = there
        self.set_state(issue, by, "closed")
        return there

    def check_texts(self, title: str | None, text: str | None) -> None:
        """Hold title and description to their limits."""
        wrong = {}
        if title is not None and not title.strip():
            wrong["title"] = ["can't be blank"]
        if title is not None and len(title) > LONGEST_TITLE:
            wrong["title"] = [f"is too long (maximum is {LONGEST_TITLE} characters)"]
        if text is not None and len(text) > LONGEST_DESCRIPTION:
            wrong["description"] = [f"is too long (maximum is {LONGEST_DESCRIPTION} characters)"]
        if wrong:
            raise refused(400, wrong)

    def _clean(self, text: str | None) -> tuple[str | None, tuple[QuickAction, ...]]:
        if text is None:
            return None, ()
        found = extract(text, self._world.traits.rule)
        return found.text, found.actions

    def _carry_out(self, subject: Subject, by: User, actions: tuple[QuickAction, ...]) -> tuple[Json, list[str]]:
        changes: Json = {}
        summary: list[str] = []
        for action in actions:
            done = self.interpreter.carry_out(subject, by, action)
            self.executed.append(done.record)
            changes |= done.changes
            summary.append(done.summary)
        return changes, summary

    def set_labels(self, subject: Subject, by: User, titles: list[str]) -> None:
        """Put exactly these labels on; unknown ones are made. One hook tells of the change as a whole."""
        before, project = list(subject.labels), subject.project
        now = [project.label(title) or self.new_label(project, title) for title in dict.fromkeys(titles)]
        if {label.title for label in now} == {label.title for label in before}:
            return
        subject.labels = now
        self.history(subject, by, before, now)
        shown = (self._payloads.labels(subject, before), self._payloads.labels(subject, now))
        self._touched(subject, by, "update", {"labels": shown})

    def label(self, subject: Subject, by: User, title: str) -> Label:
        """Put one label on."""
        self.set_labels(subject, by, [*(label.title for label in subject.labels), title])
        label = subject.project.label(title)
        assert label is not None
        return label

    def unlabel(self, subject: Subject, by: User, title: str) -> None:
        """Take one label off."""
        self.set_labels(subject, by, [label.title for label in subject.labels if label.title != title])

    def set_state(self, subject: Subject, by: User, state: str) -> None:
        """Open or close."""
        if subject.state in {state, "merged"}:
            return
        before = subject.state
        subject.state = state
        subject.closed, subject.closed_by = (self._world.now(), by) if state == "closed" else (None, None)
        self.say(subject, by, "closed" if state == "closed" else "reopened")
        self._touched(subject, by, "close" if state == "closed" else "reopen", {"state": (before, state)})

    def edit(self, subject: Subject, by: User, title: str | None, text: str | None) -> None:
        """Change title or description; quick actions in the text are carried out for whoever edits."""
        self.check_texts(title, text)
        left, actions = self._clean(text)
        changes: dict[str, object] = {}
        if title is not None and title != subject.title:
            changes["title"], subject.title = (subject.title, title), title
        if left is not None and left != subject.description:
            changes["description"], subject.description = (subject.description, left), left
        if changes:
            subject.edited_by = by
            self._touched(subject, by, "update", changes)
        self._carry_out(subject, by, actions)

    def set_flag(self, subject: Subject, by: User, name: str, value: bool) -> None:
        """Lock the discussion or make an issue confidential."""
        before = getattr(subject, name)
        if value != before:
            setattr(subject, name, value)
            shown = "discussion_locked" if name == "locked" else name
            self._touched(subject, by, "update", {shown: (before, value)})

    def _touched(self, subject: Subject, by: User, action: str, changes: dict[str, object]) -> None:
        before, subject.updated = subject.updated, self._world.now()
        times = (before.strftime("%Y-%m-%d %H:%M:%S UTC"), subject.updated.strftime("%Y-%m-%d %H:%M:%S UTC"))
        self.tell(subject, by, action, {"updated_at": times} | changes)

    def note(self, subject: Subject, by: User, body: str, *, internal: bool = False) -> Note | tuple[Json, list[str]]:
        """Comment; what is left after the quick actions is saved, and where nothing is left nothing is saved."""
        left, actions = self._clean(body)
        assert left is not None
        if not left and not actions:
            raise refused(400, '400 Bad request - Note {:note=>["can\'t be blank"]}')
        if len(left) > LONGEST_NOTE:
            raise refused(
                400, f'400 Bad request - Note {{:note=>["is too long (maximum is {LONGEST_NOTE} characters)"]}}'
            )
        if not left:
            return self._carry_out(subject, by, actions)
        if sum(not note.system for note in subject.notes) >= self.most_notes:
            raise refused(400, '400 Bad request - Note {:base=>["Maximum number of comments exceeded"]}')
        now, number = self._world.now(), self._world.next_id()
        note = Note(number, subject, by, left, now, now, f"{number:040x}", internal=internal)
        subject.notes.append(note)
        subject.updated = now
        self._tell_note(note, "create")
        self._carry_out(subject, by, actions)
        return note

    def edit_note(self, note: Note, by: User, body: str) -> None:
        """Change a note; edited down to commands it is deleted, and no hook tells of it."""
        left, actions = self._clean(body)
        assert left is not None
        if len(left) > LONGEST_NOTE:
            raise refused(400, f'Failed to save note {{:note=>["is too long (maximum is {LONGEST_NOTE} characters)"]}}')
        if not left:
            self._carry_out(note.subject, by, actions)
            if actions:
                note.subject.notes.remove(note)
            raise refused(400, '400 Bad request - Failed to save note {:note=>["can\'t be blank"]}')
        if left != note.body:
            note.body, note.edited_by, note.updated = left, by, self._world.now()
            self._tell_note(note, "update")
        self._carry_out(note.subject, by, actions)

    def delete_note(self, note: Note) -> None:
        """Delete a note; no hook tells of it."""
        note.subject.notes.remove(note)

    def _tell_note(self, note: Note, action: str) -> None:
        trigger = "confidential_note_events" if note.is_confidential else "note_events"
        self._courier.emit(note.subject.project, trigger, self._payloads.note_event(note, action))

    def award(self, on: Subject | Note, by: User, name: str) -> Award:
        """Give an emoji; a second one of the same name is refused."""
        if not EMOJI.fullmatch(name):
            raise missing("Award Emoji Name is not a valid emoji name")
        if any(award.user is by and award.name == name for award in on.awards):
            raise missing("Award Emoji Name has already been taken")
        award = Award(self._world.next_id(), by, name, self._world.now())
        on.awards.append(award)
        self._tell_award(award, on, "award")
        return award

    def unaward(self, on: Subject | Note, award: Award) -> None:
        """Take an emoji back."""
        on.awards.remove(award)
        self._tell_award(award, on, "revoke")

    def _tell_award(self, award: Award, on: Subject | Note, action: str) -> None:
        project = on.subject.project if isinstance(on, Note) else on.project
        self._courier.emit(project, "emoji_events", self._payloads.emoji_event(award, on, action))
