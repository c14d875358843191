"""Bearer tokens."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from bot.web.auth import Bearer


def client(*tokens: str) -> TestClient:
    async def secret(_):
        return PlainTextResponse("inside")

    return TestClient(Bearer(Starlette(routes=[Route("/", secret)]), tokens))


@pytest.mark.parametrize("token", ["old-token", "new-token"])
def test_each_configured_token_opens(token: str) -> None:
    assert client("new-token", "old-token").get("/", headers={"Authorization": f"Bearer {token}"}).text == "inside"


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic new-token", "new-token", "Bearer é"])
def test_anything_else_is_401_and_says_what_is_asked(value: str) -> None:
    answer = client("new-token").get("/", headers={"Authorization": value.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_two_headers_do_not_open_even_if_one_is_right() -> None:
    headers = [("Authorization", "Bearer new-token"), ("Authorization", "Bearer x")]
    assert client("new-token").get("/", headers=headers).status_code == 401


@pytest.mark.parametrize("tokens", [(), ("",)])
def test_without_tokens_nobody_gets_in(tokens: tuple[str, ...]) -> None:
    assert client(*tokens).get("/", headers={"Authorization": "Bearer "}).status_code == 401
