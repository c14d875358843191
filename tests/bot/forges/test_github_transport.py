"""One request and all that can happen to it: over loopback where the simulator can do it, else on a mocked wire."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import respx

from bot.forges.errors import RateLimited
from bot.forges.github import GitHub
from bot.forges.github_transport import Bearer, Pace, Request, Transport
from bot.model.errors import GatewrightError, Unavailable
from tests.bot.forges.conftest import QUICK
from tests.simulators.github import GitHubSimulator
from tests.simulators.github.people import Person

Bots = Callable[..., GitHub]
API = "https://api.github.com"
ME = Bearer("ghs_secret", "installation:1")
READ = Request("GET", "/repos/{owner}/{name}", {"owner": "octo", "name": "shop"}, repo=7)


@pytest.fixture
def mira(github: GitHubSimulator) -> Person:
    repo = github.repository("octo/shop")
    github.install(repo)
    return github.user("mira", repo, "write")


@pytest.fixture
async def wire() -> AsyncIterator[Transport]:
    async with httpx.AsyncClient() as client:
        yield Transport(client, API + "/", pace=QUICK, clock=time.time)


async def test_every_request_names_version_and_media_type(wire: Transport) -> None:
    """GitHub pins behaviour to these headers; gidgethub sends neither by itself."""
    with respx.mock:
        route = respx.get(f"{API}/repos/octo/shop").respond(json={"id": 7})
        assert await wire.send(READ, ME) == {"id": 7}
        sent = route.calls.last.request.headers
    assert sent["accept"] == "application/vnd.github+json"
    assert sent["x-github-api-version"] == "2022-11-28"
    assert sent["authorization"] == "token ghs_secret"


@pytest.mark.parametrize("base", [API, f"{API}/", "https://ghe.example.com/api/v3"])
async def test_the_base_url_may_have_a_path(base: str) -> None:
    """github.com and Enterprise differ in nothing else."""
    async with httpx.AsyncClient() as client:
        with respx.mock:
            respx.get(f"{base.rstrip('/')}/repos/octo/shop").respond(json={"id": 7})
            assert await Transport(client, base, pace=QUICK, clock=time.time).send(READ, ME) == {"id": 7}


async def test_parts_of_a_url_cannot_leave_their_place(wire: Transport) -> None:
    """A login or path full of metacharacters stays one segment."""
    with respx.mock:
        route = respx.get(url__regex=".*").respond(json={})
        await wire.send(Request("GET", "/users/{login}{?q}", {"login": "../a?b#c/d", "q": "x&y=z"}), ME)
        assert route.calls.last.request.url.raw_path == b"/users/..%2Fa%3Fb%23c%2Fd?q=x%26y%3Dz"


async def test_a_short_rate_limit_is_sat_out(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """429 with Retry-After: even a POST is sent again, as GitHub refused it."""
    repo, number, forge = github.repo(mira.repo), mira.opens_issue("a"), bot()
    await forge.issue(repo, number)
    github.fault("POST", "/comments$", status=429, headers={"retry-after": "1"}, message="secondary rate limit")
    began = time.monotonic()
    await forge.comment(repo, number, "hello")
    assert time.monotonic() - began >= 1.0
    assert len(mira.repo.issues[number].comments) == 1


async def test_a_long_rate_limit_is_told_and_kept_to(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """The error says until when, and nothing more is asked before: asking on may get an App banned."""
    repo, number, forge = github.repo(mira.repo), mira.opens_issue("a"), bot()
    await forge.issue(repo, number)
    github.fault("POST", "/comments$", status=403, headers={"retry-after": "120"}, message="secondary rate limit")
    with pytest.raises(RateLimited) as caught:
        await forge.comment(repo, number, "hello")
    assert caught.value.code == "GW-FORGE-RATE"
    assert 110 < caught.value.until - time.time() <= 120
    asked = len(github.exchanges)
    with pytest.raises(RateLimited):
        await forge.issue(repo, number)
    assert len(github.exchanges) == asked


@pytest.mark.parametrize(
    ("status", "headers", "message", "wait"),
    [
        (429, {}, "slow down", 60),
        (429, {"retry-after": "9" * 400}, "slow down", 3600),
        (429, {"retry-after": "nonsense"}, "slow down", 60),
        (
            403,
            {"x-ratelimit-remaining": "0", "x-ratelimit-limit": "5000", "x-ratelimit-reset": "RESET"},
            "exceeded",
            90,
        ),
        (403, {"x-ratelimit-remaining": "0"}, "exceeded", 60),
        (403, {}, "You have exceeded a secondary rate limit.", 60),
    ],
)
async def test_how_long_to_wait(status: int, headers: dict[str, str], message: str, wait: int) -> None:
    """retry-after, then the reset of an exhausted quota, then a minute."""
    now = 1_000_000.0
    sent = {name: value.replace("RESET", str(int(now) + 90)) for name, value in headers.items()}
    async with httpx.AsyncClient() as client:
        transport = Transport(client, API, pace=QUICK, clock=lambda: now)
        with respx.mock:
            respx.get(f"{API}/repos/octo/shop").respond(status, headers=sent, json={"message": message})
            with pytest.raises(RateLimited) as caught:
                await transport.send(READ, ME)
    assert caught.value.until == now + wait


async def test_one_installations_limit_does_not_stop_another(wire: Transport) -> None:
    """Limits are counted per credential."""
    with respx.mock:
        route = respx.get(f"{API}/repos/octo/shop")
        route.side_effect = [httpx.Response(429, headers={"retry-after": "99"}), httpx.Response(200, json={"id": 7})]
        with pytest.raises(RateLimited):
            await wire.send(READ, ME)
        assert await wire.send(READ, Bearer("other", "installation:2")) == {"id": 7}


async def test_a_hiccup_of_a_read_is_retried(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """A 500, then a 502, then the answer."""
    number = mira.opens_issue("a")
    github.fault("GET", r"/issues/\d+$", status=500)
    bad = github.fault("GET", r"/issues/\d+$", status=502)
    assert await bot().issue(github.repo(mira.repo), number) is not None
    assert bad.hits == 1


async def test_retries_of_a_read_end(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """Three tries, then Unavailable."""
    broken = github.fault("GET", r"/issues/\d+$", status=503, times=99)
    with pytest.raises(Unavailable) as caught:
        await bot().issue(github.repo(mira.repo), mira.opens_issue("a"))
    assert (caught.value.code, broken.hits) == ("GW-FORGE-UNAVAILABLE", 3)


async def test_a_failed_post_is_not_repeated(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """A 500 may come after the comment was stored."""
    number = mira.opens_issue("a")
    broken = github.fault("POST", "/comments$", status=500, times=99)
    with pytest.raises(Unavailable):
        await bot().comment(github.repo(mira.repo), number, "hello")
    assert broken.hits == 1


async def test_an_answer_that_is_cut_off_is_asked_again(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """Connections break in the middle of a body."""
    cut = github.fault("GET", r"/issues/\d+$", cut=True)
    assert await bot().issue(github.repo(mira.repo), mira.opens_issue("a")) is not None
    assert cut.hits == 1


async def test_an_answer_that_takes_too_long_is_given_up(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """The time for one request is bounded as a whole."""
    number = mira.opens_issue("a")
    forge = bot(pace=Pace(write_gap=0, tries=1, request=0.2))
    await forge.home(github.repo(mira.repo))
    github.fault("GET", r"/issues/\d+$", delay=2.0)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await forge.issue(github.repo(mira.repo), number)
    assert time.monotonic() - began < 1.8


async def test_a_refused_connection_repeats_even_a_post() -> None:
    """Nothing was sent, so nothing can have been done."""
    tries = 0

    def refuse(_: httpx.Request) -> httpx.Response:
        nonlocal tries
        tries += 1
        raise httpx.ConnectError("refused")

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as client:
        with pytest.raises(Unavailable):
            await Transport(client, API, pace=QUICK, clock=time.time).send(Request("POST", "/x", data={}), ME)
    assert tries == QUICK.tries


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example.com/repositories/7",
        f"{API}/repositories/70",
        f"{API}/repositories/8/issues/1",
        f"{API}.evil.example.com/repositories/7",
        "http://api.github.com/repositories/7",
        "/repositories/7",
        "",
    ],
)
async def test_a_redirect_elsewhere_is_not_followed(wire: Transport, location: str) -> None:
    """A redirect carries the token along: only the same repository, by id, at the same API."""
    with respx.mock:
        first = respx.get(f"{API}/repos/octo/shop").respond(301, headers={"location": location})
        anywhere = respx.get(url__regex=".*").respond(200, json={})
        with pytest.raises(GatewrightError) as caught:
            await wire.send(READ, ME)
        assert (first.call_count, anywhere.call_count) == (1, 0)
    assert caught.value.code == "GW-FORGE-MOVED"


async def test_redirects_do_not_go_round_for_ever(wire: Transport) -> None:
    """A loop ends."""
    with respx.mock:
        respx.get(url__regex=".*").respond(301, headers={"location": f"{API}/repositories/7"})
        with pytest.raises(GatewrightError, match="no longer where it was"):
            await wire.send(READ, ME)


async def test_a_redirected_write_keeps_method_and_body(wire: Transport) -> None:
    """GitHub asks for the same request again at the new place."""
    request = Request("POST", "/repos/octo/shop/issues", data={"title": "x"}, repo=7)
    with respx.mock:
        respx.post(f"{API}/repos/octo/shop/issues").respond(307, headers={"location": f"{API}/repositories/7/issues"})
        landed = respx.post(f"{API}/repositories/7/issues").respond(201, json={"id": 1})
        assert await wire.send(request, ME) == {"id": 1}
        assert json.loads(landed.calls.last.request.content) == {"title": "x"}


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, headers={"content-type": "application/json"}, content=b"{not json"),
        httpx.Response(200, headers={"content-type": "application/json"}, content=b"\xff\xfe"),
        httpx.Response(200, headers={"content-type": "application/json; charset=nonsense"}, content=b"{}"),
        httpx.Response(200, headers={"content-type": "application/json"}, content=b"[" * 100_000 + b"]" * 100_000),
        httpx.Response(200, headers={"content-type": "application/json"}, content=b" " * (17 * 1024 * 1024)),
        httpx.Response(200, headers={"x-ratelimit-limit": "a", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "1"}),
        httpx.Response(422, headers={"content-type": "application/json"}, content=b"{}"),
        httpx.Response(520, headers={"content-type": "text/html"}, content=b"<h1>origin error</h1>"),
        httpx.Response(502, headers={"content-type": "text/html"}, content=b"<h1>bad gateway</h1>"),
    ],
    ids=["broken", "not-utf8", "charset", "deep", "huge", "headers", "bare-422", "520", "502"],
)
async def test_an_answer_that_is_no_answer_is_unavailable(wire: Transport, answer: httpx.Response) -> None:
    """Nothing but GatewrightError leaves, whatever a proxy says."""
    with respx.mock:
        respx.get(f"{API}/repos/octo/shop").mock(
            side_effect=lambda _: httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        )
        with pytest.raises(Unavailable) as caught:
            await wire.send(READ, ME)
    assert caught.value.code == "GW-FORGE-UNAVAILABLE"
    assert "ghs_secret" not in str(caught.value)


async def test_an_error_names_the_request_and_not_its_query(wire: Transport) -> None:
    """People see which call failed."""
    request = Request(
        "GET", "/repos/{owner}/{name}/contents{/path*}{?ref}", {"owner": "o", "name": "n", "path": ["a", "b"]}
    )
    with respx.mock:
        respx.get(url__regex=".*").respond(404, json={"message": "Not Found"})
        with pytest.raises(GatewrightError, match=r"GET /repos/o/n/contents/a/b \[GW-FORGE-NOT-FOUND\]"):
            await wire.send(request, ME)
