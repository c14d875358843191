"""Composition root of control: settings -> clients, keys, stores, loop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from bot import logs
from bot.audit.blobs import Blobs
from bot.control import Control
from bot.endpoints.registry import listed
from bot.forges.local import HOST, LocalForge
from bot.forges.protocol import Forge
from bot.inbox import Inbox
from bot.keyring import control_key
from bot.known_secrets import known_secrets
from bot.model.errors import UsageError
from bot.model.event import ForgeKind
from bot.network import go_out
from bot.settings import Settings
from bot.settings_file import data_dir
from bot.tasks.book import Shelf
from bot.tasks.clock import now_ms
from bot.tasks.desk import Desk
from bot.tasks.index import Index
from bot.tasks.journal import Journals
from bot.tasks.queue import Jobs


def make_control(settings: Settings, url: str) -> Control:
    """Wire one replica of control to the Redis at `url`."""
    data = data_dir(settings)
    redis = Redis.from_url(url)
    desk = Desk(
        settings=listed(settings),
        redis=redis,
        shelf=Shelf(Journals(redis)),
        jobs=Jobs(BlockingRedis.from_url(url), settings.worker.queue),
        blobs=Blobs(data / "blobs"),
        key=control_key(settings),
        data=data,
        forges=make_forges(settings, data),
        clock=now_ms,
        log=structlog.get_logger("gatewright.control"),
    )
    return Control(desk, Inbox(redis, settings.redis.inbox_max), Index(redis))


def make_forges(settings: Settings, data: Path) -> Mapping[tuple[str, str], Forge]:
    """Make a client for each forge that the settings name."""
    forges: dict[tuple[str, str], Forge] = {(ForgeKind.LOCAL.value, HOST): LocalForge(data / "local")}
    if settings.github.app_id or settings.github.token:
        from bot.forges.github import GitHub  # noqa: PLC0415 - the local forge needs no HTTP client

        host = urlsplit(settings.github.web_url).hostname or ""
        forges[ForgeKind.GITHUB.value, host] = GitHub(settings.github)
    if settings.gitlab.token:
        from bot.forges.gitlab import GitLab  # noqa: PLC0415 - nor its own

        host = urlsplit(settings.gitlab.url).hostname or ""
        forges[ForgeKind.GITLAB.value, host] = GitLab(settings.gitlab, bot_name=settings.trigger.bot_name)
    return forges


async def run_control(settings: Settings, url: str) -> None:
    """Run control until a signal asks it to stop."""
    go_out(settings)
    control = make_control(settings, url)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, control.stop)
    await control.run()
    await control.desk.redis.aclose()


def control(settings: Settings) -> None:
    """Run control alone, against the Redis that the settings name."""
    if settings.redis.url == "embedded":
        raise UsageError(
            "GW-REDIS-EMBEDDED",
            "control alone cannot use the embedded Redis",
            fix="use `gatewright up`, or set redis.url to redis://, rediss:// or unix://",
        )
    logs.structured("control", secrets=known_secrets(settings))
    asyncio.run(run_control(settings, settings.redis.url))
