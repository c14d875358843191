"""What an auditor should look at first, although nothing was tampered with."""

from __future__ import annotations

from collections.abc import Sequence

from bot.audit import kinds
from bot.audit.checks.gates import begin
from bot.audit.checks.standing import Standing
from bot.audit.report import when
from bot.audit.sheet import Entry, Sheet
from bot.model.state import Gate, State


def check(entries: Sequence[Entry], sheet: Sheet) -> None:
    """Point at emergencies, alarms, merges that nobody let pass, and commits that are not the bot's."""
    standing = begin(entries)
    for entry in entries:
        text = _text(entry, standing)
        if text:
            sheet.attend(text, entry)
        standing.take(entry)


def _text(entry: Entry, standing: Standing) -> str:
    match entry.data:
        case kinds.Emergency(what=what, review_due_ts=due):
            return f"{entry.record.actor.id} broke the glass at the {what} gate; to be reviewed by {when(due)}"
        case kinds.RulingMade(case=case, ruling=ruling) if ruling.passed and ruling.is_emergency:
            return f"the {case.gate.value} gate was passed in an emergency ({case.moment})"
        case kinds.Alarm(code=code, commit=commit):
            return f"alarm {code}" + (f" about {commit[:12]}" if commit else "")
        case kinds.CommitForeign(commit=commit, pusher=pusher, is_same_tree=is_same):
            whose = f"{standing.opened.forge}:{pusher}" if pusher else "somebody the forge did not name"
            same = "; it holds the same files as before" if is_same else ""
            return f"{commit[:12]} on the branch is not the bot's: pushed by {whose}{same}"
        case kinds.TaskClosed(state=State.DONE.value) if standing.let_pass(Gate.CHANGE) is None:
            return "merged, and no ruling in force had let the change pass"
    return ""
