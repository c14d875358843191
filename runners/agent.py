"""The model of one attempt: which provider it goes to, and the door through which it is asked."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import structs

from bot.model.task import Usage
from bot.settings import Price, Settings
from runners.gateway import server
from runners.gateway.server import Gateway
from runners.providers import registry
from runners.providers.protocol import Door, Provider, Recorder
from bot.model.routing import RECORDED, Route, resolve
from runners.site import Site


@dataclass(slots=True)
class Agent:
    """A provider with an open door; `route.model` is what it is asked for."""

    route: Route
    provider: Provider
    door: Door


@dataclass(slots=True)
class WalledDoor:
    """The door of recorded answers: nobody listens behind it."""

    attempt: int
    token: str = ""
    socket: Path = Path("/nonexistent/gateway.sock")
    usage: Usage = field(default_factory=Usage)
    calls: int = 0

    def number(self) -> int:
        """Take the next call number."""
        self.calls += 1
        return self.calls


def preload(settings: Settings) -> None:
    """Load what the settings' models need, so that processes that are forked later start with it."""
    server.preload()
    registry.preload(set(structs.astuple(settings.profile)), settings)


def is_recorded(route: Route) -> bool:
    """Tell whether answers are played and no model is asked."""
    return route.provider == RECORDED


@asynccontextmanager
async def hired(site: Site, model: str, attempt: int, recorder: Recorder) -> AsyncIterator[Agent]:
    """Open the door to a model and close it again; UsageError where settings and model string do not go together."""
    settings = site.settings
    route = resolve(model, settings.endpoints, os.environ.get("OPENCODE_DEFAULT_MODEL", ""))
    provider = registry.create(route, settings)
    if is_recorded(route):
        yield Agent(route, provider, WalledDoor(attempt))
        return
    upstream = registry.upstream(route, settings)
    with _socket_folder(site) as folder:
        gateway = Gateway(
            folder,
            {upstream.dialect: upstream},
            route.model,
            recorder,
            attempt,
            prices=_prices(route, settings),
            uid=site.user,
        )
        async with gateway as door:
            yield Agent(route, provider, door)


@contextmanager
def _socket_folder(site: Site) -> Iterator[Path]:
    """Make a folder with a short path, which a unix socket needs; another user than ours has to get through it."""
    base = os.environ.get("XDG_RUNTIME_DIR") if site.user is None else None
    with tempfile.TemporaryDirectory(prefix="gw-", dir=base) as name:
        folder = Path(name)
        folder.chmod(0o700 if site.user is None else 0o711)
        yield folder


def _prices(route: Route, settings: Settings) -> Mapping[str, Price]:
    table = settings.endpoints.get(route.endpoint) if route.endpoint else settings.providers.get(route.provider)
    return table.prices if table else {}
