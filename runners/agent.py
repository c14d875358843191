"""The model of one attempt and what may stand in for it: which providers, and the one door they are asked through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

import structlog
from msgspec import structs

from bot.model.errors import GatewrightError
from bot.model.order import Order
from bot.model.policy import Policy
from bot.model.routing import RECORDED, Route
from bot.model.state import Step
from bot.model.task import Usage
from bot.residency import check_residency, configured, residency_of, route_of
from bot.settings import Price, Settings
from runners.gateway import server
from runners.gateway.budget import Purse
from runners.gateway.server import Gateway
from runners.providers import guard, registry
from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause, Door, Jail, Limits, Provider, Recorder, Request, Result, Upstream
from runners.providers.upstreams import asked_for, table_of, upstream
from runners.site import Site, socket_folder

AWAY: Final = (Cause.RATE, Cause.QUOTA, Cause.TIMEOUT, Cause.CRASH)  # what another provider may not suffer from


@dataclass(slots=True)
class WalledDoor:
    """The door of recorded answers: nobody listens behind it."""

    attempt: int
    token: str = ""
    socket: Path = Path("/nonexistent/gateway.sock")
    usage: Usage = field(default_factory=Usage)
    calls: int = 0
    busy: bool = False
    failure: None = None
    last_error: None = None

    def number(self) -> int:
        """Take the next call number."""
        self.calls += 1
        return self.calls

    async def failed(self) -> NoReturn:
        """Wait for ever: recordings do not fail."""
        await asyncio.Future()
        raise AssertionError

    def begin(self, limits: Limits) -> AbstractContextManager[None]:  # noqa: ARG002 - the loop keeps them itself
        """Keep nothing."""
        return nullcontext()


@dataclass(slots=True)
class Agent:
    """A provider behind the attempt's door; `model` is the model string of the one that works now."""

    settings: Settings
    policy: Policy
    recorder: Recorder
    door: Door
    model: str
    route: Route
    provider: Provider
    stand_ins: list[str]

    async def ask(self, request: Request, jail: Jail) -> Result:
        """Run a request; where the model's API is limited or away, the next stand-in goes on with what is there."""
        while True:
            try:
                asked = structs.replace(request, model=self.route.model)
                return await guard.run(self.provider, asked, jail, self.door, self.recorder)
            except ProviderError as error:
                if not self._gives_way(error):
                    raise

    def _gives_way(self, error: ProviderError) -> bool:
        """Take the next stand-in that can work here; only for what the door itself saw go wrong."""
        if error is not self.door.failure or error.cause not in AWAY or not isinstance(self.door, Gateway):
            return False
        while self.stand_ins:
            model = self.stand_ins.pop(0)
            try:
                route, provider = employed(model, self.settings, self.policy)
                if residency_of(route, self.settings) != residency_of(self.route, self.settings):
                    continue  # never across, whatever the order says
                self.door.reroute(*_way(route, self.settings))
            except GatewrightError as problem:
                structlog.get_logger().warning("model.unfit", model=model, why=str(problem))
                continue
            self.recorder.record("gate", {"rule": "fallback", "result": model})
            structlog.get_logger().warning("model.fallback", model=model, instead_of=self.model, why=error.what)
            self.model, self.route, self.provider = model, route, provider
            return True
        return False


def preload(settings: Settings) -> None:
    """Load what the settings' models need, so that processes that are forked later start with it."""
    server.preload()
    registry.preload(configured(settings), settings)


def is_recorded(route: Route) -> bool:
    """Tell whether answers are played and no model is asked."""
    return route.provider == RECORDED


def employed(model: str, settings: Settings, policy: Policy) -> tuple[Route, Provider]:
    """Find the provider of a model string; UsageError where settings do not have it, Refused where policy does not.

    Control has looked at residency where it has the tables; here they are for certain.
    """
    route = route_of(model, settings)
    check_residency(policy, settings, model, route)
    return route, registry.create(route, settings)


@asynccontextmanager
async def hired(site: Site, order: Order, recorder: Recorder, purse: Purse | None = None) -> AsyncIterator[Agent]:
    """Open the door to an order's model and close it again."""
    settings = site.settings
    route, provider = employed(order.model, settings, order.policy)
    if is_recorded(route):
        yield Agent(settings, order.policy, recorder, WalledDoor(order.attempt), order.model, route, provider, [])
        return
    upstreams, asked, prices = _way(route, settings)
    with socket_folder(site) as folder:
        gateway = Gateway(
            folder, upstreams, asked, recorder, order.attempt,
            prices=prices, allowances=order.allowances, purse=purse, uid=site.user,
        )  # fmt: skip
        async with gateway as door:
            yield Agent(settings, order.policy, recorder, door, order.model, route, provider, list(order.fallbacks))


def _way(route: Route, settings: Settings) -> tuple[dict[str, Upstream], str, Mapping[str, Price]]:
    """Say where the calls of a route go: upstream by dialect, the model's name on the wire, and what it costs."""
    to = upstream(route, settings)
    return {to.dialect: to}, asked_for(route), table_of(route, settings).prices


def first_run(order: Order, done: int) -> int:
    """Count the runs of this phase that came before, as far as the order and the steps done show them."""
    before = {
        Step.SPEC: order.spec.rev if order.spec else 0,
        Step.PLANNING: order.plan.rev if order.plan else 0,
        Step.CODING: done,
        Step.QA: order.round - 1,
        Step.QA_FIXER: max(order.round - 2, 0),  # the first fix belongs to the round after the first QA
    }
    return before.get(order.step, 0)
