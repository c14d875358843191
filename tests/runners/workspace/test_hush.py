from __future__ import annotations

from contextlib import nullcontext

import pytest
from msgspec.structs import replace

from bot.model.errors import GatewrightError
from bot.model.event import ForgeKind, Repo
from bot.model.policy import Policy
from bot.model.state import Step
from runners.workspace import hush
from runners.workspace.git import Git
from tests.runners.stage import Stage


@pytest.mark.parametrize(
    ("forge", "ci", "options"),
    [
        (ForgeKind.GITLAB, "hold", ("ci.skip",)),
        (ForgeKind.GITLAB, "run", ()),
        (ForgeKind.GITHUB, "hold", ()),
        (ForgeKind.LOCAL, "hold", ()),
    ],
)
def test_which_pushes_carry_an_option(stage: Stage, forge: ForgeKind, ci: str, options: tuple[str, ...]) -> None:
    order = replace(stage.order(Step.CODING), repo=Repo(forge, "h", 1, "a/b"), policy=replace(Policy(), ci=ci))
    assert hush.options(order) == options
    assert hush.is_wanted(order) == (ci == "hold")


def test_the_mark_is_the_last_line() -> None:
    assert hush.hushed("Add it\n\nWhy.").splitlines()[-2:] == ["", "[skip ci]"]


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("Add it\n\n[skip ci]\n\nGatewright-Step: 1\n", True),
        ("Say what `[skip ci]` means\n", False),
        ("Add it\n", False),
    ],
)
async def test_a_mark_within_other_words_does_not_count_as_ours(stage: Stage, message: str, found: bool) -> None:
    git = Git(stage.origin)
    env = {f"GIT_{role}_{part}": "t" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    tree = await git.line("rev-parse", f"{stage.base}^{{tree}}")
    commit = await git.line("commit-tree", tree, "-F", "-", input=message.encode(), env=env)
    with nullcontext() if found else pytest.raises(GatewrightError, match="GW-CI-UNMARKED"):
        await hush.require(git, commit)
