from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from bot import settings
from bot.model.state import Step
from runners.setup.key import digest, system
from runners.workspace.git import Git
from tests.runners.stage import FILES, Stage, raised

TABLE = settings.Sandbox()


@pytest.fixture
def locked(redis_url: str):
    with raised(redis_url, {**FILES, "uv.lock": "1\n", "tools/prepare": "echo\n"}) as stage:
        yield stage


async def key(
    stage: Stage, *commands: str, base: str = "", table: settings.Sandbox = TABLE, branch: str = "main"
) -> str:
    order = replace(stage.order(Step.CODING), base_commit=base or stage.base, base_branch=branch)
    return await digest(Git(stage.origin), order, commands or ("tools/prepare",), table)


async def test_what_makes_another_result_has_another_digest(locked: Stage) -> None:
    first = await key(locked)
    assert await key(locked) == first
    others = [
        await key(locked, "tools/prepare", "true"),
        await key(locked, branch="side"),
        await key(locked, table=replace(TABLE, binds=("/opt/jdk",))),
        await key(locked, base=locked.push({"uv.lock": "2\n"}, locked.base)),
        await key(locked, base=locked.push({"tools/prepare": "curl evil\n"}, locked.base)),
        await key(locked, base=locked.push({"sub/.gitignore": "x\n"}, locked.base)),
    ]
    assert len({first, *others}) == len(others) + 1
    assert await key(locked, base=locked.push({"calc.py": "x = 1\n"}, locked.base)) == first


async def test_a_repository_that_pins_nothing_counts_whole(stage: Stage) -> None:
    first = await key(stage)
    assert await key(stage, base=stage.push({"calc.py": "x = 1\n"}, stage.base)) != first


def test_a_root_file_system_is_another_machine(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "os-release").write_text("ID=one\n")
    mine = system(replace(TABLE, rootfs=str(tmp_path)))
    assert mine != system(TABLE)
    (tmp_path / "etc" / "os-release").write_text("ID=two\n")
    assert system(replace(TABLE, rootfs=str(tmp_path))) != mine
