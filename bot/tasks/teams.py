"""Which team a repository belongs to, and what follows: queue, models, budget; pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from bot.model.errors import Refused
from bot.model.event import Repo
from bot.model.team import Team
from bot.settings import Budget, Settings

POOL: Final = "runner."  # begins the queue that a repository's `runner = "..."` asks for
CAPS: Final = Budget.__struct_fields__  # each is a field of Team, too


def team_of(settings: Settings, repo: Repo) -> Team | None:
    """Find the team that lists a repository: by its number first, which nobody can take over by renaming."""
    teams = tuple(settings.teams.values())
    hosts = {urlsplit(url).hostname or "" for url in (settings.github.web_url, settings.gitlab.url)} | {"localhost"}
    named = (team for team in teams if repo.key in team.projects)
    return next(named, None) or next((team for team in teams if team.has(repo, hosts)), None)


def queue_for(settings: Settings, repo: Repo, wanted: str = "") -> str:
    """Choose the queue of a repository's attempts; `wanted` is its file's `runner`.

    Raises Refused where its team does not list `runner.<wanted>`: what asks for a place never runs in another one.
    """
    team = team_of(settings, repo)
    if not wanted:
        return team.queues[0] if team else settings.worker.queue
    queue = f"{POOL}{wanted}"
    if team and queue in team.queues:
        return queue
    listed = f"its team lists {', '.join(team.queues)}" if team else "no team of the server lists this repository"
    raise Refused(
        "GW-TEAM-QUEUE", f"{repo.path} asks for the runner '{wanted[:64]}', which is not its to choose", why=listed,
        fix=f"add '{queue[:80]}' to queues of its team in [teams], or take `runner` out of .gatewright.toml",
    )  # fmt: skip


def check_team(settings: Settings, repo: Repo, model: str) -> None:
    """Raise Refused where a repository's team does not let it use a model."""
    team = team_of(settings, repo)
    if team is None or team.allows(model):
        return
    raise Refused(
        "GW-TEAM-MODEL", f"the model {model[:100]} is not for {repo.path}",
        why=f"its team has {', '.join(team.models)}",
        fix="choose one of these with `model`, or widen models of its team in [teams]",
    )  # fmt: skip


def budget_for(settings: Settings, repo: Repo) -> Budget:
    """Take the server's budget, with each limit of the repository's team where that is lower; 0 is no limit."""
    team, budget = team_of(settings, repo), settings.budget
    if team is None:
        return budget
    caps = {name: cap for name in CAPS if (cap := getattr(team, name)) is not None}
    return replace(budget, **{name: min(cap, getattr(budget, name) or cap) for name, cap in caps.items()})
