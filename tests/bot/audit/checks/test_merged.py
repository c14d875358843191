from __future__ import annotations

import pytest

from tests.bot.audit.checks.kit import found, in_git
from tests.bot.audit.signed import SignedStory
from tests.bot.audit.story import git


def amended(task: SignedStory, name: str, content: bytes) -> None:
    """Change a file in the merge commit itself."""
    (task.repo / name).write_bytes(content)
    git(task.repo, "add", "-A")
    git(task.repo, "commit", "-q", "--amend", "--no-edit")


def test_a_merge_that_holds_what_was_sealed(sealed):
    assert any(held.check == "merged" and "exactly what was sealed" in held.text for held in in_git(sealed).held)


@pytest.mark.parametrize("name", ["pay.py", "README", "new.py"])
def test_a_file_changed_in_the_merge_commit(sealed, name):
    amended(sealed, name, b"import steal\n")

    verdict = in_git(sealed)

    assert verdict.exit_code == 1
    assert "merged tree differs" in found(verdict, "merged").what
    assert found(verdict, "merged").file == name


class Busy(SignedStory):
    """The base branch moves on before the merge."""

    beside: tuple[str, bytes] = ("other.py", b"print()\n")

    def merge(self, *options):
        branch = git(self.repo, "rev-parse", "--abbrev-ref", "HEAD")
        git(self.repo, "switch", "-q", "main")
        self.commit(dict([self.beside]), "by others")
        git(self.repo, "switch", "-q", branch)
        return super().merge(*options)


@pytest.mark.parametrize("options", [(), ("--squash",)])
def test_what_others_merged_before_is_no_difference(tmp_path, options):
    class Merged(Busy):
        def merge(self, *_):
            return super().merge(*options)

    task = Merged(tmp_path / "busy").until_sealed()

    verdict = in_git(task)

    assert (verdict.exit_code, verdict.level) == (0, "L4")
    assert any("beside what its branch held" in held.text for held in verdict.held if held.check == "merged")
    amended(task, "other.py", b"print('changed')\n")
    assert found(in_git(task), "merged").file == "other.py"


def test_a_file_that_both_sides_changed_is_not_judged_and_named(tmp_path):
    class Both(Busy):
        beside = ("pay.py", b"# a file about paying\n\n\ndef pay(): ...\n")

        def merge(self, *options):
            git(self.repo, "config", "merge.default", "text")
            return super().merge("--no-ff", "--no-edit", "-X", "ours")

    verdict = in_git(Both(tmp_path / "both").until_sealed())

    assert any("1 files changed on both sides" in text for text in verdict.not_proven)
