"""A model like a small local one: calls as text, reading in circles; its work still ends with a tested change."""

from __future__ import annotations

import json

import msgspec

from runners.loop.loop import Loop
from runners.loop.repetition import READS
from runners.providers.chat import connect
from tests.runners.providers.stage import QUICK, open_stage
from tests.simulators.models import Step

TEST = "import calc\nassert calc.add(2, 3) == 5\nprint('passed')\n"


def said(name: str, **arguments: object) -> Step:
    """A call as qwen2.5-coder writes it."""
    return Step(text="```json\n" + json.dumps({"name": name, "arguments": arguments}) + "\n```")


async def test_a_model_that_writes_its_calls_as_text_and_reads_in_circles_ends_with_a_tested_change() -> None:
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
        Step(text='run(command="python3 test_calc.py", timeout=20)'),
        Step(text="add() now adds, and the test passes."),
    ]  # fmt: skip
    async with open_stage(Loop("chat", connect), "openai", "qwen2.5-coder:14b", steps) as stage:
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
