"""Genuine runtimes in a jail that may reach one host: that one, no other, and the model by its gateway alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import settings
from tests.conftest import missing
from tests.runners.providers.cases import CASES
from tests.runners.providers.contract import unconfined
from tests.runners.providers.stage import open_stage
from tests.runners.setup.index import Index, index
from tests.simulators.models import Step
from tests.simulators.models.script import Maker
from tests.simulators.models.server import REAL_KEY

__all__ = ["index"]
# The proxies are what the runtime's commands find in their environment; loopback is asked through them here as well.
GO = "curl -s -m 5 -o /dev/null -w '%{http_code}\\n' --noproxy '' http://"
PAST = "curl -s -m 5 -o /dev/null -w '%{http_code}\\n' --noproxy '*' http://"


@pytest.mark.parametrize("name", ["openai", "codex", "opencode"])
async def test_it_works_reaches_what_is_allowed_and_its_model_through_the_gateway_alone(
    name: str, index: Index, tmp_path: Path
) -> None:
    case = CASES[name]
    if lacks := case.missing() or unconfined():
        missing(lacks)
    model = ""  # where the scripted model really listens

    def look(_: object) -> Step:
        tries = (GO + f"{index.place}/ok", GO + "127.0.0.2:9/", GO + f"{model}/v1/models", PAST + f"{model}/v1/models")
        line = f"({'; '.join(tries)}; {PAST}{index.place}/past) >seen 2>&1; true"
        return Step(tools=(case.command(line),))

    steps: list[Step | Maker] = [look, Step(tools=(case.write("made.txt", "made\n"),)), Step(text="done")]
    table = settings.Sandbox(network_allow=(index.place,))
    async with open_stage(case.provider(steps, tmp_path), case.dialect, case.model, steps, table=table) as stage:
        model = stage.model.url.removeprefix("http://")
        stage.name = f"openrouter/{case.model}" if name == "opencode" else case.model  # as a route names it
        result = await stage.run()
        seen = (stage.worktree / "seen").read_text().split()
        assert (stage.worktree / "made.txt").read_text() == "made\n"
        assert stage.jail.outside != stage.jail.gateway_url
    assert "done" in result.text
    assert seen == ["200", "403", "403", "000", "000"]
    assert index.asked == ["/ok"]
    places = [(gate.data.result, gate.outcome) for gate in stage.recorder.of("gate") if gate.data.rule == "egress"]
    assert places[:3] == [(index.place, "ok"), ("127.0.0.2:9", "denied"), (model, "denied")]
    assert len(stage.recorder.of("model.result")) == len(stage.model.requests) == result.usage.calls >= 3
    assert not stage.model.refused, "what does not come by the gateway has no key"
    assert all(REAL_KEY in str(request.headers) for request in stage.model.requests)
