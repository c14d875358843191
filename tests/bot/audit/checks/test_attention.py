"""What nobody may read over: in the report, as data, in the timeline; none of it is tampering."""

from __future__ import annotations

import json

import pytest

from bot.audit import kinds
from bot.audit.command import show, verify
from bot.model.policy import BreakGlass, GateRule, Policy
from bot.model.state import Gate
from tests.bot.audit.story import JONAS, MIRA, Story

POLICY = Policy(change=GateRule(quorum=3), emergency=BreakGlass(people=("user:40077", "user:40088")))


@pytest.fixture
def loud(tmp_path) -> Story:
    """Everything that may happen past the gates, in one task."""
    story = Story(tmp_path, POLICY).until_change_review()
    story.foreign()
    story.break_glass(Gate.CHANGE, MIRA, JONAS)
    story.rule(Gate.CHANGE)
    gone = kinds.ApprovalWithdrawn("change", story.requests[Gate.CHANGE].digest, "place")
    story.add("approval.withdrawn", gone)
    story.add("alarm", kinds.Alarm("GW-MERGED-UNAPPROVED", story.head()))
    story.add("task.closed", kinds.TaskClosed("done", "merged"))
    return story


def test_all_of_it_is_named_and_none_of_it_is_tampering(loud, capsys):
    assert verify(loud.store(), json=True) == 0
    (task,) = json.loads(capsys.readouterr().out)["tasks"]
    said = [(one["kind"], one["what"]) for one in task["attention"]]
    head, same = loud.head()[:12], "it holds the same files as before"
    assert said == [
        ("commit.foreign", f"{head} on the branch is not the bot's: pushed by github:40099; {same}"),
        ("emergency", "github:40077 broke the glass at the change gate; to be reviewed by 2026-11-28 22:26:40 UTC"),
        ("emergency", "github:40088 broke the glass at the change gate; to be reviewed by 2026-11-28 22:26:40 UTC"),
        ("ruling", "the change gate was passed in an emergency (decision)"),
        ("alarm", f"alarm GW-MERGED-UNAPPROVED about {head}"),
        ("task.closed", "merged, and no ruling in force had let the change pass"),
    ]  # fmt: skip
    assert {"what", "record", "kind", "at_ms"} == set(task["attention"][0])
    assert task["findings"] == []


def test_the_report_puts_it_first_and_names_it_again_at_the_end(loud, capsys):
    verify(loud.store())

    text = capsys.readouterr().out
    assert text.index("!!    ATTENTION") < text.index("ok    chain")
    assert "6 records need your ATTENTION, see above and docs/audit.md#attention." in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_the_timeline_marks_it(loud, capsys):
    show(loud.store())

    marked = [line.split()[3] for line in capsys.readouterr().out.splitlines() if " !!" in line]
    assert marked == ["commit.foreign", "emergency", "emergency", "ruling", "alarm"]


def test_an_ordinary_task_has_none_of_it(story, capsys):
    assert verify(story.store()) == 0
    assert "ATTENTION" not in capsys.readouterr().out


def test_a_merge_that_nobody_let_pass(tmp_path, capsys):
    story = Story(tmp_path).until_change_review()
    story.add("task.closed", kinds.TaskClosed("done", "merged"))

    assert verify(story.store()) == 0
    assert "merged, and no ruling in force had let the change pass" in " ".join(capsys.readouterr().out.split())


def test_a_commit_by_somebody_the_forge_did_not_name(tmp_path, capsys):
    story = Story(tmp_path).until_change_review()
    story.foreign(b"x\n", pusher=0)

    assert verify(story.store()) == 0
    assert "pushed by somebody the forge did not name" in " ".join(capsys.readouterr().out.split())
