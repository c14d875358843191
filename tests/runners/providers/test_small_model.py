"""A model like a small local one: calls as text, reading in circles; its work still ends with a tested change."""

from __future__ import annotations

import json

import msgspec
import pytest

from bot.model.routing import resolve
from bot.settings import ProviderTable, Settings
from runners.loop.loop import Loop
from runners.loop.repetition import READS
from runners.providers.registry import create
from tests.runners.providers.stage import QUICK, open_stage
from tests.simulators.models import Step, Tool

SERVED = [("box:qwen2.5-coder:14b", "openai"), ("ollama:qwen2.5-coder:14b", "ollama"), ("azure:small", "azure")]
TEST = "import calc\nassert calc.add(2, 3) == 5\nprint('passed')\n"


def said(name: str, **arguments: object) -> Step:
    """A call as qwen2.5-coder writes it."""
    return Step(text="```json\n" + json.dumps({"name": name, "arguments": arguments}) + "\n```")


def served(model: str, context: int) -> Loop:
    """What the registry makes of a model string, where the settings say how much the model reads."""
    table = ProviderTable(base_url="http://127.0.0.1:9/v1", context=context)
    settings = Settings(providers={"ollama": table, "azure": table}, endpoints={"box": table})
    provider = create(resolve(model, settings.endpoints), settings)
    assert isinstance(provider, Loop)
    return provider


@pytest.mark.parametrize(("model", "dialect"), SERVED)
async def test_what_the_settings_say_of_the_context_is_kept_and_the_model_is_told(model: str, dialect: str) -> None:
    loud = Step(tools=(Tool("run", {"command": "seq 1 1200"}),), tokens=(500, 9))
    steps = [loud, loud, Step(text="done", tokens=(500, 9))]
    async with open_stage(served(model, 4_096), dialect, model.partition(":")[2], steps) as stage:
        await stage.run()
    second, third = (request.body["messages"] for request in stage.model.requests[1:])
    assert "\n1200\n" in second[-1]["content"]
    assert "was dropped to keep the conversation inside what you can read" in third[3]["content"]
    assert "\n1200\n" in third[-1]["content"]


@pytest.mark.parametrize(("model", "dialect"), SERVED)
async def test_a_model_that_writes_its_calls_as_text_and_reads_in_circles_ends_with_a_tested_change(
    model: str, dialect: str
) -> None:
    steps = [
        Step(text="<think>\n" + json.dumps({"name": "run", "arguments": {"command": "rm calc.py"}}) + "\n</think>\n"
             '<tool_call>\n{"name": "list", "arguments": {"path": "."}}\n</tool_call>'),
        *[said("read", path="calc.py", offset=str(n)) for n in range(1, READS)],
        Step(text='{"name": "write", "arguments": {"path": "test_calc.py", "content": "assert "a" == b"}}'),
        Step(
            text="<tool_call>\n<function=edit>\n<parameter=path>\ncalc.py\n</parameter>\n<parameter=old>\na - b\n"
            "</parameter>\n<parameter=new>\na + b\n</parameter>\n</function>\n</tool_call>",
            when="You have only read",
        ),
        said("write", path="test_calc.py", content=TEST, mode="0644"),
        Step(text='```tool_code\nprint(run(command="python3 test_calc.py", timeout=20))\n```'),
        Step(text="add() now adds, and the test passes."),
    ]  # fmt: skip
    async with open_stage(served(model, 16_384), dialect, model.partition(":")[2], steps) as stage:
        result = await stage.run(limits=msgspec.structs.replace(QUICK, turns=20))
        assert (stage.worktree / "calc.py").read_text() == "def add(a, b):\n    return a + b\n"
        assert (stage.worktree / "test_calc.py").read_text() == TEST
    assert result.text == "add() now adds, and the test passes."
    heard = [request.body["messages"][-1] for request in stage.model.requests]
    assert {message["role"] for message in heard} == {"user"}
    assert heard[1]["content"].startswith("[list]\ncalc.py")
    assert "You have only read for 10 turns" in heard[READS]["content"]
    assert "could not be read in exactly one way" in heard[READS + 1]["content"]
    assert heard[-2]["content"].endswith("[write takes no mode: left out.]")
    assert heard[-1]["content"] == "[run]\nexit code 0\npassed\n"
    assert stage.model.script.left == 0
