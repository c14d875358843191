from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import msgspec
import pytest
import structlog

from bot.model.errors import Unavailable
from bot.model.state import Step
from bot.settings import Workspace
from runners import ground
from runners.access import Access
from runners.names import Names
from runners.workspace.bundle import pack
from runners.workspace.files import erase
from runners.workspace.git import Git
from runners.workspace.worktree import Worktree
from tests.runners.stage import SPEC, TASK, Stage, git, text
from tests.runners.workspace.forge import forge
from tests.runners.workspace.kit import Source


class Silent:
    """A key that is never asked to sign: local repositories need no access."""

    def sign(self, message: bytes) -> bytes:
        raise AssertionError(message)


def access(stage: Stage) -> Access:
    return Access(stage.redis, Names(TASK, 1), Silent(), stage.repo.forge, "")  # type: ignore[arg-type]


async def test_two_attempts_of_one_task_never_stand_on_one_worktree(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "LOCK_SECONDS", 0.3)
    order = stage.order(Step.CODING)
    async with ground.standing(stage.site, order, access(stage)):
        with pytest.raises(Unavailable, match="GW-WORKSPACE-BUSY"):
            async with ground.standing(stage.site, order, access(stage)):
                pass


async def test_the_next_attempt_waits_until_a_superseded_one_has_left(stage: Stage) -> None:
    order = stage.order(Step.CODING)
    left = asyncio.Event()

    async def first() -> None:
        async with ground.standing(stage.site, order, access(stage)) as (_, worktree):
            (worktree.path / "left.txt").write_text("by the first")
            await asyncio.sleep(0.2)
            left.set()

    task = asyncio.create_task(first())
    await asyncio.sleep(0.15)
    async with ground.standing(stage.site, order, access(stage)) as (_, worktree):
        assert left.is_set()
        assert not (worktree.path / "left.txt").exists()
    await task


async def _committed(worktree: Worktree) -> str:
    (worktree.path / "new.txt").write_text("n")
    made = await worktree.commit("step")
    assert made is not None
    return made.commit


async def test_after_an_attempt_its_worktree_stays_for_the_next_one(stage: Stage) -> None:
    async with ground.standing(stage.site, stage.order(Step.CODING), access(stage)) as (_, worktree):
        commit = await _committed(worktree)
    directory = stage.site.work / "tasks" / TASK
    assert (directory / "tree/new.txt").exists()
    async with ground.standing(stage.site, stage.order(Step.CODING, head=commit), access(stage)) as (_, worktree):
        assert (worktree.head, await worktree.is_safe()) == (commit, False)


async def test_when_the_task_is_over_nothing_of_it_stays(stage: Stage) -> None:
    order = stage.order(Step.CODING)
    async with ground.standing(stage.site, order, access(stage)) as (_, worktree):
        commit = await _committed(worktree)
        await worktree.push(order.clone_url, None, f"{commit}:refs/heads/{order.branch}")
    git(stage.origin, "branch", "-D", order.branch)  # as after a squashed merge
    async with ground.standing(stage.site, stage.order(Step.ARCHIVE, head=commit), access(stage)):
        pass
    assert list((stage.site.work / "tasks").iterdir()) == []


async def test_what_an_archive_that_fails_leaves_is_everything(stage: Stage) -> None:
    with pytest.raises(ConnectionError):
        async with ground.standing(stage.site, stage.order(Step.ARCHIVE), access(stage)):
            raise ConnectionError
    assert (stage.site.work / "tasks" / TASK / "tree/calc.py").exists()


async def test_unpushed_commits_outlive_their_task_and_a_line_says_where_they_are(stage: Stage) -> None:
    async with ground.standing(stage.site, stage.order(Step.CODING), access(stage)) as (_, worktree):
        commit = await _committed(worktree)
    with structlog.testing.capture_logs() as logs:
        async with ground.standing(stage.site, stage.order(Step.ARCHIVE, head=commit), access(stage)):
            pass
    directory = stage.site.work / "tasks" / TASK
    assert [each["commit"] for each in logs if each["event"] == "worktree.kept"] == [commit]
    assert git(directory / "git", "cat-file", "-t", commit) == "commit"
    assert not (directory / "tree").exists()


async def test_work_that_is_held_back_in_a_blob_is_no_reason_to_stay(stage: Stage) -> None:
    order = stage.order(Step.CODING)
    async with ground.standing(stage.site, order, access(stage)) as (_, worktree):
        commit = await _committed(worktree)
        held = stage.blobs.put(await pack(Git(worktree.directory / "git"), order.base_commit))
    over = stage.order(Step.ARCHIVE, head=commit, held_blob=held)
    async with ground.standing(stage.site, over, access(stage)):
        pass
    assert list((stage.site.work / "tasks").iterdir()) == []


async def test_an_attempt_notices_a_mirror_that_rotted_and_goes_on(stage: Stage) -> None:
    order = stage.order(Step.CODING)
    async with ground.standing(stage.site, order, access(stage)) as (mirror, _):
        pass
    for path in mirror.objects.glob("??/*"):
        if git(mirror.path, "cat-file", "-t", path.parent.name + path.name) == "blob":
            path.chmod(0o644)
            path.write_bytes(b"rot")
    for path in mirror.objects.glob("pack/*.pack"):
        path.chmod(0o644)
        path.write_bytes(b"rot")
    async with ground.standing(stage.site, order, access(stage)) as (_, worktree):
        assert (worktree.path / "calc.py").exists()


async def test_from_another_machine_work_goes_on_where_the_branch_is(stage: Stage) -> None:
    order = stage.order(Step.CODING, head="b" * 40)
    async with ground.standing(stage.site, order, access(stage)) as (_, worktree):
        assert worktree.head == stage.base


async def test_submodules_that_the_operator_allows_are_in_the_trees_of_an_attempt(stage: Stage, tmp_path: Path) -> None:
    """By the settings alone: the same base without them has an empty folder there."""
    lib = Source(tmp_path / "lib")
    commit = lib.commit({"code.py": "x = 1\n"})
    with forge(tmp_path) as server:
        server.public.add("lib")
        seed = stage.folder / "seed"
        (seed / ".gitmodules").write_text(f'[submodule "lib"]\n\tpath = lib\n\turl = {server.at}/lib/.git\n')
        git(seed, "add", "-A")
        git(seed, "update-index", "--add", "--cacheinfo", f"160000,{commit},lib")
        git(seed, "commit", "-q", "-m", "Submodule")
        git(seed, "push", "-q", str(stage.origin), "main")
        order = stage.order(Step.SPEC, base_commit=git(seed, "rev-parse", "main"))
        async with ground.standing(stage.site, order, access(stage)) as (_, worktree):
            assert list((worktree.path / "lib").iterdir()) == []
            assert server.seen == []
        stage.allow(Workspace(submodules=(f"{server.at}/",)))
        async with ground.standing(stage.site, order, access(stage)) as (_, worktree):
            assert (worktree.path / "lib/code.py").read_text() == "x = 1\n"
        stage.record(spec=[text(SPEC)])
        reports = await stage.perform(order)
    await erase(stage.site.work / "submodules")  # and the server is gone
    with pytest.raises(Unavailable, match="GW-GIT-AWAY"):
        async with ground.standing(stage.site, order, access(stage)):
            pass
    late = msgspec.structs.replace(order, step=Step.ARCHIVE)  # nobody reads a tree then: the evidence goes its way
    async with ground.standing(stage.site, late, access(stage)) as (_, worktree):
        assert worktree.parts == ()
    assert "agents read their files (lib)" in reports.blob("spec.set", "text")
    assert "absent content" not in {entry["data"].get("rule") for entry in reports.of("gate")}


async def test_a_commit_key_of_the_settings_signs_what_is_committed(stage: Stage, tmp_path: Path) -> None:
    key = tmp_path / "key"
    command = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0
    worker = msgspec.structs.replace(stage.site.settings.worker, commit_key_file=str(key))
    settings = msgspec.structs.replace(stage.site.settings, worker=worker)
    site = dataclasses.replace(stage.site, settings=settings)
    async with ground.standing(site, stage.order(Step.CODING), access(stage)) as (_, worktree):
        made = await worktree.write_files({"a": b"a\n"}, worktree.head, "Signed")
        raw = await Git(worktree.directory / "git").run("cat-file", "commit", made.commit)
    assert b"\ngpgsig -----BEGIN SSH SIGNATURE-----\n" in raw
