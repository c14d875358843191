"""What people see of a gate on the forge: the comment that asks, the status of a commit; pure."""

from __future__ import annotations

from typing import Final

from bot.model.state import Gate, State
from bot.model.task import Task

PURPOSE: Final = "status"  # of the writes that show it


def is_given_up(task: Task) -> bool:
    """Tell whether a task ended between an approval of its change and the merge: nobody is to merge by it any more."""
    return task.state.is_final and task.state is not State.DONE and task.let_pass(Gate.CHANGE) is not None


def status_commit(task: Task) -> str:
    """Name the commit on which the change gate was shown last; empty where it never was."""
    shown = {int(key.removeprefix(f"{PURPOSE}:")): key for key in task.posted if key.startswith(f"{PURPOSE}:")}
    return task.posted[shown[max(shown)]] if shown else ""


def comment_that_asks(task: Task, gate: Gate, rev: int) -> tuple[str, bool]:
    """Find the comment that shows what is asked now, empty until it does, and tell whether it was rewritten for it."""
    revs = [request.rev for request in task.requested if request.gate is gate]
    first = task.posted.get(f"gate.{gate.value}:{rev}", "")
    if revs.count(rev) == 1:
        return first, False
    return task.posted.get(f"gate.{gate.value}.again:{len(revs)}", ""), True
