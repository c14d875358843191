"""Teams: which repositories belong to whom, and what the server lets them use."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Annotated

from msgspec import Meta

from bot.model.event import Repo
from bot.model.section import Section

Queue = Annotated[str, Meta(pattern=r"^[a-z0-9.-]+\Z", max_length=64)]
Cap = Annotated[int, Meta(ge=1)]
Money = Annotated[float, Meta(gt=0)]


class Team(Section, frozen=True):
    """What the projects of one team may use; a repository's own file chooses within it."""

    projects: Annotated[
        tuple[str, ...],
        Meta(
            description='Globs of "host/path" or "path" (`*` spans "/"), or "forge:host:id", which no renaming '
            "changes; a repository belongs to the team that has its id, else to the first one that matches"
        ),
    ] = ()
    queues: Annotated[
        tuple[Queue, ...],
        Meta(min_length=1, description="RQ queues, and with them pools of workers and their keys; first: the default"),
    ] = ("default",)
    models: Annotated[
        tuple[str, ...], Meta(description="Globs of model strings that may be used; empty: all that are configured")
    ] = ()
    phase_minutes: Annotated[Cap | None, Meta(description="Lowers `budget.phase_minutes`")] = None
    qa_rounds: Annotated[Cap | None, Meta(description="Lowers `budget.qa_rounds`")] = None
    turns: Annotated[Cap | None, Meta(description="Lowers `budget.turns`")] = None
    attempt_tokens: Annotated[Cap | None, Meta(description="Lowers `budget.attempt_tokens`")] = None
    attempt_calls: Annotated[Cap | None, Meta(description="Lowers `budget.attempt_calls`")] = None
    attempt_usd: Annotated[Money | None, Meta(description="Lowers `budget.attempt_usd`")] = None
    task_minutes: Annotated[Cap | None, Meta(description="Lowers `budget.task_minutes`")] = None
    task_tokens: Annotated[Cap | None, Meta(description="Lowers `budget.task_tokens`")] = None
    task_calls: Annotated[Cap | None, Meta(description="Lowers `budget.task_calls`")] = None
    task_usd: Annotated[Money | None, Meta(description="Lowers `budget.task_usd`")] = None
    day_minutes: Annotated[
        Cap | None, Meta(description="Lowers `budget.day_minutes`; the day is the whole instance's, whoever used it")
    ] = None
    day_tokens: Annotated[Cap | None, Meta(description="Lowers `budget.day_tokens`, likewise")] = None
    day_calls: Annotated[Cap | None, Meta(description="Lowers `budget.day_calls`, likewise")] = None
    day_usd: Annotated[Money | None, Meta(description="Lowers `budget.day_usd`, likewise")] = None

    def has(self, repo: Repo, hosts: Collection[str]) -> bool:
        """Tell whether a repository matches one of `projects`; `hosts` are the names that begin a "host/path"."""
        return any(_matches(entry.lower(), repo, hosts) for entry in self.projects)

    def allows(self, model: str) -> bool:
        """Tell whether a model string may be used."""
        return not self.models or any(fnmatchcase(model, glob) for glob in self.models)


def _matches(entry: str, repo: Repo, hosts: Collection[str]) -> bool:
    if fnmatchcase(f"{repo.host}/{repo.path}".lower(), entry):
        return True
    # A group may bear the name of a host: what begins with one is never read as a path.
    first = entry.partition("/")[0]
    return first not in hosts and "." not in first and fnmatchcase(repo.path.lower(), entry)
