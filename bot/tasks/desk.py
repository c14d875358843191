"""Everything the loop of control works with, wired once in bot/control.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis

from bot.audit.blobs import Blobs
from bot.audit.keys import InstanceKey
from bot.audit.record import Ref, Who
from bot.audit.redact import redact, redacted
from bot.forges.protocol import Forge, Home
from bot.known_secrets import known_secrets
from bot.model.errors import GatewrightError
from bot.model.event import AccountKind, Actor, Repo
from bot.reports.words import Words
from bot.settings import Settings
from bot.tasks.book import Shelf
from bot.tasks.budget import caps
from bot.tasks.queue import Jobs
from bot.tasks.teams import budget_for


class Snapshot(msgspec.Struct, frozen=True):
    """The issue as it was when the label was set; what was edited later is not used."""

    title: str
    body: str
    author: str
    is_outsider: bool = False


@dataclass
class Desk:
    """The one bundle that converge, hearing and opening share; holds no task state of its own."""

    settings: Settings
    redis: Redis
    shelf: Shelf
    jobs: Jobs
    blobs: Blobs
    key: InstanceKey
    data: Path  # state directory: keys and blobs
    forges: Mapping[tuple[str, str], Forge]  # (forge, host) -> client
    clock: Callable[[], int]
    log: Any

    def __post_init__(self) -> None:
        self._me: dict[tuple[str, str], Actor] = {}
        self._marker_key = self.key.derive("marker")
        self._secrets = known_secrets(self.settings)

    @property
    def service(self) -> Who:
        """Name control itself as an actor of records."""
        return Who(id=f"inst:{self.settings.server.instance}", role="service", type="system")

    def person(self, repo: Repo, actor: Actor, role: str) -> Who:
        """Name a forge account as an actor of records."""
        kind = "human" if actor.kind is AccountKind.HUMAN else "forge"
        return msgspec.convert({"id": f"{repo.forge.value}:{actor.id}", "role": role, "type": kind}, Who)

    def forge(self, repo: Repo, installation: int = 0) -> Forge:
        """Find the client of a repository's forge."""
        client = self.forges.get((repo.forge.value, repo.host))
        if client is None:
            raise GatewrightError(
                "GW-FORGE-UNKNOWN",
                f"no forge {repo.forge.value} at {repo.host} is configured",
                fix="add its table to gatewright.toml",
            )
        client.learn(repo, installation)
        return client

    def words(self, repo: Repo) -> Words:
        """Find the bot's voice on a repository's forge."""
        limits = caps(budget_for(self.settings, repo))
        return Words.of(self.settings, self.forge(repo).manners, self._marker_key, limits)

    async def me(self, repo: Repo, installation: int = 0) -> Actor:
        """Read the bot's own account, once per forge."""
        key = (repo.forge.value, repo.host)
        if key not in self._me:
            self._me[key] = await self.forge(repo, installation).me()
        return self._me[key]

    async def home(self, repo: Repo, installation: int = 0) -> Home:
        """Read where a repository lives now."""
        return await self.forge(repo, installation).home(repo)

    def clean(self, text: str) -> str:
        """Cut secrets out of a text before it is hashed or sent."""
        return redacted(text, self._secrets)

    def store(self, name: str, content: bytes) -> Ref:
        """Store a blob, secrets cut out, and refer to it."""
        content, _ = redact(content, self._secrets)
        return Ref(commit=self.blobs.put(content), name=name, size=len(content))

    def snapshot(self, commitment: str) -> Snapshot:
        """Read back the issue as it was when the label was set."""
        return msgspec.json.decode(self.blobs.get(commitment), type=Snapshot)

    async def wake(self, task: str) -> None:
        """Ask for converge(task)."""
        await self.redis.lpush("gw:wake", task)
