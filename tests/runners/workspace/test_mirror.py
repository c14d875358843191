"""One mirror per repository: fetched under a lock, objects kept."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from bot.forges.protocol import GitAccess
from bot.model.errors import Unavailable
from bot.model.event import ForgeKind, Repo
from runners.workspace import lock
from runners.workspace.git import GitError
from runners.workspace.mirror import DAMAGED, PINS, Mirror
from tests.conftest import ROOT, missing
from tests.runners.workspace.kit import REPO, ask, serve, sh

ACCESS = GitAccess("x-access-token", "s3cr3t-tok3n", 0)


async def test_a_fetch_brings_the_base_branch_and_nothing_that_is_not_merged(mirror, source):
    source.git("checkout -q -b gatewright/1-aaaaaa-fix")
    theirs = source.commit({"secret": "s"})
    source.git("tag v1")
    source.git("checkout -q main")
    head = source.commit({"new": "n"})
    await mirror.fetch()
    assert await mirror.head("main") == head
    assert await mirror.head("gatewright/1-aaaaaa-fix") is None
    assert not await mirror.has(theirs)
    await mirror.fetch(None, "gatewright/1-aaaaaa-fix")  # the test can tell: as a base branch it is fetched
    assert await mirror.has(theirs)


async def test_a_mirror_is_found_by_identity_whatever_the_repository_is_called(mirror, work, source):
    renamed = Repo(REPO.forge, REPO.host, REPO.id, "other/name")
    assert (await Mirror.open(work / "mirrors", renamed, str(source.path))).path == mirror.path
    another = Repo(ForgeKind.LOCAL, "localhost", 2, REPO.path)
    assert (await Mirror.open(work / "mirrors", another, str(source.path))).path != mirror.path


async def test_commits_of_a_branch_that_was_rewritten_or_is_gone_stay(mirror, source):
    source.git("checkout -q -b side")
    commit = source.commit({"side": "s"})
    await mirror.fetch(None, "side")
    source.git("reset -q --hard main")
    rewritten = source.commit({"side": "t"})
    await mirror.fetch(None, "side")
    assert await mirror.head("side") == rewritten
    source.git("checkout -q main")
    source.git("branch -q -D side")
    source.git("checkout -q -b side/deeper")  # a name that needs the old one's place
    await mirror.fetch(None, "side/deeper")
    assert await mirror.head("side/deeper") == source.git("rev-parse side/deeper")
    assert await mirror.has(commit)


async def test_fetches_at_once_wait_for_each_other(mirror, work, source):
    head = source.commit({"new": "n"})
    others = [await Mirror.open(work / "mirrors", REPO, str(source.path)) for _ in range(4)]
    await asyncio.gather(*(other.fetch() for other in others))
    assert await mirror.head("main") == head


async def test_two_processes_fetch_at_once(mirror, source):
    head = source.commit({"new": "n"})
    code = f"""
import asyncio, pathlib
from runners.workspace.mirror import Mirror
async def main():
    for _ in range(5):
        await Mirror(pathlib.Path({str(mirror.path)!r}), {mirror.url!r}).fetch()
asyncio.run(main())
"""
    running = [python(code) for _ in range(3)]
    assert [(each.communicate(timeout=60)[1], each.returncode) for each in running] == [(b"", 0)] * 3
    assert await mirror.head("main") == head


async def test_git_keeps_the_lock_when_its_worker_is_killed(mirror, source, place):
    """A fetch that outlives its worker writes still; nobody else may tidy up what it is writing."""
    source.commit({"new": "n"})
    slow = place / "bin"
    slow.mkdir()
    (slow / "git").write_text('#!/bin/sh\ncase "$*" in *fetch*) sleep 2;; esac\nexec /usr/bin/git "$@"\n')
    (slow / "git").chmod(0o755)
    code = f"""
import asyncio, pathlib
from runners.workspace.mirror import Mirror
asyncio.run(Mirror(pathlib.Path({str(mirror.path)!r}), {mirror.url!r}).fetch())
"""
    worker = python(code, path=f"{slow}:/usr/bin:/bin")
    lock_file = mirror.path.with_suffix(".lock")
    await until(lambda: git_holds(lock_file))
    worker.kill()
    worker.communicate(timeout=20)
    assert lock.take(lock_file) is None
    await mirror.fetch()
    assert await mirror.head("main") == source.git("rev-parse main")


async def test_what_a_killed_fetch_leaves_is_tidied_and_the_mirror_stays_usable(mirror, source):
    head = source.commit({"new": "n"})
    (mirror.objects / "pack").mkdir(exist_ok=True)
    left = [
        mirror.objects / "pack/tmp_pack_x1",
        mirror.path / "refs/gatewright/branch/main.lock",
        mirror.path / "packed-refs.lock",
    ]
    for path in left:
        path.write_bytes(b"half")
    assert sh("git fetch -q origin", mirror.path).returncode  # git by itself does not get over it
    await mirror.fetch()
    assert await mirror.head("main") == head
    assert not any(path.exists() for path in left)


@pytest.mark.parametrize("part", ["packed", "refs", "head"])
async def test_a_damaged_mirror_is_noticed_and_made_anew(mirror, source, part):
    base = source.git("rev-parse main")
    await mirror.pin("1-aaaaaa", base)
    source.commit({"new": "n"})
    if part == "packed":
        for path in list(mirror.objects.rglob("*")):
            if path.is_file():
                path.chmod(0o644)
                path.write_bytes(b"rot")
    elif part == "refs":
        (mirror.path / "refs/gatewright/branch/main").write_text("rot\n")
    else:
        (mirror.path / "HEAD").write_text("rot\n")
    with structlog.testing.capture_logs() as logs:
        await mirror.fetch()
    assert await mirror.head("main") == source.git("rev-parse main")
    assert (await mirror._git.line("rev-parse", f"{PINS}1-aaaaaa")) == base
    said = [each for each in logs if each["event"] == "mirror.damaged"]
    assert len(said) == 1
    assert said[0]["why"]
    assert sh("git fsck", mirror.path).returncode == 0
    aside = [path for path in mirror.path.parent.iterdir() if DAMAGED in path.name]
    assert len(aside) == 1, "whoever reads the old one still can"


async def test_damage_that_no_fetch_meets_is_found_when_it_is_looked_for(mirror, source):
    (blob,) = [path for path in mirror.objects.glob("??/*") if _is_blob(source, path)][:1]
    blob.chmod(0o644)
    blob.write_bytes(b"rot")
    await mirror.fetch()
    assert await mirror.mend(None, "main")
    assert sh("git fsck", mirror.path).returncode == 0
    assert not await mirror.mend(None, "main")


def _is_blob(source, path) -> bool:
    return source.git(f"cat-file -t {path.parent.name}{path.name}") == "blob"


async def test_a_branch_that_does_not_exist_is_no_damage(mirror):
    with structlog.testing.capture_logs() as logs, pytest.raises(GitError, match="GW-GIT-FAILED") as caught:
        await mirror.fetch(None, "nothing")
    assert "nothing" in caught.value.why
    assert not logs


async def test_a_full_disk_is_called_that(place, source):
    if os.geteuid() != 0:
        missing("mounting a small disk takes root")
    source.commit({"large": os.urandom(3 << 20).hex()})
    small = place / "small"
    small.mkdir()
    assert ask("mount", "-t", "tmpfs", "-o", "size=2m", "none", str(small)).returncode == 0
    try:
        mirror = await Mirror.open(small / "m", REPO, str(source.path))
        with pytest.raises(GitError, match="GW-GIT-DISK") as caught:
            await mirror.fetch()
        assert "worker.work_dir" in caught.value.fix
        assert ask("mount", "-o", "remount,size=64m", str(small)).returncode == 0
        await mirror.fetch()
        assert await mirror.head("main") == source.git("rev-parse main")
    finally:
        assert ask("umount", str(small)).returncode == 0


def python(code: str, path: str = "/usr/bin:/bin") -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env={"PATH": path}, stderr=subprocess.PIPE)


async def until(holds) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.02)


def git_holds(path) -> bool:
    """Tell whether a process besides Python has the lock file open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink() == path and "python" not in (link.parent.parent / "comm").read_text():
                return True
        except OSError:
            continue  # ended meanwhile, or not ours
    return False


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
