"""What holds work back besides the task itself: brakes, freeze windows, the cap on open changes."""

from __future__ import annotations

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.model.event import Repo
from bot.model.state import State
from bot.model.task import Task
from bot.policy.windows import frozen_until
from bot.reports.views import Waits
from bot.tasks.book import Book
from bot.tasks.brakes import Brakes
from bot.tasks.deciding import is_due
from bot.tasks.desk import Desk
from bot.tasks.index import Index
from bot.tasks.need import Rules
from bot.tasks.teams import budget_for


async def note_brakes(desk: Desk, book: Book) -> None:
    """Bring the journal to what brakes are pulled now; a label's is noted when the label is set."""
    task = book.task
    if task.state.is_final:
        return
    pulled = {brake.kind: brake for brake in await Brakes(desk.redis).of(task.origin.repo, task.origin.task)}
    noted = {scope for scope in task.brakes if scope != "label"}
    for scope in sorted(noted ^ set(pulled)):
        by = pulled[scope].by if scope in pulled else ""
        by = "operator" if by.startswith("operator") else by[:256]  # names of this machine's users stay on it
        await book.write(Draft("pause", kinds.Pause(scope in pulled, by, scope), desk.service))


async def rules(desk: Desk, index: Index, task: Task) -> Rules:
    """Gather what `needs` has to know besides the task."""
    settings = desk.settings
    return Rules(
        qa_rounds=budget_for(settings, task.origin.repo).qa_rounds,
        instance=settings.server.instance,
        is_frozen=frozen_until(task.policy.freeze, desk.clock()) is not None,
        is_full=await is_full(index, task.origin.repo, task.policy.max_open_changes),
        is_due=await is_due(desk, task),
    )


async def waits(desk: Desk, index: Index, task: Task) -> Waits:
    """Say what a task waits for besides people."""
    frozen = frozen_until(task.policy.freeze, desk.clock()) or 0
    most = task.policy.max_open_changes
    is_waiting = task.state is State.CODING and not task.running and task.pull is None
    now_open = await index.open_changes(task.origin.repo) if is_waiting else 0
    return Waits(frozen, now_open if now_open >= most else 0, most if now_open >= most else 0)


async def is_full(index: Index, repo: Repo, most: int) -> bool:
    """Tell whether a repository has as many open changes of ours as policy allows."""
    return await index.open_changes(repo) >= most
