from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from bot.model.errors import Refused, UsageError
from bot.model.order import Order
from bot.model.policy import Policy
from bot.model.state import Phase, Step
from bot.settings import Price, ProviderTable
from runners.agent import hired, is_recorded
from runners.providers.errors import ProviderError
from runners.providers.protocol import Access, Cause, Request, Result
from runners.site import Site
from runners.workspace.open import OpenJail
from tests.runners.recorder import ListRecorder
from tests.runners.stage import Stage
from tests.simulators.models import ModelServer, Script
from tests.simulators.models import Step as Said

LIMITED = Said(status=429, repeat=0, headers={"retry-after": "0"})
ASKED = Request(phase=Phase.SPEC, model="", system="Short.", prompt="Say it.", access=Access.READ)


def order(stage: Stage, model: str, **changes: Any) -> Order:
    return stage.order(Step.SPEC, model=model, **changes)


async def test_a_registered_endpoint_gets_a_door_with_a_short_path_that_closes_again(stage: Stage) -> None:
    table = ProviderTable(base_url="http://127.0.0.1:9/v1", prices={"tiny": Price(input=1.0)})
    site = Site(replace(stage.settings, endpoints={"house": table}), slot=2)
    asked = order(stage, "house:tiny")
    async with hired(site, asked, ListRecorder()) as agent:
        assert (agent.route.model, agent.door.attempt, is_recorded(agent.route)) == ("tiny", asked.attempt, False)
        assert stat.S_ISSOCK(agent.door.socket.stat().st_mode)
        assert len(os.fsencode(agent.door.socket)) < 100
        assert agent.door.socket.stat().st_uid == (site.user or os.geteuid())
    assert not agent.door.socket.parent.exists()


async def test_recorded_answers_have_no_door_but_numbers(stage: Stage) -> None:
    stage.record()
    async with hired(stage.site, order(stage, "scripted:story"), ListRecorder()) as agent:
        assert is_recorded(agent.route)
        assert [agent.door.number(), agent.door.number()] == [1, 2]
        assert not agent.door.socket.exists()


async def test_a_model_without_a_key_says_what_to_set(stage: Stage) -> None:
    with pytest.raises(UsageError, match="GW-MODEL-KEY-MISSING"):
        async with hired(stage.site, order(stage, "sonnet"), ListRecorder()):
            pass


async def test_a_worker_asks_nobody_whose_residency_policy_does_not_name(stage: Stage) -> None:
    far = ProviderTable(base_url="http://127.0.0.1:9/v1", residency="us")
    site = Site(replace(stage.settings, endpoints={"far": far}))
    asked = order(stage, "far:m", policy=Policy(residency=("eu",)))
    with pytest.raises(Refused, match="GW-MODEL-RESIDENCY"):
        async with hired(site, asked, ListRecorder()):
            pass


@asynccontextmanager
async def away(stage: Stage, first: Said, **residency: str) -> AsyncIterator[tuple[Any, ModelServer, ListRecorder]]:
    """Ask a model that fails as `first` says, with another one to stand in."""
    async with ModelServer(Script([first])) as one, ModelServer(Script([Said(text="here")] * 3)) as other:
        tables = {
            name: ProviderTable(base_url=f"{server.url}/v1", api_key=server.key, residency=residency.get(name, ""))
            for name, server in (("one", one), ("other", other))
        }
        site = Site(replace(stage.settings, endpoints=tables))
        recorder = ListRecorder()
        asked = order(stage, "one:m", fallbacks=("nobody:m", "other:n"))
        async with hired(site, asked, recorder) as agent:
            yield agent, other, recorder


async def ask(agent: Any, stage: Stage) -> Result:
    tree = stage.folder / "tree"
    tree.mkdir(exist_ok=True)
    jail = OpenJail(stage.settings.sandbox, tree, socket=agent.door.socket, directory=stage.folder / "jail")
    result: Result = await agent.ask(ASKED, jail)
    return result


@pytest.mark.parametrize("first", [
    LIMITED, Said(status=503, repeat=0, headers={"retry-after": "0"}),
    Said(status=429, repeat=0, body={"error": {"code": "insufficient_quota", "message": "You exceeded your quota"}}),
])  # fmt: skip
async def test_where_a_model_is_limited_or_away_the_next_one_that_works_stands_in(stage: Stage, first: Said) -> None:
    async with away(stage, first) as (agent, other, recorder):
        assert (await ask(agent, stage)).text == "here"
        assert agent.model == "other:n"
        assert [seen.body["model"] for seen in other.requests] == ["n"]
        calls = recorder.of("model.call")
        assert [call.data.provider for call in calls] == ["one"] * (len(calls) - 1) + ["other"]
        assert len({call.data.call for call in calls}) == len(calls)
    [note] = recorder.of("gate")
    assert (note.data.rule, note.data.result) == ("fallback", "other:n")
    assert recorder.unpaired() == []


@pytest.mark.parametrize(("status", "cause"), [(401, Cause.AUTH), (404, Cause.MODEL)])
async def test_a_wrong_key_or_name_is_for_people_to_mend(stage: Stage, status: int, cause: Cause) -> None:
    async with away(stage, Said(status=status, repeat=0)) as (agent, other, _):
        with pytest.raises(ProviderError) as caught:
            await ask(agent, stage)
        assert caught.value.cause is cause
        assert other.requests == []


async def test_nothing_stands_in_from_another_residency(stage: Stage) -> None:
    async with away(stage, LIMITED, one="eu", other="us") as (agent, other, _):
        with pytest.raises(ProviderError) as caught:
            await ask(agent, stage)
        assert caught.value.cause is Cause.RATE
        assert other.requests == []
