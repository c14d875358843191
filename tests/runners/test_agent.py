from __future__ import annotations

import os
import stat

import pytest
from msgspec.structs import replace

from bot.model.errors import UsageError
from bot.settings import Price, ProviderTable
from runners.agent import hired, is_recorded
from runners.site import Site
from tests.runners.recorder import ListRecorder
from tests.runners.stage import Stage


async def test_a_registered_endpoint_gets_a_door_with_a_short_path_that_closes_again(stage: Stage) -> None:
    table = ProviderTable(base_url="http://127.0.0.1:9/v1", prices={"tiny": Price(input=1.0)})
    site = Site(replace(stage.settings, endpoints={"house": table}), slot=2)
    async with hired(site, "house:tiny", 5, ListRecorder()) as agent:
        assert (agent.route.model, agent.door.attempt, is_recorded(agent.route)) == ("tiny", 5, False)
        assert stat.S_ISSOCK(agent.door.socket.stat().st_mode)
        assert len(os.fsencode(agent.door.socket)) < 100
        assert agent.door.socket.stat().st_uid == (site.user or os.geteuid())
    assert not agent.door.socket.parent.exists()


async def test_recorded_answers_have_no_door_but_numbers(stage: Stage) -> None:
    stage.record()
    async with hired(stage.site, "scripted:story", 5, ListRecorder()) as agent:
        assert is_recorded(agent.route)
        assert [agent.door.number(), agent.door.number()] == [1, 2]
        assert not agent.door.socket.exists()


async def test_a_model_without_a_key_says_what_to_set(stage: Stage) -> None:
    with pytest.raises(UsageError, match="GW-MODEL-KEY-MISSING"):
        async with hired(stage.site, "sonnet", 5, ListRecorder()):
            pass
