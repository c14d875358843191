"""What people may push onto our branch."""

from __future__ import annotations

import pytest

from bot.model.errors import GatewrightError
from bot.model.state import Step
from runners.foreign import examine, made
from runners.workspace.git import Git
from tests.runners.stage import CODED, TASK, Stage, git

OURS = f".gatewright/tasks/{TASK}"
JOURNAL = f"{OURS}/audit/0000.jsonl"


async def published(stage: Stage) -> str:
    """A branch with evidence on it, all of it recorded."""
    stage.record(coding=CODED)
    for step in (Step.CODING, Step.PUBLISH):
        reports = await stage.perform(stage.order(step, head=stage.head()))
        assert reports.end["outcome"] == "ok", reports.explanation()
        stage.take_in(reports)
    return stage.branch()


def journal(stage: Stage) -> list[bytes]:
    return [line for line in stage.redis.lrange(f"gw:journal:{TASK}", 0, -1) if isinstance(line, bytes)]


async def check(stage: Stage, head: str, upstream: str = "") -> None:
    await examine(Git(stage.origin), TASK, stage.base, head, journal=journal(stage), upstream=upstream)


async def refused(stage: Stage, head: str, **more: str) -> str:
    with pytest.raises(GatewrightError, match="GW-PATCH-REFUSED") as caught:
        await check(stage, head, **more)
    return str(caught.value)


async def test_our_own_evidence_passes_and_so_does_work_on_top_of_it(stage: Stage) -> None:
    head = await published(stage)
    await check(stage, head)
    await check(stage, stage.push({"calc.py": "x = 1\n"}, head))


async def test_recorded_commits_are_known_newest_first(stage: Stage) -> None:
    head = await published(stage)
    found = made(journal(stage))
    assert (found[0], len(found)) == (head, 3)


@pytest.mark.parametrize(
    "files",
    [
        {JOURNAL: "forged\n"},
        {f"{OURS}/seal.dsse.json": "forged\n"},
        {f"{OURS}/deep/code.py": "hidden\n"},
        {".gatewright/tasks/44-aaaaaa/qa.md": "forged\n"},
    ],
)
async def test_evidence_that_somebody_else_wrote_is_refused(stage: Stage, files: dict[str, str]) -> None:
    head = await published(stage)
    found = await refused(stage, stage.push(files, head))
    assert next(iter(files)).rpartition("/deep")[0].rpartition("/audit")[0][:26] in found


async def test_evidence_with_another_mode_is_refused(stage: Stage) -> None:
    head = await published(stage)
    stage.push({}, head, allow_empty=True)
    clone = stage.folder / "person"
    git(clone, "update-index", "--chmod=+x", JOURNAL)
    git(clone, "commit", "-q", "-m", "mode")
    git(clone, "push", "-q", "origin", "HEAD:refs/heads/x")
    assert OURS in await refused(stage, git(clone, "rev-parse", "HEAD"))


async def test_evidence_that_is_taken_away_is_refused(stage: Stage) -> None:
    await published(stage)
    bare = git(stage.origin, "commit-tree", f"{stage.base}^{{tree}}", "-p", stage.branch(), "-m", "gone")
    assert OURS in await refused(stage, bare)


async def test_a_commit_that_says_it_is_ours_is_not_believed(stage: Stage) -> None:
    head = await published(stage)
    forged = stage.push({f"{OURS}/qa.md": "passed\n"}, head)
    tree = git(stage.origin, "rev-parse", f"{forged}^{{tree}}")
    message = f"Add the evidence of task {TASK}\n\nGatewright-Task: {TASK}\nGatewright-Step: evidence\n"
    who = {f"GIT_{role}_{part}": "Gatewright" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    twin = git(stage.origin, "commit-tree", tree, "-p", head, "-m", message, **who)
    assert OURS in await refused(stage, twin)


async def test_a_branch_that_was_set_back_holds_what_it_held_then(stage: Stage) -> None:
    head = await published(stage)
    await check(stage, f"{head}~1")


async def test_a_rebased_branch_may_keep_the_newest_evidence(stage: Stage) -> None:
    head = await published(stage)
    moved = git(stage.origin, "commit-tree", f"{head}^{{tree}}", "-p", stage.base, "-m", "squashed by hand")
    await check(stage, moved)


async def test_evidence_of_other_tasks_comes_with_the_default_branch_only(stage: Stage) -> None:
    head = await published(stage)
    merged = stage.push({".gatewright/tasks/44-aaaaaa/qa.md": "passed\n"}, head)
    upstream = git(stage.origin, "commit-tree", f"{merged}^{{tree}}", "-p", stage.base, "-m", "main")
    await check(stage, merged, upstream)
    altered = stage.push({".gatewright/tasks/44-aaaaaa/qa.md": "PASSED\n"}, merged)
    assert "44-aaaaaa" in await refused(stage, altered, upstream=upstream)


@pytest.mark.parametrize("path", [".gitmodules", ".Gatewright/tasks/x", "a\\b"])
async def test_names_that_no_agent_may_use(stage: Stage, path: str) -> None:
    assert path in await refused(stage, stage.push({path: "x"}, stage.base))


async def test_links_and_gitlinks_that_lead_out(stage: Stage) -> None:
    stage.push({"calc.py": "x\n"}, stage.base)
    clone = stage.folder / "person"
    (clone / "way").symlink_to("../../etc")
    git(clone, "add", "-A")
    git(clone, "update-index", "--add", "--cacheinfo", f"160000,{stage.base},lib")
    git(clone, "commit", "-q", "-m", "x")
    git(clone, "push", "-q", "origin", "HEAD:refs/heads/x")
    assert "lib" in await refused(stage, git(clone, "rev-parse", "HEAD"))


async def test_what_steers_the_bot_comes_from_the_default_branch_alone(stage: Stage) -> None:
    """People may merge a new policy into our branch, and may not make or drop one there."""
    head = await published(stage)
    tight = {".gatewright.toml": "[policy]\nmin_role = 'admin'\n"}
    with_it = stage.push(tight, head)
    assert ".gatewright.toml" in await refused(stage, with_it)
    upstream = stage.push(tight, stage.base)
    await check(stage, with_it, upstream)
    assert ".gatewright.toml" in await refused(
        stage, stage.push({".gatewright.toml": "# mine\n"}, head), upstream=upstream
    )
    stage.push({}, head, allow_empty=True)
    clone = stage.folder / "person"
    git(clone, "rm", "-q", ".gatewright.toml")
    git(clone, "commit", "-q", "-m", "without")
    git(clone, "push", "-q", "origin", "HEAD:refs/heads/y")
    dropped = git(clone, "rev-parse", "HEAD")
    assert ".gatewright.toml" in await refused(stage, dropped, upstream=upstream)
    assert ".gatewright.toml" in await refused(stage, dropped, upstream="0" * 40)
