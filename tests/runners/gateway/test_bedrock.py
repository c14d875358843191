"""What is Bedrock's own: the model in the path, signatures, and keys as bearer."""

from __future__ import annotations

from typing import Any

import pytest

from runners.gateway.bedrock import Bedrock
from runners.gateway.rules import find
from tests.runners.gateway.wires import MODEL, message
from tests.simulators.models import Step

HELLO = Step(text="hello there", tokens=(1000, 20), cached=200)


async def test_a_model_with_signs_in_its_name_is_signed_as_it_is_sent(bench: Any) -> None:
    model = "eu.anthropic.claude-test-1-v1:0"
    async with bench(HELLO, HELLO, model=model) as b:
        for sent in (model, model.replace(":", "%3A")):
            assert (await b.post(f"/model/{sent}/invoke", messages=[])).status_code == 200
    assert [seen.target for seen in b.model.requests] == [f"/model/{model.replace(':', '%3A')}/invoke"] * 2
    assert b.model.requests[0].headers["x-amz-security-token"]


@pytest.mark.parametrize(("change", "status"), [({"access_key": ""}, 200), ({"region": "us-east-1"}, 401)])
async def test_bedrock_takes_a_key_as_bearer_and_no_signature_for_another_region(
    bench: Any, change: dict[str, str], status: int
) -> None:
    async with bench(HELLO, upstream=change) as b:
        answer = await b.post(f"/model/{MODEL}/invoke", messages=[])
    assert answer.status_code == status
    if status == 401:
        assert message("bedrock", answer.json())


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/model/a.b-v1:0/invoke", "a.b-v1:0"),
        ("/model/a%2Fb/invoke", "a/b"),
        ("/model//invoke", None),
        ("/model/a/b/invoke", None),
        ("/model/invoke", None),
        ("/model/{model}/invoke", None),
        ("/model/../model/a/invoke", None),
    ],
)
def test_the_model_is_one_segment_of_the_path(path: str, model: str | None) -> None:
    found = find(Bedrock(), path)
    assert (found and found.model) == model


@pytest.mark.parametrize("query", ["?type=SYSTEM_DEFINED", "?maxResults=1000&type=SYSTEM_DEFINED", ""])
async def test_the_list_of_profiles_is_empty_and_asks_nobody(bench: Any, query: str) -> None:
    async with bench() as b:
        headers = {"authorization": f"Bearer {b.door.token}"}
        answer = await b.client.get(f"/inference-profiles{query}", headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"inferenceProfileSummaries": []})
    assert not b.model.requests


async def test_probes_for_other_models_are_refused_and_harm_no_run(bench: Any) -> None:
    async with bench(HELLO) as b:
        for model in ("anthropic.claude-opus-4-5", "anthropic.claude-haiku-4-5"):
            assert (await b.post(f"/model/{model}/invoke", messages=[])).status_code == 403
            assert b.door.failure is None
        assert (await b.post(f"/model/{MODEL}/invoke", messages=[])).status_code == 200
        assert b.door.last_error is None


async def test_without_an_address_nothing_is_sent_anywhere(bench: Any) -> None:
    async with bench(HELLO, upstream={"base_url": ""}) as b:
        answer = await b.post(f"/model/{MODEL}/invoke", messages=[])
    assert answer.status_code == 502
    assert "GW-GATEWAY-UPSTREAM" in message("bedrock", answer.json())
    assert b.recorder.of("model.result")[0].outcome == "fail"
