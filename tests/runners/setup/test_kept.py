"""Only the base commit's rules say what is kept; the set-up's own say nothing."""

from __future__ import annotations

from pathlib import Path

from runners.setup.kept import keep
from tests.runners.workspace.kit import Source


async def kept(tmp_path: Path, rules: dict[str, str], files: dict[str, str]) -> list[str]:
    source = Source(tmp_path / "source")
    base = source.commit({"src/a.py": "a\n", **rules})
    for name, text in files.items():
        (source.path / name).parent.mkdir(parents=True, exist_ok=True)
        (source.path / name).write_text(text)
    (source.path / "deps").mkdir(exist_ok=True)
    (source.path / "deps" / "out").symlink_to("/etc/passwd")
    source.git(f"clone -q --bare . {tmp_path / 'ours'}")  # as a worktree has it: beside the tree, not in it
    await keep(tmp_path / "ours", base, source.path, tmp_path / "goal", tmp_path / "scratch")
    goal = tmp_path / "goal"
    return sorted(str(path.relative_to(goal)) for path in goal.rglob("*") if not path.is_dir())


async def test_what_the_base_ignores_is_kept_wherever_it_lies(tmp_path: Path) -> None:
    files = {
        "deps/x/y": "1",
        "src/build.o": "2",
        "new/a.o": "3",
        "new/b.txt": "4",
        "src/new.py": "5",
        "sub/deps/z": "6",
    }
    found = await kept(tmp_path, {".gitignore": "deps/\n*.o\n"}, files)
    assert found == ["deps/out", "deps/x/y", "new/a.o", "src/build.o", "sub/deps/z"]
    assert (tmp_path / "goal" / "deps" / "out").is_symlink()


async def test_rules_that_the_set_up_writes_do_not_count(tmp_path: Path) -> None:
    files = {
        ".gitignore": "*\n",
        "src/.gitignore": "evil.py\n",
        "src/evil.py": "1",
        "venv/.gitignore": "*",
        "venv/x": "1",
    }
    assert await kept(tmp_path, {".gitignore": "deps/\n"}, files) == ["deps/out"]
