"""The web process put together, and as a process."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import time

import pytest
from redis.asyncio import Redis

from bot.app import check, check_gitlab, connect, create_app, serve
from bot.model.errors import UsageError
from bot.settings import GitHub, GitLab, Settings

HEAVY = (
    "claude_agent_sdk",
    "openai",
    "anthropic",
    "mcp",
    "jinja2",
    "gidgethub",
    "jwt",
    "rich",
    "typer",
    "structlog",
    "rq",
)

SERVE = """
import sys
from bot.app import serve
from bot.settings import GitHub, Redis, Server, Settings
redis = Redis(url=sys.argv[2])
serve(Settings(server=Server(port=int(sys.argv[1])), redis=redis, github=GitHub(token="t", webhook_secrets=("s",))))
"""


def test_it_starts_without_what_it_does_not_need() -> None:
    """A second of imports and tens of megabytes are what the web process is spared."""
    code = "import sys, bot.app; print(' '.join(sorted({name for name in sys.modules})))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in loaded if name.startswith(HEAVY) or name.startswith("cryptography.hazmat")] == []
    assert not any(name.split(".")[0] == "runners" for name in loaded)


@pytest.mark.parametrize("configured", [GitHub(token="t"), GitHub(app_id=7, private_key="k")])
def test_it_refuses_to_serve_github_without_a_secret(configured: GitHub) -> None:
    with pytest.raises(UsageError) as refused:
        serve(Settings(github=configured))
    assert refused.value.code == "GW-WEB-NO-SECRET"
    assert "webhook_secrets" in refused.value.fix


@pytest.mark.parametrize("secrets", [("",), ("good", "  ")])
def test_it_refuses_to_serve_with_an_empty_secret(secrets: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as refused:
        check(GitHub(webhook_secrets=secrets))
    assert refused.value.code == "GW-WEB-EMPTY-SECRET"


def test_it_refuses_the_embedded_redis_and_names_what_to_run() -> None:
    with pytest.raises(UsageError) as refused:
        connect(Settings())
    assert refused.value.code == "GW-REDIS-EMBEDDED"
    assert "gatewright up" in refused.value.fix


async def test_redis_that_is_given_stays_open_when_the_app_ends(redis_url: str) -> None:
    client = Redis.from_url(redis_url)
    app = create_app(Settings(), client)
    async with app.router.lifespan_context(app):
        pass
    assert await client.ping()
    await client.aclose()


def test_it_serves_as_a_process_and_ends_when_told(redis_url: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", SERVE, str(port), redis_url]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert get(port, "/readyz") == 200
            assert get(port, "/webhooks/github") == 405
            assert get(port, "/nothing") == 404
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
        assert f"127.0.0.1:{port}" in process.stderr.read()


def get(port: int, path: str) -> int:
    deadline = time.monotonic() + 20
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        finally:
            connection.close()


@pytest.mark.parametrize(
    ("table", "code"),
    [
        (GitLab(token="t"), "GW-WEB-NO-SECRET"),
        (GitLab(token="t", require_signing=True, webhook_tokens=("s",)), "GW-WEB-NO-SECRET"),
        (GitLab(webhook_tokens=("good", " ")), "GW-WEB-EMPTY-SECRET"),
        (GitLab(signing_secrets=("",)), "GW-WEB-EMPTY-SECRET"),
        (GitLab(token="t", signing_secrets=("whsec_not base64",)), "GW-WEB-SIGNING-SECRET"),
    ],
)
def test_it_refuses_to_serve_gitlab_whose_deliveries_could_be_anybodys(table: GitLab, code: str) -> None:
    with pytest.raises(UsageError) as refused:
        serve(Settings(gitlab=table))
    assert refused.value.code == code
    assert "gitlab" in refused.value.fix.lower()


def test_gitlab_is_served_with_either_proof() -> None:
    whsec = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    for table in (GitLab(token="t", webhook_tokens=("s",)), GitLab(token="t", signing_secrets=(whsec,)), GitLab()):
        check_gitlab(table)
