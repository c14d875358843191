"""Recordings through the true loop: the provider contract, and what is particular to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot.audit.kinds import ModelCall
from bot.model.errors import UsageError
from bot.model.routing import resolve
from bot.model.state import Phase
from bot.settings import ProviderTable, Settings
from runners.loop.loop import Loop
from runners.providers.errors import ProviderError
from runners.providers.protocol import Access, Cause
from runners.providers.registry import create
from runners.providers.scripted import Recording, connector, load
from tests.runners.loop.parts import BareJail, Kept, PlainDoor, request
from tests.runners.providers.contract import ProviderContract
from tests.simulators.models import Step, Tool
from tests.simulators.models.script import Maker

RECORDING = msgspec.convert(
    {
        "format": "gatewright-recording/1",
        "phases": {
            "spec": [[{"calls": [{"tool": "list"}]}, {"text": "a spec"}]],
            "coding": [
                [
                    {"text": "first", "calls": [{"tool": "write", "arguments": {"path": "a", "content": "1"}}]},
                    {"text": "one"},
                ],
                [{"text": "two"}],
            ],
        },
    },
    Recording,
)


async def play(tmp_path, recorder=None, **changes):
    provider = Loop("scripted", connector(RECORDING))
    return await provider.run(request(**changes), BareJail(tmp_path), PlainDoor(), recorder or Kept())


async def test_a_recording_is_played_by_phase_and_run(tmp_path):
    assert (await play(tmp_path, phase=Phase.SPEC, access=Access.READ)).text == "a spec"
    assert (await play(tmp_path)).text == "one"
    assert (tmp_path / "a").read_text() == "1"
    assert (await play(tmp_path, run_index=1)).text == "two"


async def test_its_calls_are_reported_like_a_models_and_share_one_sequence(tmp_path):
    recorder = Kept()
    await play(tmp_path, recorder)
    assert [(record.kind, record.data.call) for record in recorder.records] == [
        ("model.call", 1), ("model.result", 1), ("tool.call", 2), ("tool.result", 2),
        ("model.call", 3), ("model.result", 3),
    ]  # fmt: skip
    assert recorder.of("model.call")[0].data == ModelCall(attempt=7, call=1, provider="scripted", model="m")
    assert [record.data.stop for record in recorder.of("model.result")] == ["tool_calls", "stop"]
    prompts = [json.loads(blob) for blob in recorder.blob("model.call", "prompt")]
    assert [message["type"] for message in prompts[0]] == ["system", "user"]
    assert [message["type"] for message in prompts[1]] == ["assistant", "tool"]
    assert json.loads(recorder.blob("model.result", "output")[1])["text"] == "one"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"phase": Phase.QA}, "0 run(s) of the phase qa, and number 1 was asked for"),
        ({"run_index": 2}, "2 run(s) of the phase coding, and number 3 was asked for"),
    ],
)
async def test_a_recording_that_does_not_fit_says_what_is_missing(tmp_path, changes, why):
    recorder = Kept()
    with pytest.raises(ProviderError, match="does not fit") as raised:
        await play(tmp_path, recorder, **changes)
    assert raised.value.cause is Cause.ANSWER
    assert why in raised.value.why
    assert recorder.records == []


async def test_a_recording_that_ends_too_early_says_so(tmp_path):
    recording = msgspec.convert(
        {"format": "gatewright-recording/1", "phases": {"coding": [[{"calls": [{"tool": "list"}]}]]}}, Recording
    )
    recorder = Kept()
    with pytest.raises(ProviderError) as raised:
        await Loop("scripted", connector(recording)).run(request(), BareJail(tmp_path), PlainDoor(), recorder)
    assert recorder.outcomes("model.result") == ["ok", "fail"]
    assert recorder.unpaired() == []
    assert "1 turn(s) for the phase coding, run 1, and one more was asked for" in raised.value.why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "truncated"),
        ('{"format": "gatewright-recording/2", "phases": {}}', "gatewright-recording/2"),
        ('{"format": "gatewright-recording/1", "phases": {"code": []}}', "code"),
        ('{"format": "gatewright-recording/1", "phases": {"qa": [[{"txt": "x"}]]}}', "$.phases[...][0][0]"),
    ],
)
def test_a_file_that_is_no_recording_is_refused_with_the_place(tmp_path, text, why):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(UsageError) as raised:
        load(tmp_path / "r.json")
    assert why in raised.value.why


def test_a_missing_recording_says_which_setting_names_the_folder(tmp_path):
    with pytest.raises(UsageError) as raised:
        load(tmp_path / "none.json")
    assert "providers.scripted.base_url" in raised.value.fix


class ScriptedCase:
    """The true loop with recorded answers; the wire stays silent."""

    dialect = "openai"
    model = "demo"

    def missing(self) -> str | None:
        return None

    def provider(self, steps: Sequence[Step | Maker], folder: Path) -> Loop:
        turns = [
            {"text": step.text, "calls": [{"tool": tool.name, "arguments": tool.arguments} for tool in step.tools]}
            for step in steps
            if isinstance(step, Step)
        ]
        recording = {"format": "gatewright-recording/1", "phases": {"coding": [turns]}}
        (folder / "demo.json").write_text(json.dumps(recording))
        settings = Settings(providers={"scripted": ProviderTable(base_url=str(folder))})
        provider = create(resolve("scripted:demo", ()), settings)
        assert isinstance(provider, Loop)
        return provider

    def write(self, path: str, content: str) -> Tool:
        return Tool("write", {"path": path, "content": content})

    def command(self, line: str) -> Tool:
        return Tool("run", {"command": line})

    def answer(self, value: Any) -> Step:
        return Step(text=json.dumps(value))


class TestScripted(ProviderContract):
    case = ScriptedCase()

    async def test_no_model_is_asked(self) -> None:
        async with self.stage(Step(text="done")) as stage:
            await stage.run(access=Access.READ)
        assert stage.model.requests == []
        assert [record.data.provider for record in stage.recorder.of("model.call")] == ["scripted"]
