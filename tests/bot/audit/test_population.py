from __future__ import annotations

import pytest

from bot.audit import population
from bot.audit.sheet import Severity
from bot.model.errors import UsageError
from tests.bot.audit.checks.kit import by
from tests.bot.audit.story import TASK, git

AUDIT = f"refs/gatewright/audit/{TASK}"


def counted(task, since=None, **how):
    return population.count(task.repo, since, by(task, **how))


def test_every_commit_belongs_to_one_sealed_task(sealed):
    verdicts, count = counted(sealed, log=True)

    assert [verdict.exit_code for verdict in verdicts] == [0]
    assert (count.commits, count.changes, count.gaps) == (5, 4, ())


def test_a_commit_that_only_claims_to_be_of_a_task(sealed):
    sealed_head = git(sealed.repo, "rev-parse", "HEAD")
    (sealed.repo / "pay.py").write_bytes(b"steal()\n")
    git(sealed.repo, "commit", "-qam", f"more\n\nGatewright-Task: {TASK}")

    _, count = counted(sealed)

    assert [gap.severity for gap in count.gaps] == [Severity.TAMPERED]
    assert "whose records do not know it" in count.gaps[0].what
    assert counted(sealed, "HEAD")[1].commits == 0
    assert counted(sealed, sealed_head)[1].commits == 1


def test_a_commit_by_the_bot_that_names_no_task(sealed):
    git(sealed.repo, "commit", "-q", "--allow-empty", "-m", "x", "--author", "b <123+bot@users.noreply.example.org>")

    assert not counted(sealed)[1].gaps
    gap = counted(sealed, bots=["github:123"])[1].gaps[0]
    assert (gap.severity, gap.commit) == (Severity.INCOMPLETE, git(sealed.repo, "rev-parse", "HEAD"))


def test_a_commit_of_a_task_without_evidence(sealed):
    git(sealed.repo, "commit", "-q", "--allow-empty", "-m", "x\n\nGatewright-Task: 7-gone")

    assert "no evidence" in counted(sealed)[1].gaps[0].what


def test_a_task_that_was_merged_and_never_sealed(sealed):
    git(sealed.repo, "update-ref", "-d", AUDIT)

    gaps = counted(sealed)[1].gaps

    assert len(gaps) == 1
    assert "not sealed" in gaps[0].what


def test_a_commit_of_two_tasks(sealed):
    git(sealed.repo, "commit", "-q", "--allow-empty", "-m", f"x\n\nGatewright-Task: {TASK}\nGatewright-Task: 7-gone")

    assert any(gap.severity is Severity.TAMPERED and "2 tasks" in gap.what for gap in counted(sealed)[1].gaps)


def test_a_task_whose_folder_was_deleted_is_a_gap_in_the_log(sealed):
    first = sealed.log.lines[0]
    other = first.replace(b'"task":"42-k7f3qd"', b'"task":"43-gone"')
    sealed.log.lines.append(other)

    gaps = counted(sealed, log=True)[1].gaps

    assert gaps == ()  # that key was for another journal of this repository

    git(sealed.repo, "rm", "-rq", ".gatewright")
    git(sealed.repo, "commit", "-qm", "tidy")
    git(sealed.repo, "update-ref", "-d", AUDIT)
    verdicts, count = counted(sealed, log=True)
    assert verdicts == ()
    assert any(gap.task == TASK and "log opened" in gap.what for gap in count.gaps)


def test_a_branch_that_is_named_is_held_to_the_sealed_copy_too(sealed):
    branch = f"gatewright/{TASK}-retry"

    verdicts, count = population.count(sealed.repo, None, by(sealed), rev=branch)

    assert (verdicts[0].state, count.gaps) == ("sealed", ())


def test_since_a_day(sealed):
    assert counted(sealed, "2026-01-01")[1].commits == 5
    assert counted(sealed, "2027-01-01")[1].commits == 0


@pytest.mark.parametrize(("since", "code"), [("2026-13-01", "GW-AUDIT-SINCE"), ("no-such", "GW-AUDIT-SINCE")])
def test_what_is_neither_day_nor_revision(sealed, since, code):
    with pytest.raises(UsageError) as error:
        counted(sealed, since)

    assert error.value.code == code


def test_a_directory_without_git_has_no_population(sealed, tmp_path):
    with pytest.raises(UsageError, match="no git repository"):
        population.count(tmp_path, None, by(sealed))
