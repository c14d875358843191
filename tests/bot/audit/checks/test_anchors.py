from __future__ import annotations

import msgspec
import pytest

from bot.audit import kinds, layout
from bot.audit.sheet import Severity
from bot.model.state import Gate
from tests.bot.audit.checks.kit import alone, found, in_git
from tests.bot.audit.signed import SignedStory, note_at
from tests.bot.audit.story import TASK, git

AUDIT = f"refs/gatewright/audit/{TASK}"
BRANCH = f"gatewright/{TASK}-retry"


def test_the_longest_copy_is_judged_and_the_shorter_one_beside_it(sealed):
    verdict = in_git(sealed)

    assert (verdict.exit_code, verdict.level, verdict.records) == (0, "L4", 61)
    assert "goes on from the 52 records of the work tree" in verdict.source
    assert any("4 of 4 commits" in held.text for held in verdict.held)


def test_a_change_in_the_shorter_copy_is_still_found(sealed):
    path = sealed.directory / "spec.md"
    path.write_bytes(b"# Something else\n")
    git(sealed.repo, "commit", "-qam", "tidy")

    verdict = in_git(sealed)

    assert verdict.exit_code == 1
    assert found(verdict, "spec").file.endswith("spec.md")


def test_without_git_level_3_rests_on_texts_and_says_so(sealed):
    verdict = alone(sealed)

    assert verdict.level == "L4"
    assert any("no git repository here" in text for text in verdict.not_proven)


def told(tmp_path, message) -> SignedStory:
    """Tell a task whose trailers are changed on their way."""

    class Bent(SignedStory):
        def commit(self, files, text):
            oid = super().commit(files, text)
            if text == "evidence":
                said = message(git(self.repo, "log", "-1", "--format=%B"))
                git(self.repo, "commit", "-q", "--amend", "-m", said)
                oid = git(self.repo, "rev-parse", "HEAD")
            return oid

    return Bent(tmp_path / "bent").until_sealed()


def test_a_commit_that_names_another_root(tmp_path):
    task = told(tmp_path, lambda text: text[:-8] + "AAAAAAA=")

    verdict = in_git(task)

    assert (verdict.exit_code, verdict.level) == (1, "L2")
    assert "names another journal" in found(verdict, "anchors").what


def test_a_commit_without_its_checkpoint_is_incomplete(tmp_path):
    task = told(tmp_path, lambda text: text.partition("\nAudit-Checkpoint")[0])

    verdict = in_git(task)

    assert (verdict.exit_code, verdict.level) == (2, "L2")
    assert found(verdict, "anchors").severity is Severity.INCOMPLETE


def test_all_signed_anew_with_stolen_keys_is_caught_by_the_commits(sealed):
    lines = sealed.forge(lambda records: records[1]["data"].update(updated_ts=1))
    sealed.archive(sealed.files(lines, sealed.resign(lines)))

    verdict = in_git(sealed, AUDIT, level=3)

    assert (verdict.exit_code, verdict.level) == (1, "L2")
    assert "another journal" in found(verdict, "anchors").what


def test_an_older_journal_forced_on_the_audit_ref_is_caught_by_the_newer_commits(sealed):
    sealed.archive(sealed.files(sealed.lines[:30], {}))

    verdict = in_git(sealed, AUDIT, level=1)

    assert verdict.exit_code == 1
    assert any("holds another journal" in one.what or "the end was cut off" in one.what for one in verdict.findings)


def test_a_shallow_clone_is_refused(sealed, tmp_path):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "2", "--no-local", f"file://{sealed.repo}", str(clone))
    sealed.repo = clone

    verdict = in_git(sealed)

    assert verdict.exit_code == 2
    assert any("shallow" in one.what for one in verdict.findings if one.check == "anchors")


def test_a_grafted_repository_is_refused(sealed):
    (sealed.repo / ".git" / "info").mkdir(exist_ok=True)
    (sealed.repo / ".git" / "info" / "grafts").write_text(f"{sealed.merged}\n")

    assert "grafted" in found(in_git(sealed), "anchors").what


def test_a_commit_on_the_bots_branch_that_no_record_knows_is_foreign(sealed):
    git(sealed.repo, "switch", "-q", BRANCH)
    sealed.commit({"pay.py": b"def pay(): steal()\n"}, "by hand")
    git(sealed.repo, "switch", "-q", "main")

    verdict = in_git(sealed)

    assert verdict.exit_code == 2
    assert "is in no record" in found(verdict, "foreign").what


def test_an_agent_that_writes_into_evidence(tmp_path):
    class Agent(SignedStory):
        def commit(self, files, message):
            extra = {f"{layout.folder(TASK)}/spec.md": b"# mine\n"} if message == "work" else {}
            return super().commit(files | extra, message)

    verdict = in_git(Agent(tmp_path / "agent").until_sealed(), AUDIT)

    assert verdict.exit_code == 1
    assert "changes evidence" in found(verdict, "anchors").what


@pytest.mark.parametrize(("size", "right"), [(3, True), (3, False), (900, True)])
def test_what_people_were_shown_is_held_to_the_records_before_it(tmp_path, size, right):
    class Shown(SignedStory):
        def ask(self, gate, rev, artifact, *, source="", head=""):
            if gate is Gate.SPEC:
                root = note_at(self.lines, min(size, 3), self.keys).split(b"\n")[2].decode()
                said = root if right else "A" * 43 + "="
                self.add("anchor", kinds.Anchor("pull", size, said, "42:1"))
            super().ask(gate, rev, artifact, source=source, head=head)

    task = Shown(tmp_path / "shown")
    task.opened()
    task.draft_spec()
    task.checkpoints()
    verdict = alone(task, level=3)

    assert verdict.exit_code == (0 if right and size == 3 else 1)


def test_approvals_that_name_the_digest_are_counted(sealed):
    lines = sealed.forge(
        lambda records: [one["data"].update(method="digest") for one in records if one["kind"] == "approval"]
    )
    records = [msgspec.json.decode(line) for line in lines]

    verdict = alone(sealed, sealed.files(lines, sealed.resign(lines)), level=3)

    assert sum(one["kind"] == "approval" for one in records) == 3
    assert any("3 of 3 approvals name the digest" in held.text for held in verdict.held)
