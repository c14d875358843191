"""Every Redis of this machine that may know tasks: the server's, and that of `run`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.audit.blobs import Blobs
from bot.embedded import EmbeddedRedis
from bot.model.errors import Unavailable
from bot.model.task import Task
from bot.settings import Settings
from bot.settings_file import data_dir, load
from bot.supervisor import ADDRESS
from bot.tasks.book import Shelf
from bot.tasks.brakes import Brakes
from bot.tasks.deposit import Ended, ended
from bot.tasks.index import Index
from bot.tasks.journal import Journals
from bot.terminal.places import LOCAL

WAIT_S: Final = 5.0
WAKE: Final = "gw:wake"
T = TypeVar("T")


class Store:
    """What is known in one Redis; `is_local` is that of `run`, for the tasks of this machine's people."""

    def __init__(self, redis: Redis, *, is_local: bool, data: Path | None = None) -> None:
        self.is_local = is_local
        self.data = data  # where its blobs and keys lie
        self.brakes = Brakes(redis)
        self.redis = redis
        self.shelf = Shelf(Journals(redis))
        self._index = Index(redis)

    async def task(self, task_id: str) -> Task | None:
        """Read one task, None where it is not known here."""
        return await self.shelf.read(task_id) if await self.shelf.journals.head(task_id) else None

    async def ended(self, task_id: str) -> Ended | None:
        """Read what is still known of a task that ended; None where nothing is, or all of it."""
        return await ended(self.redis, task_id)

    async def lines(self, task_id: str) -> list[bytes]:
        """Read the records of a task as they are stored, none where it is not known here."""
        return await self.shelf.journals.lines(task_id)

    async def tasks(self) -> list[Task]:
        """Read all tasks."""
        found = [await self.task(task_id) for task_id in await self._index.all_tasks()]
        return [task for task in found if task is not None]

    async def wake(self) -> int:
        """Have control look at every open task; return how many there are."""
        waiting = await self._index.open_tasks()
        if waiting:
            await self.redis.lpush(WAKE, *waiting)
        return len(waiting)


@dataclass(frozen=True)
class Held(Generic[T]):
    """What one store answered, and the blobs that its tasks refer to."""

    answer: T
    blobs: Blobs


def ask(config: Path | None, question: Callable[[Store], Awaitable[T]]) -> list[Held[T]]:
    """Ask every store, the server's first; a Redis of ours that is not running is started for the question."""
    settings = load(config)
    with ExitStack() as opened:
        return [
            Held(asyncio.run(_asked(url, question, is_local=is_local, data=data)), Blobs(data / "blobs"))
            for url, data, is_local in _places(settings, opened)
        ]


def _places(settings: Settings, opened: ExitStack) -> Iterator[tuple[str, Path, bool]]:
    data = data_dir(settings)
    if settings.redis.url != "embedded":
        yield settings.redis.url, data, False
    elif url := _address(data) or _started(data, opened):
        yield url, data, False
    if url := _address(data / LOCAL) or _started(data / LOCAL, opened):
        yield url, data / LOCAL, True


def _address(place: Path) -> str:
    """Read where a Redis of ours listens; one that was killed leaves its address behind."""
    file = place / ADDRESS
    url = file.read_text("ascii").strip() if file.exists() else ""
    with socket.socket(socket.AF_UNIX) as knock:
        return url if url and not knock.connect_ex(url.removeprefix("unix://")) else ""


def _started(place: Path, opened: ExitStack) -> str:
    if not (place / "redis").is_dir():
        return ""
    redis = EmbeddedRedis(place / "redis")
    opened.callback(redis.stop)
    return redis.start()


async def _asked(url: str, question: Callable[[Store], Awaitable[T]], *, is_local: bool, data: Path) -> T:
    redis = Redis.from_url(url, socket_timeout=WAIT_S, socket_connect_timeout=WAIT_S)
    try:
        return await question(Store(redis, is_local=is_local, data=data))
    except (RedisError, OSError) as error:
        raise Unavailable("GW-REDIS-AWAY", "Redis does not answer", why=str(error), fix="see [redis] url") from None
    finally:
        await redis.aclose()
