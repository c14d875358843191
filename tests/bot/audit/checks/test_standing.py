"""What is in force, read off a journal record by record."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.audit import kinds
from bot.audit.checks.gates import begin
from bot.audit.checks.standing import Standing, person_of
from bot.audit.folder import Folder
from bot.audit.place import Found
from bot.audit.record import Who, data_of, decode
from bot.audit.sheet import Entry, Line, Sheet
from bot.audit.verify import judge
from bot.model.policy import BreakGlass, GateRule, Policy
from bot.model.state import Gate
from bot.tasks.binding import binding
from bot.tasks.fold import fold
from bot.tasks.needs import breakers
from tests.bot.audit.story import JONAS, MIRA, SPEC, TASK, Story
from tests.independent import oracle


def stand(story: Story, upto: int | None = None) -> Standing:
    records = [decode(line) for line in story.lines[:upto]]
    entries = [Entry(record, data_of(record), Line(b"", "", 0)) for record in records]
    standing = begin(entries)
    for entry in entries:
        standing.take(entry)
    return standing


def whole(root: Path) -> Story:
    return Story(root).until_done()


def loud(root: Path) -> Story:
    """A commit of the same files, an emergency, a vote that is taken back, another that holds."""
    policy = Policy(change=GateRule(quorum=2), emergency=BreakGlass(people=("user:40077", "user:40088")))
    story = Story(root, policy).until_change_review()
    story.foreign()
    story.vote(Gate.CHANGE, MIRA)
    digest = story.requests[Gate.CHANGE].digest
    story.add(
        "approval.withdrawn", kinds.ApprovalWithdrawn("change", digest, "x", story.votes[Gate.CHANGE][0].event_id)
    )
    story.votes[Gate.CHANGE] = []
    story.vote(Gate.CHANGE, JONAS)
    story.break_glass(Gate.CHANGE, MIRA, JONAS)
    story.rule(Gate.CHANGE)
    return story


def moved(root: Path) -> Story:
    """A policy that changes after the spec was passed, a second look that therefore fails, and all of it again."""
    story = Story(root)
    story.opened()
    story.spec()
    story.change_policy(Policy(gate_days=3))
    case = {"digest": story.binding(Gate.SPEC, 1, SPEC).digest()}
    assert not story.rule(Gate.SPEC, "execution", **case).passed
    story.fall(Gate.SPEC, Gate.PLAN)
    story.ask(Gate.SPEC, 1, SPEC)
    story.approve(Gate.SPEC)
    return story


def pushed(root: Path) -> Story:
    """A person's commit after an approval, judged and approved anew."""
    story = Story(root).until_change_review()
    story.approve(Gate.CHANGE)
    story.judge(story.foreign(b"def pay(): other\n"), 3)
    story.publish()
    story.approve(Gate.CHANGE)
    return story


@pytest.mark.parametrize("tell", [whole, loud, moved, pushed])
def test_it_agrees_with_what_control_makes_of_the_same_records(tell, tmp_path):
    """Control folds a journal to act, the verifier to judge: at every record both see the same gates."""
    story = tell(tmp_path)
    journal = b"".join(line + b"\n" for line in story.lines)
    assert judge(Found(Folder(TASK, {"audit/0000.jsonl": journal} | story.documents), "", Sheet())).findings == ()
    assert oracle(story.lines) == []
    for upto in range(4, len(story.lines) + 1):
        standing, task = stand(story, upto), fold(decode(line) for line in story.lines[:upto])
        assert standing.effective() == task.policy
        assert standing.base_commit == task.base_commit
        assert standing.issue_sha256 == task.issue_sha256
        assert standing.is_scope_decided == task.is_scope_decided
        for gate in Gate:
            assert [one.data.event_id for one in standing.in_force(gate)] == [v.event_id for v in task.votes(gate)]
            passed, let_pass = standing.passed.get(gate), task.let_pass(gate)
            assert (passed.digest if passed and not passed.fell else "") == (let_pass.digest if let_pass else "")
            if let_pass:
                assert set(passed.people) == set(let_pass.people)
            asked = task.asked(gate)
            assert standing.breakers(gate, asked.digest if asked else "") == set(
                breakers(task, gate, asked.digest) if asked else ()
            )
            if asked and asked.digest == binding(task, gate, "gw-test").digest():
                assert standing.present(gate) == asked.digest


def test_one_approval_taken_back_leaves_the_others(tmp_path):
    story = Story(tmp_path)
    story.opened()
    story.draft_spec()
    story.vote(Gate.SPEC, MIRA)
    story.vote(Gate.SPEC, JONAS)
    story.rule(Gate.SPEC)
    story.add("approval.withdrawn", kinds.ApprovalWithdrawn("spec", story.requests[Gate.SPEC].digest, "x", "42:901"))

    standing = stand(story)
    assert [one.person for one in standing.in_force(Gate.SPEC)] == [40_088]
    assert standing.let_pass(Gate.SPEC) is None  # until it is ruled on again, with who is left
    story.votes[Gate.SPEC].pop(0)
    story.rule(Gate.SPEC)
    assert stand(story).let_pass(Gate.SPEC).people == (40_088,)


def test_words_make_writers_and_a_bare_command_does_not(tmp_path):
    story = Story(tmp_path)
    story.opened()
    story.spec()
    story.say("retry", MIRA)
    story.say("revise", JONAS, "shorter")

    assert stand(story).parts.writer == (40_088,)


@pytest.mark.parametrize(("name", "number"), [("github:7", 7), ("inst:gw", 0), ("github:\N{SUPERSCRIPT TWO}", 0)])
def test_a_person_is_a_number(name, number, told):
    from msgspec.structs import replace

    record = decode(told[1].lines[0])
    assert person_of(replace(record, actor=Who(name, "approver", "human"))) == number
