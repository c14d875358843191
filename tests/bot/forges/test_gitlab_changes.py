"""Merging at one head, and starting the CI of one commit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.forges.gitlab import GitLab
from bot.forges.protocol import Change
from bot.model.event import Repo
from tests.bot.forges.conftest import raises
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.gitlab.people import Person

Bots = Callable[..., GitLab]
FOR_BRANCHES = {".gitlab-ci.yml": "test:\n  script: make test\n"}
FOR_CHANGES = {".gitlab-ci.yml": "test:\n  script: make test\n  rules: [{if: $CI_MERGE_REQUEST_IID}] # merge_request\n"}


async def opened(forge: GitLab, repo: Repo, branch: str = "work", *, draft: bool = False) -> Change:
    return await forge.open_change(repo, branch=branch, base="main", title="Sort", body="", draft=draft)


async def test_a_change_is_merged_at_its_head(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project, level="maintainer")
    head = dev.commits("work", {"a.txt": "a"})
    made = await opened(forge, repo)
    assert made.source == repo.id
    await forge.merge(repo, made.number, head)
    seen = dev.project.merge_requests[made.number]
    assert (seen.state, seen.sha) == ("merged", head)
    sent = [exchange for exchange in gitlab.exchanges if exchange.path.endswith("/merge")]
    assert head.encode() in sent[0].sent


@pytest.mark.parametrize("head", ["", "HEAD", "work", "a" * 39])
async def test_nothing_is_merged_that_is_not_named_in_full(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person, head: str
) -> None:
    """GitLab takes no sha, or an empty one, for whatever is there."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project, level="maintainer")
    dev.commits("work", {"a.txt": "a"})
    made = await opened(forge, repo)
    await raises("GW-FORGE-MERGE", forge.merge(repo, made.number, head))
    assert dev.project.merge_requests[made.number].state == "opened"
    assert not [exchange for exchange in gitlab.exchanges if exchange.path.endswith("/merge")]


async def test_a_push_after_the_approval_keeps_it_from_merging(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project, level="maintainer")
    head = dev.commits("work", {"a.txt": "a"})
    made = await opened(forge, repo)
    dev.pushes("work", {"b.txt": "b"})
    error = await raises("GW-FORGE-MERGE", forge.merge(repo, made.number, head))
    assert "SHA does not match HEAD" in error.why
    assert dev.project.merge_requests[made.number].state == "opened"


async def test_a_draft_and_a_branch_the_bot_may_not_merge_into_are_said(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project, level="maintainer")
    head = dev.commits("work", {"a.txt": "a"})
    draft = await opened(forge, repo, draft=True)
    error = await raises("GW-FORGE-MERGE", forge.merge(repo, draft.number, head))
    assert "405" in error.why
    dev.protects("main")
    await forge.close_change(repo, draft.number)
    second = await opened(forge, repo)
    error = await raises("GW-FORGE-MERGE", forge.merge(repo, second.number, head))
    assert "401" in error.why
    assert "allowed to merge" in error.fix
    assert "token" not in error.fix, "our token is as good as before"


@pytest.mark.parametrize("status", [405, 406, 409, 422])
async def test_every_refusal_to_merge_has_one_code(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person, status: int
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project, level="maintainer")
    head = dev.commits("work", {"a.txt": "a"})
    made = await opened(forge, repo)
    gitlab.fault("PUT", "/merge$", status=status, body=b'{"message":"Branch cannot be merged"}')
    error = await raises("GW-FORGE-MERGE", forge.merge(repo, made.number, head))
    assert "Branch cannot be merged" in error.why


async def test_what_was_merged_while_the_answer_was_lost_is_merged_once(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project, level="maintainer")
    head = dev.commits("work", {"a.txt": "a"})
    made = await opened(forge, repo)
    cut = gitlab.fault("PUT", "/merge$", cut=True)
    await forge.merge(repo, made.number, head)
    assert cut.hits == 1
    tip = await forge.head(repo, "main")
    await forge.merge(repo, made.number, head)
    assert await forge.head(repo, "main") == tip


async def test_what_was_merged_at_another_head_is_not_ours(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project, level="maintainer")
    head = dev.commits("work", {"a.txt": "a"})
    made = await opened(forge, repo)
    dev.commits("work", {"b.txt": "b"})
    dev.is_granted("maintainer").merges(made.number)
    await raises("GW-FORGE-MERGE", forge.merge(repo, made.number, head))


async def test_an_answer_that_does_not_say_merged_is_no_merge(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project, level="maintainer")
    head = dev.commits("work", {"a.txt": "a"})
    made = await opened(forge, repo)
    body = b'{"iid":1,"state":"opened","sha":"%b","merge_error":"Something went wrong during merge"}' % head.encode()
    gitlab.fault("PUT", "/merge$", status=200, body=body, headers={"content-type": "application/json"})
    error = await raises("GW-FORGE-MERGE", forge.merge(repo, made.number, head))
    assert error.why == "Something went wrong during merge"


def started(dev: Person) -> list[tuple[str, str, str]]:
    return [(p.source, p.sha, p.status) for p in dev.project.pipelines]


async def test_held_ci_of_a_merge_request_is_started_for_its_head(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    head = dev.pushes("work", FOR_CHANGES, options=["ci.skip"])
    assert started(dev) == [("push", head, "skipped")]
    made = await opened(forge, repo)
    assert started(dev)[1:] == [("merge_request_event", head, "created")], "the push option does not keep it from that"
    before = len(started(dev))
    await forge.release_ci(repo, made.number, "work", head)
    assert started(dev)[before:] == [("merge_request_event", head, "created")]


async def test_where_nothing_runs_for_merge_requests_the_branch_is_run(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    head = dev.pushes("work", FOR_BRANCHES, options=["ci.skip"])
    made = await opened(forge, repo)
    await forge.release_ci(repo, made.number, "work", head)
    assert started(dev) == [("push", head, "skipped"), ("api", head, "created")]
    await forge.release_ci(repo, 0, "work", head)
    assert started(dev)[2:] == [("api", head, "created")]


async def test_ci_is_released_for_no_other_commit(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    old = dev.pushes("work", FOR_BRANCHES, options=["ci.skip"])
    made = await opened(forge, repo)
    dev.pushes("work", {"evil.sh": "curl"}, options=["ci.skip"])
    for number in (made.number, 0):
        error = await raises("GW-FORGE-INVALID", forge.release_ci(repo, number, "work", old))
        assert "another head" in error.why
    await raises("GW-FORGE-INVALID", forge.release_ci(repo, made.number, "main", old))
    assert {state for _, _, state in started(dev)} == {"skipped"}


@pytest.mark.parametrize("config", [FOR_CHANGES, FOR_BRANCHES])
async def test_a_pipeline_that_got_another_commit_is_stopped(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person, config: dict[str, str]
) -> None:
    """A push between looking and starting: the answer says what was started."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    head = dev.pushes("work", config, options=["ci.skip"])
    made = await opened(forge, repo)
    stale = (await forge.get_change(repo, made.number), await forge.head(repo, "work"))
    assert stale[0] is not None
    dev.pushes("work", {"evil.sh": "curl"}, options=["ci.skip"])
    json = {"content-type": "application/json"}
    seen = b'{"iid":%d,"sha":"%b","source_branch":"work"}' % (made.number, head.encode())
    gitlab.fault("GET", r"/merge_requests/\d+$", status=200, body=seen, headers=json)
    gitlab.fault("GET", "/branches/work$", status=200, body=b'{"commit":{"id":"%b"}}' % head.encode(), headers=json)
    await raises("GW-FORGE-INVALID", forge.release_ci(repo, made.number, "work", head))
    assert started(dev)[-1][2] == "canceled"


async def test_a_merged_result_is_told_by_the_head(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """Of merged results GitLab names the commit that it made itself."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    head = dev.pushes("work", FOR_CHANGES, options=["ci.skip"])
    made = await opened(forge, repo)
    body = b'{"id":9,"sha":"%b"}' % (b"c" * 40)
    gitlab.fault("POST", "/pipelines$", status=201, body=body, headers={"content-type": "application/json"})
    await forge.release_ci(repo, made.number, "work", head)
    assert not [exchange for exchange in gitlab.exchanges if exchange.path.endswith("/cancel")]


async def test_a_repository_without_ci_says_so(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    head = dev.commits("work", {"a.txt": "a"})
    made = await opened(forge, repo)
    error = await raises("GW-FORGE-INVALID", forge.release_ci(repo, made.number, "work", head))
    assert "Missing CI config file" in error.why
