"""One mirror per repository: fetched under a lock, objects kept."""

from __future__ import annotations

import asyncio
import stat

import pytest

from bot.forges.protocol import GitAccess
from bot.model.errors import Unavailable
from bot.model.event import ForgeKind, Repo
from runners.workspace.git import GitError
from runners.workspace.mirror import Mirror
from tests.runners.workspace.kit import REPO, serve, sh

ACCESS = GitAccess("x-access-token", "s3cr3t-tok3n", 0)


async def test_a_fetch_brings_every_branch_and_its_new_commits(mirror, source):
    source.git("branch gatewright/1-aaaaaa-fix")
    head = source.commit({"new": "n"})
    await mirror.fetch()
    assert await mirror.head("main") == head
    assert await mirror.head("gatewright/1-aaaaaa-fix") is not None
    assert await mirror.head("nothing") is None


async def test_a_mirror_is_found_by_identity_whatever_the_repository_is_called(mirror, work, source):
    renamed = Repo(REPO.forge, REPO.host, REPO.id, "other/name")
    assert (await Mirror.open(work / "mirrors", renamed, str(source.path))).path == mirror.path
    another = Repo(ForgeKind.LOCAL, "localhost", 2, REPO.path)
    assert (await Mirror.open(work / "mirrors", another, str(source.path))).path != mirror.path


async def test_commits_of_a_branch_that_is_gone_stay(mirror, source):
    source.git("checkout -q -b side")
    commit = source.commit({"side": "s"})
    await mirror.fetch()
    source.git("checkout -q main")
    source.git("branch -q -D side")
    source.git("checkout -q -b side/deeper")  # a name that needs the old one's place
    await mirror.fetch()
    assert await mirror.head("side") is None
    assert await mirror.has(commit)


async def test_fetches_at_once_wait_for_each_other(mirror, work, source):
    head = source.commit({"new": "n"})
    others = [await Mirror.open(work / "mirrors", REPO, str(source.path)) for _ in range(4)]
    await asyncio.gather(*(other.fetch() for other in others))
    assert await mirror.head("main") == head


async def test_objects_are_readable_and_never_writable_by_others_whatever_the_umask(mirror):
    for path in mirror.objects.rglob("*"):
        mode = path.stat().st_mode
        assert mode & stat.S_IROTH, path
        assert not mode & stat.S_IWOTH, path


async def test_the_place_of_all_mirrors_is_closed_to_others(work):
    assert not work.stat().st_mode & stat.S_IRWXO


async def test_a_private_repository_is_fetched_with_basic_auth(work, source):
    with serve(source.path.parent) as server:
        mirror = await Mirror.open(work / "m", REPO, server.url)
        await mirror.fetch(ACCESS)
        assert await mirror.head("main") == source.git("rev-parse HEAD")
        assert any(given == server.expected for _, given in server.seen)
    assert "s3cr3t" not in sh("grep -r s3cr3t . ; git config --list", mirror.path).stdout


async def test_a_wrong_credential_says_so_without_repeating_it(work, source):
    with serve(source.path.parent) as server:
        mirror = await Mirror.open(work / "m", REPO, server.url)
        with pytest.raises(GitError) as caught:
            await mirror.fetch(GitAccess("x-access-token", "wr0ng-tok3n", 0))
        assert caught.value.code == "GW-GIT-ACCESS"
        assert "wr0ng" not in str(caught.value)
        with pytest.raises(GitError, match="GW-GIT-ACCESS"):
            await mirror.fetch(None)


async def test_a_redirect_is_not_followed_so_the_credential_stays_with_its_host(work, source):
    with serve(source.path.parent) as elsewhere, serve(source.path.parent) as server:
        server.redirect = f"http://127.0.0.1:{elsewhere.server_port}"
        mirror = await Mirror.open(work / "m", REPO, server.url)
        with pytest.raises(GitError):
            await mirror.fetch(ACCESS)
        assert elsewhere.seen == []


async def test_a_forge_that_is_away_is_worth_a_retry(work):
    mirror = await Mirror.open(work / "m", REPO, "http://127.0.0.1:1/x.git")
    with pytest.raises(Unavailable, match="GW-GIT-AWAY"):
        await mirror.fetch(ACCESS)


@pytest.mark.parametrize(
    "url", ["ext::sh -c touch% /tmp/x", "ssh://host/x", "file:///x", "--upload-pack=x", "x/y", "http://"]
)
async def test_other_transports_are_refused_before_git_starts(work, url):
    mirror = await Mirror.open(work / "m", REPO, url)
    with pytest.raises(GitError, match="GW-GIT-URL"):
        await mirror.fetch()


async def test_a_credential_in_a_url_is_refused_and_not_repeated(work):
    mirror = await Mirror.open(work / "m", REPO, "https://bot:hunter2@example.org/x.git")
    with pytest.raises(GitError) as caught:
        await mirror.fetch()
    assert "hunter2" not in str(caught.value)
