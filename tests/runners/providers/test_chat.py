"""Any OpenAI-compatible endpoint: the provider contract over the real gateway, and what is particular to this wire."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from runners.gateway.retry import Patience
from runners.loop.loop import Loop
from runners.loop.protocol import Prompt
from runners.providers.chat import CUT_RETRIES, ChatModel, connect
from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause
from tests.runners.providers.contract import WireContract
from tests.simulators.models import Step, Tool
from tests.simulators.models.script import Maker


class ChatCase:
    """The official SDK and our loop against a scripted chat completions API."""

    dialect = "openai"
    model = "qwen3-coder"

    def missing(self) -> str | None:
        return None

    def provider(self, steps: Sequence[Step | Maker], folder: Path) -> Loop:
        return Loop("chat", connect)

    def write(self, path: str, content: str) -> Tool:
        return Tool("write", {"path": path, "content": content})

    def command(self, line: str) -> Tool:
        return Tool("run", {"command": line})

    def answer(self, value: Any) -> Step:
        return Step(text=f"```json\n{json.dumps(value)}\n```")


class TestChat(WireContract):
    case = ChatCase()

    async def test_the_conversation_goes_over_the_wire_as_the_api_wants_it(self) -> None:
        steps = Step(text="Let me look.", tools=(Tool("read", {"path": "calc.py"}),)), Step(text="done")
        async with self.stage(*steps) as stage:
            await stage.run(prompt="Fix add().")
        first, second = (request.body for request in stage.model.requests)
        assert first["stream"] is True
        assert [tool["function"]["name"] for tool in first["tools"]] == [
            "read",
            "search",
            "list",
            "edit",
            "write",
            "run",
        ]
        system, user, assistant, reply = second["messages"]
        assert (system["role"], user) == ("system", {"role": "user", "content": "Fix add()."})
        assert assistant["content"] == "Let me look."
        assert assistant["tool_calls"][0]["function"] == {"name": "read", "arguments": '{"path": "calc.py"}'}
        assert (reply["role"], reply["tool_call_id"]) == ("tool", assistant["tool_calls"][0]["id"])
        assert reply["content"] == "     1\tdef add(a, b):\n     2\t    return a - b"

    async def test_arguments_that_are_no_json_are_explained_and_not_sent_back(self) -> None:
        steps = Step(tools=(Tool("read", raw='{"path": '),)), Step(text="done")
        async with self.stage(*steps) as stage:
            assert (await stage.run()).text == "done"
        assistant, reply = stage.model.requests[1].body["messages"][2:]
        assert assistant["tool_calls"][0]["function"]["arguments"] == "{}"
        assert "The arguments of read cannot be used" in reply["content"]

    async def test_an_answer_cut_by_its_length_is_not_taken_for_the_last_word(self) -> None:
        async with self.stage(Step(text="I will now", stop="length"), Step(text="done")) as stage:
            assert (await stage.run()).text == "done"
        assert "cut off by its length limit" in stage.model.requests[1].body["messages"][-1]["content"]

    async def test_tries_are_few_and_each_is_on_record(self) -> None:
        async with self.stage(Step(status=500, repeat=0, headers={"retry-after": "0"})) as stage:
            with pytest.raises(ProviderError):
                await stage.run()
        assert len(stage.recorder.of("model.call")) == Patience().tries

    async def test_a_stream_that_breaks_off_with_an_error_is_asked_for_again_and_given_up(self) -> None:
        async with self.stage(Step(text="half " * 9, broken=True, repeat=0)) as stage:
            with pytest.raises(ProviderError, match="broke off 3 times in a row") as raised:
                await stage.run()
        assert raised.value.cause is Cause.CRASH
        assert len(stage.recorder.of("model.call")) == CUT_RETRIES + 1

    async def test_a_conversation_that_is_too_long_is_told_from_a_bad_request(self) -> None:
        text = "This model's maximum context length is 8192 tokens."
        body = {"error": {"message": text, "type": "invalid_request_error", "code": "context_length_exceeded"}}
        async with self.stage(Step(status=400, body=body)) as stage:
            with pytest.raises(ProviderError) as raised:
                await stage.run()
        assert raised.value.cause is Cause.CONTEXT
        assert text in raised.value.why

    async def test_a_content_filter_is_a_refusal(self) -> None:
        async with self.stage(Step(text="I", stop="content_filter")) as stage:
            with pytest.raises(ProviderError) as raised:
                await stage.run()
        assert raised.value.cause is Cause.REFUSAL

    async def test_another_model_than_the_routed_one_is_not_to_be_had(self) -> None:
        async with self.stage(Step(text="done")) as stage:
            with pytest.raises(ProviderError) as raised:
                await stage.run(model="another")
        assert raised.value.cause is Cause.MODEL
        assert stage.model.requests == []

    async def test_without_a_gateway_the_endpoint_is_named_as_what_failed(self, tmp_path: Path) -> None:
        async with self.stage(Step(text="done")) as stage:
            stage.door.socket.unlink()
            with pytest.raises(ProviderError) as raised:
                await stage.run()
        assert raised.value.cause is Cause.CRASH

    async def test_a_chunk_that_is_no_json_is_a_broken_stream(self) -> None:
        """Straight at the endpoint: the gateway would already have cut it."""
        body = 'data: {"choices": [{"index": 0, "delta": {"content": "x"}}]}\n\ndata: {"choi\n\n'
        await self.broken(body, "JSONDecodeError")

    async def test_a_stream_that_only_stops_is_a_broken_one(self) -> None:
        body = 'data: {"choices": [{"index": 0, "delta": {"content": "x"}}]}\n\ndata: [DONE]\n\n'
        await self.broken(body, "without a finish reason")

    async def broken(self, body: str, why: str) -> None:
        asked: list[dict[str, Any]] = []

        def answer(request: httpx2.Request) -> httpx2.Response:
            asked.append(json.loads(request.content))
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, text=body)

        http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
        async with openai.AsyncOpenAI(base_url="http://endpoint/v1", api_key="k", http_client=http) as client:
            with pytest.raises(ProviderError) as raised:
                await ChatModel(client, "m", pause=0).complete([Prompt("hi")], (), lambda: None)
        assert raised.value.cause is Cause.CRASH
        assert why in raised.value.why
        assert len(asked) == CUT_RETRIES + 1
        assert "tools" not in asked[0]
