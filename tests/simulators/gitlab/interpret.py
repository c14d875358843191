"""What quick actions do, with the rights of whoever wrote the text: the bot's own included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.simulators.gitlab.access import Refusal, may_edit
from tests.simulators.gitlab.base import Executed
from tests.simulators.gitlab.builds import Actions
from tests.simulators.gitlab.quick_actions import QuickAction
from tests.simulators.gitlab.shapes_accounts import Json
from tests.simulators.gitlab.things import MergeRequest, Subject
from tests.simulators.gitlab.world import LEVELS, User

ALIASES: Final = {"labels": "label", "remove_label": "unlabel", "award": "react"}
ON_CHANGES_ONLY: Final = frozenset(
    """
    approve unapprove merge rebase draft ready wip target_branch submit_review request_review reviewer
    assign_reviewer unassign_reviewer reassign_reviewer remove_reviewer
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Outcome:
    """What one quick action came to."""

    record: Executed
    summary: str
    changes: Json


class Interpreter:
    """Carries out those that matter to us; of the others it only tells whether the author may use them."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions

    def carry_out(self, subject: Subject, by: User, action: QuickAction) -> Outcome:
        """Do it if the author may; a command that may not be used is dropped all the same."""
        name = ALIASES.get(action.name, action.name)
        changes: Json = {}
        applied = self._allowed(subject, by, name)
        if applied:
            try:
                changes = self._do(subject, by, name, action.argument)
            except Refusal:
                applied = False
        said = "Applied" if applied else "Could not apply"
        record = Executed(by, subject, action.name, action.argument, applied)
        return Outcome(record, f"{said} {action.name} command.", changes)

    def _allowed(self, subject: Subject, by: User, name: str) -> bool:
        if name in ON_CHANGES_ONLY and not isinstance(subject, MergeRequest):
            return False
        if name in {"shrug", "tableflip", "subscribe", "unsubscribe", "todo", "done", "react"}:
            return True
        return may_edit(by, subject)

    def _do(self, subject: Subject, by: User, name: str, argument: str) -> Json:
        act: Callable[[], object] | None = None
        if isinstance(subject, MergeRequest):
            act = {
                "approve": lambda: self._actions.approve(subject, by),
                "unapprove": lambda: self._actions.unapprove(subject, by),
                "merge": lambda: self._actions.merge(subject, by),
                "draft": lambda: self._actions.edit(subject, by, f"Draft: {subject.title}", None),
                "ready": lambda: self._actions.edit(subject, by, subject.title.removeprefix("Draft: "), None),
            }.get(name)
        act = act or {
            "close": lambda: self._actions.set_state(subject, by, "closed"),
            "reopen": lambda: self._actions.set_state(subject, by, "opened"),
            "label": lambda: self._label(subject, by, argument),
            "relabel": lambda: self._actions.set_labels(subject, by, _titles(argument)),
            "unlabel": lambda: self._unlabel(subject, by, argument),
            "title": lambda: self._actions.edit(subject, by, argument, None),
            "lock": lambda: self._actions.set_flag(subject, by, "locked", True),
            "unlock": lambda: self._actions.set_flag(subject, by, "locked", False),
            "confidential": lambda: self._actions.set_flag(subject, by, "confidential", True),
            "react": lambda: self._actions.award(subject, by, argument.strip(" :")),
        }.get(name)
        if act is not None:
            act()
        return {"state_event": name} if name in {"close", "reopen"} else {name: argument or True}

    def _label(self, subject: Subject, by: User, argument: str) -> None:
        known = [title for title in _titles(argument) if subject.project.label(title)]
        if not known or subject.project.level(by) < LEVELS["planner"]:
            raise Refusal(403, "")
        self._actions.set_labels(subject, by, [*(label.title for label in subject.labels), *known])

    def _unlabel(self, subject: Subject, by: User, argument: str) -> None:
        gone = set(_titles(argument))
        left = [label.title for label in subject.labels if gone and label.title not in gone]
        self._actions.set_labels(subject, by, left)


def _titles(argument: str) -> list[str]:
    """Read `~bug ~"two words"`."""
    return [part.strip().strip('"') for part in argument.split("~") if part.strip()]
