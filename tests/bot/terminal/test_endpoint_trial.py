"""One real call to an endpoint tells what it can do, or why it cannot be used."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from bot.model.errors import GatewrightError
from bot.settings import ProviderTable
from bot.terminal.endpoint_trial import TOOL, Trial, try_out
from tests.simulators.models import ModelServer, Step, Tool

CALL = Step(tools=(Tool(TOOL, {"word": "ready"}),))


async def tried(model: ModelServer, *steps: Step, key: str = "", named: str = "") -> Trial:
    model.script.extend(steps)
    table = ProviderTable(base_url=f"{model.url}/v1", api_key=key or model.key)
    return await asyncio.to_thread(try_out, "box", table, named)


async def refused(model: ModelServer, *steps: Step, **more: str) -> GatewrightError:
    with pytest.raises(GatewrightError) as caught:
        await tried(model, *steps, **more)
    assert model.key not in f"{caught.value.what}{caught.value.why}{caught.value.fix}"
    return caught.value


async def test_it_reports_models_tools_and_how_long_each_took(model):
    model.models = ("toy", "other")
    found = await tried(model, CALL)
    assert (found.models, found.model, found.tools) == (("toy", "other"), "toy", "called")
    assert found.models_ms >= 0
    assert found.answer_ms >= 0
    asked = model.requests[-1]
    assert [tool["function"]["name"] for tool in asked.body["tools"]] == [TOOL]
    assert asked.headers["authorization"] == f"Bearer {model.key}"


async def test_the_model_that_is_named_is_asked(model):
    assert (await tried(model, CALL, named="big")).model == "big"
    assert model.requests[-1].body["model"] == "big"


async def test_an_endpoint_without_a_list_needs_a_model_by_name(model):
    model.models = ()
    assert (await refused(model)).code == "GW-ENDPOINT-MODEL"
    assert "it lists none" in (await tried(model, CALL, named="big")).lines("box", model.url)


async def test_text_where_a_tool_was_offered_is_no_call(model):
    assert (await tried(model, Step(text="ready"))).tools == "ignored"
    assert (await tried(model, Step(tools=(Tool("another"),)))).tools == "ignored"


async def test_an_endpoint_that_refuses_tools_still_answers(model):
    no = Step(status=400, body={"error": {"message": "toy does not support tools"}})
    assert (await tried(model, no, Step(text="ready"))).tools == "refused"
    assert "tools" not in model.requests[-1].body


@pytest.mark.parametrize("status", [400, 404, 429, 500])
async def test_an_error_is_told_with_what_the_endpoint_said(model, status):
    error = await refused(model, Step(status=status, repeat=2))
    assert error.code == "GW-ENDPOINT-ANSWER"
    assert f"{status}: " in error.why
    assert f"scripted {status}" in error.why


async def test_a_refused_key_is_told_and_not_repeated(model):
    error = await refused(model, key="sk-wrong-key")
    assert error.code == "GW-ENDPOINT-AUTH"
    assert "sk-wrong-key" not in error.why
    said = await refused(model, Step(status=403, body=f"no access for {model.key}"))
    assert (said.code, said.why) == ("GW-ENDPOINT-AUTH", "403: no access for ***")


@pytest.mark.parametrize(
    "body", ["<html>", "null", '{"choices": []}', '{"choices": [{"message": {"tool_calls": [1]}}]}', "[" * 100_000]
)
async def test_an_answer_of_another_form_is_no_answer(model, body):
    assert (await refused(model, Step(body=body))).code == "GW-ENDPOINT-ANSWER"


async def test_an_answer_cannot_steer_the_terminal(model):
    model.models = ("toy\x1b[2J\nfake   line",)
    said = (await tried(model, CALL)).lines("box", model.url)
    assert said.replace("\n", "").isprintable()
    assert len(said.splitlines()) == 4
    error = await refused(model, Step(status=404, body="\x1b]0;x\x07" + "a" * 10_000))
    assert error.why.isprintable()
    assert len(error.why) < 400


async def test_an_answer_without_end_is_left(model):
    error = await refused(model, Step(body="a" * (5 << 20)))
    assert (error.code, "no end" in error.what) == ("GW-ENDPOINT-ANSWER", True)


async def test_a_redirect_is_not_followed_with_the_key(model):
    elsewhere = Step(status=307, headers={"location": f"{model.url}/v1/chat/completions"})
    assert (await refused(model, elsewhere, CALL)).code == "GW-ENDPOINT-ANSWER"
    assert model.script.left == 1


async def test_a_cut_connection_and_nobody_at_all_are_told_alike(model):
    assert (await refused(model, Step(cut=True))).code == "GW-ENDPOINT-AWAY"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        table = ProviderTable(base_url=f"http://127.0.0.1:{free.getsockname()[1]}/v1")
        with pytest.raises(GatewrightError, match="cannot be asked") as caught:
            try_out("box", table)
    assert caught.value.code == "GW-ENDPOINT-AWAY"


async def test_programs_get_one_document(model):
    about = json.loads((await tried(model, CALL)).document("box", model.url))
    assert (about["schema"], about["name"], about["tools"]) == ("gatewright/endpoint-test/v1", "box", "called")
    assert set(about) == {
        "schema", "name", "base_url", "models", "models_ms", "model", "answer_ms", "tools",
    }  # fmt: skip


def test_a_long_list_of_models_is_counted():
    said = Trial(tuple(f"m{n}" for n in range(50)), 1, "m0", 2, "called").lines("box", "https://h/v1")
    assert "50 in 1 ms" in said
    assert "m19, and 30 more" in said
