"""One request to GitLab and all that can happen to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from bot.forges.gitlab import GitLab
from bot.forges.gitlab_transport import Pace, Transport
from bot.model.errors import Unavailable
from tests.bot.forges.conftest import QUICK_GITLAB as QUICK
from tests.bot.forges.conftest import raises
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.gitlab.people import Person

Bots = Callable[..., GitLab]


async def test_a_rate_limit_is_sat_out(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """For as long as GitLab says, also for requests that come in the meantime."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    number = dev.opens_issue("a")
    limit = gitlab.limit("GET", "/issues/", seconds=1)
    began = time.monotonic()
    assert await forge.issue(repo, number) is not None
    assert time.monotonic() - began >= 0.9
    assert limit.hits == 1


async def test_a_long_rate_limit_is_said_and_kept_to(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """Nothing is asked until it is over: python-gitlab alone would sleep in the thread for as long as it is told."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    number = dev.opens_issue("a")
    limit = gitlab.limit("POST", "/notes$", seconds=600)
    began = time.monotonic()
    error = await raises("GW-FORGE-RATE", forge.comment(repo, number, "a"))
    assert "600 s" in error.why
    before = len(gitlab.exchanges)
    await raises("GW-FORGE-RATE", forge.issue(repo, number))
    assert time.monotonic() - began < 3
    assert (limit.hits, len(gitlab.exchanges)) == (1, before)


async def test_ratelimit_reset_counts_where_there_is_no_retry_after(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, number = gitlab.repo(dev.project), dev.opens_issue("a")
    headers = {"ratelimit-reset": str(int(time.time()) + 500), "content-type": "text/plain"}
    gitlab.fault("GET", "/issues/", status=429, headers=headers, body=b"Retry later\n")
    error = await raises("GW-FORGE-RATE", gitlab_bot(dev.project).issue(repo, number))
    assert "49" in error.why or "500" in error.why


async def test_reads_are_repeated_and_posts_are_not(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """A note whose answer was lost may have been posted, and was: the marker finds it."""
    repo, forge, number = gitlab.repo(dev.project), gitlab_bot(dev.project), dev.opens_issue("a")
    late = gitlab.fault("GET", r"/issues/\d+$", status=502, times=2)
    assert await forge.issue(repo, number) is not None
    assert late.hits == 2
    gitlab.fault("POST", "/notes$", cut=True)
    with pytest.raises(Unavailable) as caught:
        await forge.comment(repo, number, "once <!-- gw:9 -->")
    assert caught.value.code == "GW-FORGE-UNAVAILABLE"
    assert len(dev.project.issues[number].notes) == 1
    assert await forge.find_comment(repo, number, "<!-- gw:9 -->") == dev.project.issues[number].notes[0].id


async def test_a_redirect_is_not_followed(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """It would carry the token to wherever it points."""
    before = len(gitlab.exchanges)
    where = {"location": f"{gitlab.url}/api/v4/elsewhere"}
    for method, call in (("GET", "issue"), ("POST", "comment")):
        gitlab.fault(method, "/(issues/1|notes)$", status=302, headers=where, body=b"")
        forge = gitlab_bot(dev.project)
        args = (gitlab.repo(dev.project), dev.opens_issue("a")) + (("x",) if call == "comment" else ())
        error = await raises("GW-FORGE-MOVED", getattr(forge, call)(*args))
        assert "[gitlab] url" in error.fix
    assert not [e for e in gitlab.exchanges[before:] if "elsewhere" in e.path]


async def test_a_token_that_is_bad_or_too_narrow_says_so(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, number = gitlab.repo(dev.project), dev.opens_issue("a")
    bad = GitLab(gitlab.table(token="glpat-wrong"), pace=QUICK)
    error = await raises("GW-FORGE-AUTH", bad.issue(repo, number))
    assert "token" in error.fix
    await bad.close()
    narrow = gitlab_bot(dev.project, scopes={"read_api"})
    error = await raises("GW-FORGE-FORBIDDEN", narrow.comment(repo, number, "a"))
    assert error.fix


async def test_notes_keep_their_distance(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    forge = gitlab_bot(dev.project, pace=Pace(write_gap=0.5))
    repo, number = gitlab.repo(dev.project), dev.opens_issue("a")
    began = time.monotonic()
    first, second = await asyncio.gather(*(forge.comment(repo, number, str(n)) for n in range(2)))
    assert time.monotonic() - began >= 0.5
    assert first != second


async def test_requests_at_once_share_one_thread(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """python-gitlab's session is not made for several."""
    import threading

    repo, forge, number = gitlab.repo(dev.project), gitlab_bot(dev.project), dev.opens_issue("a")
    seen = await asyncio.gather(*(forge.issue(repo, number) for _ in range(20)))
    assert len({issue.title for issue in seen if issue}) == 1
    assert sum(thread.name.startswith("gitlab_") for thread in threading.enumerate()) == 1


async def listed(gitlab: GitLabSimulator, dev: Person, **most: int) -> list[str]:
    transport = Transport(gitlab.url, dev.makes_token().value, pace=QUICK, clock=time.time)
    path = f"/projects/{dev.project.id}/labels"
    try:
        return [label["name"] async for page in transport.pages(path, **most) for label in page]
    finally:
        await transport.close()


async def test_a_list_is_read_to_its_end(gitlab: GitLabSimulator, dev: Person) -> None:
    for number in range(250):
        dev.opens_issue("a", labels=[f"l{number:03}"])
    assert await listed(gitlab, dev) == [f"l{number:03}" for number in range(250)]


async def test_a_page_with_less_than_it_could_hold_is_not_the_last(gitlab: GitLabSimulator, dev: Person) -> None:
    """GitLab takes out what we may not see after it has cut the pages."""
    for number in range(150):
        dev.opens_issue("a", labels=[f"l{number:03}"])
    link = {"link": '<http://elsewhere.example/api/v4/x?page=2&per_page=100>; rel="next"'}
    gitlab.fault("GET", "/labels$", status=200, body=b"[]", headers=link | {"content-type": "application/json"})
    assert await listed(gitlab, dev) == [f"l{number:03}" for number in range(100, 150)], "from the address we know"


async def test_a_list_without_end_is_refused(gitlab: GitLabSimulator, dev: Person) -> None:
    for number in range(201):
        dev.opens_issue("a", labels=[f"l{number:03}"])
    error = await raises("GW-FORGE-INVALID", listed(gitlab, dev, most=2))
    assert "more than 200" in error.why


@pytest.mark.parametrize("body", [b"{}", b"null", b"[" + b"{}," * 99 + b"{}]"])
async def test_what_is_no_list_or_may_be_a_part_of_one_is_refused(
    gitlab: GitLabSimulator, dev: Person, body: bytes
) -> None:
    """A full page without links came through something that took them out."""
    gitlab.fault("GET", "/labels$", status=200, body=body, headers={"content-type": "application/json"})
    await raises("GW-FORGE-INVALID", listed(gitlab, dev))
