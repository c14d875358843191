"""A gateway between a scripted model and a client, as in an attempt."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.settings import Price
from runners.gateway.retry import Patience
from runners.gateway.server import DIALECTS, Gateway
from runners.providers.protocol import Upstream
from tests.runners.recorder import ListRecorder
from tests.simulators.models import ModelServer, Script, Step
from tests.simulators.models.bedrock import ACCESS, REGION, SESSION
from tests.simulators.models.server import REAL_KEY

PRICES = {"claude-test-1": Price(input=3.0, output=15.0)}
QUICK = Patience(first_seconds=0.01, max_seconds=0.05)
ONCE = Patience(tries=1)


class Bench:
    """A client's view of the door, and what was recorded behind it."""

    def __init__(
        self, model: ModelServer, door: Gateway, recorder: ListRecorder, client: httpx.AsyncClient, upstream: Upstream
    ) -> None:
        self.model = model
        self.door = door
        self.recorder = recorder
        self.client = client
        self.upstream = upstream  # of the Messages dialect

    async def ask(self, path: str = "/v1/messages", /, **fields: Any) -> httpx.Response:
        """Send one model call with the run's token."""
        body = {"model": "claude-test-1", "messages": [{"role": "user", "content": "hello"}], **fields}
        return await self.client.post(path, json=body, headers={"x-api-key": self.door.token})

    async def post(self, path: str, /, **fields: Any) -> httpx.Response:
        """Send these fields and no others, with the run's token as bearer."""
        return await self.client.post(path, json=fields, headers={"authorization": f"Bearer {self.door.token}"})

    async def asked(self) -> None:
        """Wait until a request has reached the model."""
        async with asyncio.timeout(10):
            while not self.model.requests:
                await asyncio.sleep(0.01)


async def settled(recorder: ListRecorder, results: int) -> None:
    """Wait until so many results are recorded."""
    for _ in range(500):
        if len(recorder.of("model.result")) >= results:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{len(recorder.of('model.result'))} results instead of {results}")


Opener = Callable[..., Any]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short directory: the path of a unix socket holds 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="gw-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def recorder() -> ListRecorder:
    return ListRecorder()


@pytest.fixture
def bench(directory: Path, recorder: ListRecorder) -> Opener:
    """Open a bench for a script; `upstream` replaces fields of where the calls go."""

    @asynccontextmanager
    async def open_bench(*steps: Step, model: str = "claude-test-1", **options: Any) -> AsyncIterator[Bench]:
        upstream = options.pop("upstream", {})
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(ModelServer(Script(steps)))
            place = {"base_url": server.url, "api_key": REAL_KEY} | upstream
            own = {
                "openai": {"base_url": f"{server.url}/v1"},
                "bedrock": {"access_key": ACCESS, "session_token": SESSION, "region": REGION} | upstream,
            }
            upstreams = {name: Upstream(**{"dialect": name} | place | own.get(name, {})) for name in DIALECTS}
            given: dict[str, Any] = {"prices": PRICES, "patience": QUICK} | options
            door = await stack.enter_async_context(Gateway(directory / "door", upstreams, model, recorder, 3, **given))
            transport = httpx.AsyncHTTPTransport(uds=str(door.socket))
            client = await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url="http://door", timeout=20)
            )
            yield Bench(server, door, recorder, client, upstreams["anthropic"])

    return open_bench
