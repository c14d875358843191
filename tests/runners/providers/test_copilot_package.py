"""What the Copilot CLI unpacks is kept: once, by one, whole or not at all. Scripts stand in for the 200 MB program."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runners.providers.command import CommandProvider
from runners.providers.copilot import Copilot
from runners.providers.copilot_package import _extract, unpacked
from runners.providers.errors import ProviderError
from runners.workspace.sandbox import Sandbox, probe
from tests.conftest import missing
from tests.runners.providers.stage import open_stage

PACKAGE = "$HOME/.cache/copilot/pkg/linux-x64/1.2.3"
GOOD = f"mkdir -p {PACKAGE}/bin && cd {PACKAGE} && echo js > index.js && echo rg > bin/rg && chmod 755 bin/rg"


@pytest.fixture
def shelf() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gw-shelf-") as name:
        Path(name).chmod(0o711)
        yield Path(name) / "kept"


@pytest.fixture
async def jail() -> AsyncIterator[Sandbox]:
    if lacks := probe():
        missing(lacks)
    async with open_stage(CommandProvider(Copilot()), "openai", "gpt-4.1") as stage:
        yield stage.jail


def program(shelf: Path, line: str) -> Path:
    path = shelf.with_name("copilot")
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] || exit 9\n{line}\n')
    path.chmod(0o755)
    return path


def test_a_version_is_unpacked_once_and_anybody_may_read_it(shelf: Path, jail: Sandbox) -> None:
    source = program(shelf, GOOD)
    kept = unpacked(source, shelf, jail)
    assert kept
    assert {path.relative_to(kept).as_posix(): oct(path.stat().st_mode & 0o777) for path in kept.rglob("*.*")} == {
        "linux-x64/1.2.3": "0o755", "linux-x64/1.2.3/index.js": "0o644",
    }  # fmt: skip
    assert (kept / "linux-x64/1.2.3/bin/rg").stat().st_mode & 0o777 == 0o755
    source.write_text(source.read_text() + "exit 1\n")  # a new version, which does not unpack
    with pytest.raises(ProviderError):
        unpacked(source, shelf, jail)
    assert sorted(path.name for path in shelf.iterdir() if path.is_dir()) == [kept.name]  # and nothing half-done


def test_it_is_not_unpacked_again(shelf: Path, jail: Sandbox) -> None:
    source = program(shelf, GOOD)
    first = unpacked(source, shelf, jail)
    assert first
    marked = first / "mark"
    marked.touch()
    assert unpacked(source, shelf, jail) == first
    assert marked.exists()


def test_two_at_once_get_the_same_one(shelf: Path, jail: Sandbox) -> None:
    source = program(shelf, f"sleep 0.5; {GOOD}")
    with ThreadPoolExecutor(4) as pool:
        kept = {*pool.map(lambda _: unpacked(source, shelf, jail), range(4))}
    assert len(kept) == 1
    assert len([path for path in shelf.iterdir() if path.is_dir()]) == 1


def test_where_it_cannot_be_kept_runs_do_without(shelf: Path, jail: Sandbox) -> None:
    source = program(shelf, GOOD)
    shelf.write_text("a file")
    assert unpacked(source, shelf, jail) is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("echo 'ENOSPC: no space left' >&2; exit 1", "ENOSPC: no space left"),
        ("true", "copilot/pkg"),  # no package after all
        (f"{GOOD}; ln -s /etc/passwd {PACKAGE}/link", "link"),
    ],
)
def test_a_program_that_does_not_unpack_is_an_error_with_its_words(
    shelf: Path, jail: Sandbox, line: str, why: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        unpacked(program(shelf, line), shelf, jail)
    assert why in caught.value.why
    assert caught.value.fix
    assert not [path for path in shelf.iterdir() if path.is_dir()]


def test_it_unpacks_in_the_jail(shelf: Path, jail: Sandbox) -> None:
    secret = shelf.with_name("secret")
    secret.touch()
    kept = unpacked(
        program(shelf, f"{GOOD}; ls {secret} / /workspace > seen 2>&1; echo no > /workspace/x; true"), shelf, jail
    )
    assert kept
    seen = (kept / "linux-x64/1.2.3/seen").read_text()
    assert f"cannot access '{secret}'" in seen
    assert "calc.py" in seen
    assert [path.name for path in jail.worktree.iterdir()] == ["calc.py"]


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out"])
def test_nothing_is_written_outside_of_the_package(name: str, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    packed.seek(0)
    with tarfile.open(fileobj=packed) as archive, pytest.raises(ProviderError):
        _extract(archive, archive.getmembers()[0], tmp_path / "pkg")
    assert not [*tmp_path.rglob("out")]
