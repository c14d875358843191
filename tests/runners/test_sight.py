from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from runners import sight
from runners.scope.view import File, View
from runners.sight import look
from runners.workspace.git import Git
from tests.runners.stage import TASK, git


class Repository:
    """Two commits to compare."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        git(path, "init", "-q", "-b", "main")
        self.base = self.commit({"calc.py": b"a\nb\n", "old.bin": b"\0", ".gitlab-ci.yml": b"include: ci/a.yml\n"})

    def commit(self, files: dict[str, bytes | None]) -> str:
        for name, content in files.items():
            place = self.path / name
            if content is None:
                place.unlink()
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        git(self.path, "add", "-A")
        git(self.path, "commit", "-q", "--allow-empty", "-m", "change")
        return git(self.path, "rev-parse", "HEAD")

    async def view(self) -> View:
        return await look(Git(self.path / ".git"), self.base, git(self.path, "rev-parse", "HEAD"))

    async def file(self) -> File:
        (only,) = (await self.view()).files
        return only


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


async def test_a_changed_file_with_both_its_sides(repository: Repository) -> None:
    repository.commit({"calc.py": b"a\nc\n"})
    file = await repository.file()
    assert (file.path, file.old, file.new) == ("calc.py", "a\nb\n", "a\nc\n")
    assert (file.added, file.removed, file.lines) == (("c",), ("b",), 2)
    assert file.sha256 == hashlib.sha256(b"a\nc\n").hexdigest()
    assert (file.is_new, file.is_gone, file.is_readable) == (False, False, True)


async def test_new_and_gone(repository: Repository) -> None:
    repository.commit({"new.py": b"x\n", "calc.py": None})
    gone, new = (await repository.view()).files
    assert (gone.is_gone, gone.sha256, gone.old) == (True, "", "a\nb\n")
    assert (new.is_new, new.new) == (True, "x\n")


async def test_evidence_is_left_out_and_its_neighbours_are_not(repository: Repository) -> None:
    repository.commit({f".gatewright/tasks/{TASK}/qa.md": b"x", ".gatewright/other": b"x"})
    assert (await repository.file()).path == ".gatewright/other"


@pytest.mark.parametrize("content", [b"\0", b"\xff\xfe", b"x" * (sight.TEXT + 1)])
async def test_what_cannot_be_read_says_so_and_keeps_its_digest(repository: Repository, content: bytes) -> None:
    repository.commit({"a.dat": content})
    file = await repository.file()
    assert (file.is_readable, file.new, file.sha256) == (False, "", hashlib.sha256(content).hexdigest())


async def test_beyond_what_is_read_in_all_nothing_passes_as_read(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sight, "TEXTS", 15)
    repository.commit({"a": b"x" * 10, "b": b"y" * 10})
    assert [file.is_readable for file in (await repository.view()).files] == [True, False]


async def test_text_that_was_binary_before_is_new_throughout(repository: Repository) -> None:
    repository.commit({"old.bin": b"x\n"})
    assert (await repository.file()).added == ("x",)


async def test_a_link_shows_its_target_and_is_not_followed(repository: Repository) -> None:
    (repository.path / "link").symlink_to("/etc/passwd")
    repository.commit({})
    file = await repository.file()
    assert (file.mode, file.new) == ("120000", "/etc/passwd")


async def test_a_gitlink_is_a_path_and_a_mode(repository: Repository) -> None:
    git(repository.path, "update-index", "--add", "--cacheinfo", f"160000,{repository.base},lib")
    git(repository.path, "commit", "-q", "-m", "lib")
    file = await repository.file()
    assert (file.path, file.mode, file.sha256) == (
        "lib", "160000", hashlib.sha256(repository.base.encode()).hexdigest()
    )  # fmt: skip


async def test_no_attribute_of_the_tree_hides_a_change(repository: Repository) -> None:
    repository.commit({".gitattributes": b"* -diff binary\n", "calc.py": b"a\nb\nc\n"})
    found = {file.path: file for file in (await repository.view()).files}
    assert (found["calc.py"].lines, found["calc.py"].added) == (1, ("c",))


@pytest.mark.parametrize(("name", "shown"), [("a\nb\tc", "a\nb\tc"), ("caf\udce9", "caf\\xe9"), ("-x", "-x")])
async def test_names_that_are_hard_to_say(repository: Repository, name: str, shown: str) -> None:
    repository.commit({name: b"x\n"})
    assert (await repository.file()).path == shown


async def test_ci_files_and_what_they_include_of_both_sides(repository: Repository) -> None:
    repository.commit({"ci/a.yml": b"include: b.yml\n", "b.yml": b"deep\n", "c.yml": b"not named\n"})
    documents = (await repository.view()).documents
    assert [document.path for document in documents] == [".gitlab-ci.yml", ".gitlab-ci.yml", "ci/a.yml", "b.yml"]


async def test_nothing_has_changed(repository: Repository) -> None:
    repository.commit({})
    assert (await repository.view()).files == ()
