"""Ollama's own API: the provider contract over the real gateway, and what is particular to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.settings import ProviderTable
from runners.loop.errors import ToolsRefused
from runners.loop.loop import Loop
from runners.loop.protocol import Prompt, Turn
from runners.loop.protocol import Tool as Offer
from runners.providers.errors import ProviderError
from runners.providers.ollama import CUT_RETRIES, OllamaModel, connector, opened
from runners.providers.ollama_window import DEFAULT, Window
from runners.providers.protocol import Access, Cause
from tests.runners.providers.contract import WireContract
from tests.runners.providers.stage import Stage, open_stage
from tests.simulators.models import Step, Tool
from tests.simulators.models.script import Maker

MODEL = "qwen3:14b"
OFFER = Offer("read", "Read.", {"type": "object", "properties": {}, "required": []})


class OllamaCase:
    """Our loop against a scripted Ollama whose context the settings name, so that nothing is asked beforehand."""

    dialect = "ollama"
    model = MODEL

    def missing(self) -> str | None:
        return None

    def provider(self, steps: Sequence[Step | Maker], folder: Path) -> Loop:
        return Loop("ollama", connector(ProviderTable(context=16_384)))

    def write(self, path: str, content: str) -> Tool:
        return Tool("write", {"path": path, "content": content})

    def command(self, line: str) -> Tool:
        return Tool("run", {"command": line})

    def answer(self, value: Any) -> Step:
        return Step(text=f"```json\n{json.dumps(value)}\n```")


@asynccontextmanager
async def unsettled(*steps: Step | Maker, model: str = MODEL) -> AsyncIterator[Stage]:
    """A stage whose settings say nothing of the model."""
    async with open_stage(Loop("ollama", connector(ProviderTable())), "ollama", model, steps) as stage:
        yield stage


class TestOllama(WireContract):
    case = OllamaCase()

    async def test_the_conversation_goes_over_the_wire_as_the_api_wants_it(self) -> None:
        steps = Step(text="Let me look.", tools=(Tool("read", {"path": "calc.py"}),)), Step(text="done")
        async with self.stage(*steps) as stage:
            await stage.run(prompt="Fix add().")
        first, second = (request.body for request in stage.model.requests)
        assert first["options"] == {"num_ctx": 16_384}
        assert (first["stream"], first["truncate"], first["shift"]) == (True, False, False)
        assert [tool["function"]["name"] for tool in first["tools"]][:2] == ["read", "search"]
        system, user, assistant, reply = second["messages"]
        assert (system["role"], user) == ("system", {"role": "user", "content": "Fix add()."})
        assert assistant["content"] == "Let me look."
        assert assistant["tool_calls"][0]["function"] == {"name": "read", "arguments": {"path": "calc.py"}}
        assert (reply["role"], reply["tool_name"]) == ("tool", "read")
        assert reply["content"].endswith("return a - b")

    async def test_a_stream_that_breaks_off_with_an_error_is_asked_for_again_and_given_up(self) -> None:
        async with self.stage(Step(text="half " * 9, broken=True, repeat=0)) as stage:
            with pytest.raises(ProviderError) as raised:
                await stage.run()
        assert raised.value.cause is Cause.CRASH
        assert len(stage.recorder.of("model.call")) == CUT_RETRIES + 1

    async def test_a_question_that_was_cut_in_silence_is_no_success(self) -> None:
        async with self.stage(Step(text="All done!", tokens=(16_300, 3), repeat=0)) as stage:
            with pytest.raises(ProviderError) as raised:
                await stage.run(access=Access.READ)
        assert raised.value.cause is Cause.CONTEXT
        assert "16300 tokens of the question were read" in raised.value.why
        assert "num_ctx is 16384, as the settings say" in raised.value.why
        assert "providers.ollama.context" in raised.value.fix

    async def test_what_was_cut_is_asked_again_without_old_outputs(self) -> None:
        steps = (
            Step(tools=(self.case.command("yes word | head -c 9000"),), tokens=(900, 9)),
            Step(tools=(self.case.command("yes more | head -c 9000"),), tokens=(9_000, 9)),
            Step(text="cut", tokens=(16_384, 9)),
            Step(text="done", tokens=(9_000, 9)),
        )
        async with self.stage(*steps) as stage:
            assert (await stage.run()).text == "done"
        assert "bytes was dropped" in json.dumps(stage.model.requests[-1].body)

    async def test_an_answer_that_had_no_room_is_the_context_and_not_the_model(self) -> None:
        async with self.stage(Step(text="I will", stop="length", tokens=(15_000, 900), repeat=0)) as stage:
            with pytest.raises(ProviderError) as raised:
                await stage.run()
        assert raised.value.cause is Cause.CONTEXT

    async def test_a_server_that_will_not_truncate_says_so(self) -> None:
        refused = Step(status=400, body={"error": "the input length exceeds the context length"}, repeat=0)
        async with self.stage(refused) as stage:
            with pytest.raises(ProviderError) as raised:
                await stage.run()
        assert raised.value.cause is Cause.CONTEXT

    async def test_a_model_without_tools_goes_on_in_words(self) -> None:
        steps = (
            Step(status=400, body={"error": f"registry.ollama.ai/library/{MODEL} does not support tools"}),
            Step(text='```json\n{"name": "write", "arguments": {"path": "a.txt", "content": "x"}}\n```'),
            Step(text="done"),
        )
        async with self.stage(*steps) as stage:
            assert (await stage.run()).text == "done"
            assert (stage.worktree / "a.txt").read_text() == "x"
        _, second, third = (request.body for request in stage.model.requests)
        assert "tools" not in second
        assert '"name": "write"' in second["messages"][0]["content"]
        assert third["messages"][-1]["role"] == "user"

    async def test_a_model_that_is_missing_is_told_with_how_to_fetch_it(self) -> None:
        async with self.stage(Step(status=404, body={"error": f"model '{MODEL}' not found"}, repeat=0)) as stage:
            with pytest.raises(ProviderError) as raised:
                await stage.run()
        assert raised.value.cause is Cause.MODEL
        assert f"ollama pull {MODEL}" in raised.value.fix


async def test_without_settings_the_model_is_asked_how_much_it_reads() -> None:
    async with unsettled(Step(text="done")) as stage:
        assert (await stage.run()).text == "done"
    assert [seen.target for seen in stage.model.requests] == ["/api/tags", "/api/show", "/api/chat"]
    assert stage.model.requests[1].body == {"model": MODEL}
    assert stage.model.requests[2].body["options"] == {"num_ctx": DEFAULT}  # it could read 40960
    assert stage.recorder.unpaired() == []


async def test_a_missing_model_is_known_before_it_is_asked_and_the_nearest_is_named() -> None:
    async with unsettled(Step(text="done"), model="qwen3:32b") as stage:
        with pytest.raises(ProviderError) as raised:
            await stage.run()
    assert raised.value.cause is Cause.MODEL
    assert raised.value.what == "Ollama has no model qwen3:32b"
    assert raised.value.why == "the server has qwen3:14b"
    assert "ollama pull qwen3:32b" in raised.value.fix
    assert [seen.target for seen in stage.model.requests] == ["/api/tags"]


Answer = Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def straight(answer: Answer) -> AsyncIterator[httpx.AsyncClient]:
    """A client right at a server, for what the gateway would already have stopped."""
    async with httpx.AsyncClient(base_url="http://ollama", transport=httpx.MockTransport(answer)) as client:
        yield client


def server(shown: dict[str, Any], there: Sequence[str] = (MODEL,), status: int = 200) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/tags":
            return httpx.Response(200, json={"models": [{"name": name} for name in there]})
        return httpx.Response(status, json=shown)

    return answer


@pytest.mark.parametrize(
    ("shown", "context"),
    [
        ({"model_info": {"general.architecture": "qwen3", "qwen3.context_length": 8192}}, 8192),
        ({"model_info": {"llama.context_length": 131_072}}, DEFAULT),
        ({"model_info": {}}, DEFAULT),
        ({"model_info": None}, DEFAULT),
        ({}, DEFAULT),
    ],
)
async def test_the_window_is_what_the_model_can_read_within_bounds(shown: dict[str, Any], context: int) -> None:
    async with straight(server(shown)) as client:
        assert (await opened(client, MODEL, 0, 5)).context == context


async def test_a_model_that_lists_no_tools_is_not_asked_with_any() -> None:
    async with straight(server({"capabilities": ["completion"]})) as client:
        model = await opened(client, MODEL, 0, 5)
        with pytest.raises(ToolsRefused):
            await model.complete([Prompt("hi")], [OFFER], lambda: None)


@pytest.mark.parametrize("name", ["qwen3", "Qwen3:latest", "library/qwen3", "registry.ollama.ai/library/qwen3:latest"])
async def test_a_model_is_found_however_its_name_is_written(name: str) -> None:
    async with straight(server({}, there=("qwen3:latest",))) as client:
        await opened(client, name, 0, 5)


async def test_a_server_that_cannot_show_its_models_is_not_asked_further() -> None:
    async with straight(server({"error": "boom"}, status=500)) as client:
        with pytest.raises(ProviderError) as raised:
            await opened(client, MODEL, 0, 5)
    assert (raised.value.cause, raised.value.why) == (Cause.CRASH, "boom")


def line(**fields: Any) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


DONE = line(message={"content": ""}, done=True, done_reason="stop", prompt_eval_count=5, eval_count=2)


async def told(body: bytes, tools: Sequence[Offer] = ()) -> Turn:
    async with straight(lambda _: httpx.Response(200, content=body)) as client:
        model = OllamaModel(client, MODEL, Window(4096, "set"), pause=0)
        return await model.complete([Prompt("hi")], tools, lambda: None)


async def test_calls_in_several_lines_are_gathered_and_thinking_is_kept_apart() -> None:
    calls = [{"function": {"name": name, "arguments": {"path": "a"}}} for name in ("read", "list")]
    body = (
        line(message={"thinking": "hm "}) + line(message={"thinking": "so"}) + line(message={"content": "I\u2028look."})
        + line(message={"content": "", "tool_calls": calls[:1]}) + line(message={"tool_calls": calls[1:]}) + DONE
    )  # fmt: skip
    turn = await told(body, [OFFER])
    assert (turn.text, turn.thought) == ("I\u2028look.", "hm so")
    assert [(call.id, call.name, call.arguments) for call in turn.calls] == [
        ("call_1_0", "read", '{"path": "a"}'), ("call_1_1", "list", '{"path": "a"}'),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (line(message={"content": "half"}), "without its last line"),
        (line(message={"content": "half"}) + line(error="the runner has died"), "the runner has died"),
        (line(message={"content": "half"}) + b"<html>\n" + DONE, "not readable"),
        (b"", "without its last line"),
    ],
)
async def test_an_answer_in_pieces_is_never_taken(body: bytes, why: str) -> None:
    with pytest.raises(ProviderError) as raised:
        await told(body)
    assert raised.value.cause is Cause.CRASH
    assert why in raised.value.why
