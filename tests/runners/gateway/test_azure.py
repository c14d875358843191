"""What is Azure's own: versions in the query, two forms of path, two kinds of key."""

from __future__ import annotations

from typing import Any

import pytest

from runners.gateway.azure import Azure
from tests.runners.gateway.wires import MODEL
from tests.simulators.models import Step
from tests.simulators.models.server import REAL_KEY

HELLO = Step(text="hello there", tokens=(1000, 20), cached=200)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?api-version=2024-10-21", 200), ("?api-version=2025-04-01-preview", 200), ("?api-version=preview", 200),
        ("", 200), ("?api-version=2024-10-21&x=1", 403), ("?api-version=../x", 403), ("?api-key=k", 403),
    ],
)  # fmt: skip
async def test_azure_takes_a_version_and_nothing_else(bench: Any, query: str, status: int) -> None:
    async with bench(HELLO) as b:
        path = f"/openai/deployments/{MODEL}/chat/completions{query}"
        assert (await b.post(path, messages=[])).status_code == status
        assert [seen.target for seen in b.model.requests] == ([path] if status == 200 else [])


async def test_a_token_of_entra_id_goes_as_bearer(bench: Any) -> None:
    async with bench(HELLO, upstream={"api_key": "", "auth_token": REAL_KEY}) as b:
        assert (await b.post("/openai/v1/chat/completions", model=MODEL, messages=[])).status_code == 200
    assert b.model.requests[0].headers["authorization"] == f"Bearer {REAL_KEY}"
    assert "api-key" not in b.model.requests[0].headers


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://r.openai.azure.com", "/openai/v1/x", "https://r.openai.azure.com/openai/v1/x"),
        ("https://r.openai.azure.com/openai/v1/", "/openai/v1/x", "https://r.openai.azure.com/openai/v1/x"),
        ("", "/openai/v1/x", "/openai/v1/x"),  # without a host nothing is sent
    ],
)  # fmt: skip
def test_the_base_url_is_taken_as_people_write_it(base: str, path: str, url: str) -> None:
    assert Azure().url(base, path) == url
