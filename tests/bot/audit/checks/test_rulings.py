"""Rulings taken again: one changed field in each, all hashes computed anew by somebody who runs the instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.folder import Folder
from bot.audit.place import Found
from bot.audit.sheet import Finding, Sheet, Verdict
from bot.audit.verify import judge
from bot.model.policy import BreakGlass, Delegation, GateRule, Policy
from bot.model.state import Gate
from tests.bot.audit.story import AGENT, JONAS, MIRA, START, TASK, TOM, Story
from tests.independent import oracle

STRICT = Policy(
    preset="regulated",
    spec=GateRule(approvers=("user:40077", "user:40088"), quorum=2, not_by=("labeller", "author", "writer")),
    plan=GateRule(approvers=("user:40077", "user:40088"), not_by=("labeller", "author", "spec")),
    change=GateRule(quorum=1, not_by=("labeller", "committer")),
    emergency=BreakGlass(people=("user:40077", "user:40088")),
)
DAY_MS = 86_400_000
Change = Callable[[dict[str, Any]], object]


def judged(story: Story, lines: list[bytes] | None = None) -> Verdict:
    journal = b"".join(line + b"\n" for line in (story.lines if lines is None else lines))
    return judge(Found(Folder(TASK, {"audit/0000.jsonl": journal} | story.documents), "test", Sheet()))


def found(verdict: Verdict, *checks: str) -> list[Finding]:
    return [finding for finding in verdict.findings if not checks or finding.check in checks]


@pytest.fixture(scope="module")
def strict(tmp_path_factory) -> Story:
    """A spec that two people approved, and a foreign commit, an edit and a change gate after it."""
    story = Story(tmp_path_factory.mktemp("strict"), replace(STRICT, plan=GateRule()))
    story.opened()
    story.draft_spec()
    story.vote(Gate.SPEC, MIRA, entries=("user:40077",))
    story.rule(Gate.SPEC)
    story.vote(Gate.SPEC, JONAS, entries=("user:40088",))
    story.rule(Gate.SPEC)
    story.plan()
    first = story.work("coding", b"def pay(): retry\n")
    story.judge(first, 1)
    story.publish()
    story.foreign(b"def pay(): mine\n")
    story.say("fix", JONAS, "name the constant")
    second = story.work("qa_fixer", b"def pay(): RETRY\n")
    story.judge(second, 2)
    story.publish()
    story.break_glass(Gate.CHANGE, MIRA, JONAS)
    story.vote(Gate.CHANGE)
    story.rule(Gate.CHANGE)
    return story


def test_a_genuine_journal_of_a_strict_policy_holds(strict: Story):
    verdict = judged(strict)

    assert found(verdict) == []
    assert oracle(strict.lines) == []
    held = {one.check: one.text for one in verdict.held}
    assert held["rulings"] == "7 rulings taken again with the same result"
    assert "preset regulated, last changed in" in held["policy"]
    assert "by account 40090" in held["policy"]
    assert held["spec"].endswith("approved by github:40077, github:40088")
    assert any(text.startswith("that the forge said so at that time") for text in verdict.not_proven)


def vote(key: str, value: Any) -> Change:
    return lambda data: data["case"]["votes"][0].update({key: value})


def part(key: str, value: Any) -> Change:
    return lambda data: data["case"]["parts"].update({key: value})


def case(key: str, value: Any) -> Change:
    return lambda data: data["case"].update({key: value})


def ruled(key: str, value: Any) -> Change:
    return lambda data: data["ruling"].update({key: value})


# Which ruling (0: the spec with one vote, 1: with two, 2: again before planning, 6: the change), what is changed, and
# the finding that names it.
FORGED: list[tuple[int, str, Change, str]] = [
    (0, "passed", ruled("passed", True), "comes out otherwise"),
    (1, "passed", ruled("passed", False), "comes out otherwise"),
    (1, "emergency", ruled("is_emergency", True), "comes out otherwise"),
    (1, "an outcome", lambda d: d["ruling"]["outcomes"][4].update(ok=False), "comes out otherwise"),
    (1, "a reason", lambda d: d["ruling"]["outcomes"][4].update(why="fine"), "comes out otherwise"),
    (1, "a rule left out", lambda d: d["ruling"]["outcomes"].pop(), "comes out otherwise"),
    (1, "a tally", lambda d: d["ruling"]["tallies"][0].update(code="role"), "comes out otherwise"),
    (1, "a tally's person", lambda d: d["ruling"]["tallies"][0].update(person=9), "comes out otherwise"),
    (1, "the gate", case("gate", "plan"), "was taken on another digest"),
    (1, "the moment", case("moment", "execution"), "spec"),
    (1, "the time", case("at_ms", START + 2 * DAY_MS), "says another time than its record"),
    (1, "the digest", case("digest", "e" * 64), "was taken on another digest"),
    (1, "what was asked", case("asked", "e" * 64), "was taken on another asked"),
    (1, "when it was asked", case("asked_ms", START), "was taken on another asked_ms"),
    (1, "the policy", case("policy_sha256", "e" * 64), "was taken on another policy_sha256"),
    (1, "a freeze", case("is_frozen", True), "was taken on another is_frozen"),
    (6, "the scope", case("is_scope_decided", False), "was taken on another is_scope_decided"),
    (6, "one breaker", lambda d: d["case"]["breakers"].pop(), "was taken on another breakers"),
    (6, "another breaker", case("breakers", [40_077, 40_099]), "was taken on another breakers"),
    (1, "breakers that are none", case("breakers", [1, 2]), "was taken on another breakers"),
    (1, "a vote left out", lambda d: d["case"]["votes"].pop(), "leaves out the approval of record"),
    (1, "a voter", vote("person", 40_099), "counts an approval that no record gives"),
    (1, "a comment", vote("event_id", "42:999"), "counts an approval that no record gives"),
    (1, "what a vote is about", vote("digest", "e" * 64), "with another digest"),
    (1, "how it was said", vote("method", "review"), "with another method"),
    (1, "when it was said", vote("at_ms", START), "with another at_ms"),
    (1, "the role at that time", vote("role_then", "admin"), "with another role_then"),
    (1, "an entry", vote("entries", ["user:40088"]), "is an approver whom policy does not name so"),
    (1, "an entry of no policy", vote("entries", ["group:1"]), "is an approver whom policy does not name so"),
    (1, "ownership", vote("owns", [0]), "as an owner of places that were not touched"),
    (1, "a delegation", vote("delegators", [7]), "stands in for others than policy says"),
    (1, "the labeller", part("labeller", 1), "names other people as labeller"),
    (1, "the author", part("author", 1), "names other people as author"),
    (6, "a writer", part("writer", []), "names other people as writer"),
    (6, "a committer", part("committer", []), "names other people as committer"),
    (6, "who approved the spec", part("spec", []), "names other people as spec"),
    (6, "who approved the plan", part("plan", [40_099]), "names other people as plan"),
    (1, "somebody who wrote nothing", part("writer", [40_077]), "names other people as writer"),
]  # fmt: skip


def rulings_of(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in records if record["kind"] == "ruling"]


@pytest.mark.parametrize(("nth", "what", "change", "expected"), FORGED, ids=[each[1] for each in FORGED])
def test_a_ruling_with_one_changed_field_is_named(strict: Story, nth: int, what: str, change: Change, expected: str):
    seq = [n for n, record in enumerate(map(kind_of, strict.lines)) if record == "ruling"][nth]

    verdict = judged(strict, strict.forge(lambda records: change(records[seq]["data"])))

    assert verdict.exit_code == 1
    first = found(verdict)[0] if expected == "spec" else next(f for f in found(verdict) if expected in f.what)
    assert first.record == seq or expected == "spec", first


def kind_of(line: bytes) -> str:
    from bot.audit.record import decode

    return decode(line).kind


def test_the_outcome_of_a_ruling_is_that_of_its_record(strict: Story):
    verdict = judged(strict, strict.forge(lambda records: rulings_of(records)[1].update(outcome="denied")))

    assert [f.what for f in found(verdict)] == ["the record and the ruling in it say different things"]


def set_policy(records: list[dict[str, Any]], **values: Any) -> None:
    next(record for record in records if record["kind"] == "policy.changed")["data"]["policy"] |= values


OTHER = "the policy in the record is not the one that its digest names"
POLICIES: list[tuple[str, Callable[[list[dict[str, Any]]], object], str]] = [
    ("a key", lambda records: set_policy(records, gate_days=15), OTHER),
    ("a quorum", lambda records: set_policy(records, spec={"quorum": 1}), OTHER),
    (
        "its digest",
        lambda records: records[2]["data"].update(policy_sha256="e" * 64),
        "the task was opened under another policy",
    ),
    (
        "the one it was opened under",
        lambda records: records[0]["data"].update(policy_sha256="e" * 64),
        "the task was opened under another policy",
    ),
    ("left out", lambda records: records.pop(2), "was taken before any policy was in force"),
]


@pytest.mark.parametrize(("what", "change", "expected"), POLICIES, ids=[each[0] for each in POLICIES])
def test_a_changed_policy_is_named(strict: Story, what: str, change: Any, expected: str):
    verdict = judged(strict, strict.forge(change))

    assert verdict.exit_code == 1
    assert expected in [finding.what for finding in found(verdict, "policy", "rulings")]


INPUTS: list[tuple[str, str, Change, str]] = [
    ("the issue", "issue.snapshot", lambda d: d.update(issue_sha256="2" * 64), "was taken on another digest"),
    ("the base", "task.opened", lambda d: d.update(base_commit="2" * 40), "was taken on another digest"),
    ("the profile", "profile.set", lambda d: d.update(spec="haiku"), "was taken on another digest"),
    ("the labeller", "task.opened", lambda d: d.update(labeller=40_077), "names other people as labeller"),
    ("the author", "task.opened", lambda d: d.update(author=40_077), "names other people as author"),
    ("a pusher", "commit.foreign", lambda d: d.update(pusher=40_077), "names other people as committer"),
    ("the same tree", "commit.foreign", lambda d: d.update(is_same_tree=True), "names other people as committer"),
    ("the commander", "command", lambda d: d.update(accepted=False), "names other people as writer"),
    ("a vote's role", "approval", lambda d: d.update(permission="read"), "with another role_then"),
    ("a vote's time", "approval", lambda d: d.update(forge_ts=1), "with another at_ms"),
    ("a vote's comment", "approval", lambda d: d.update(event_id="42:1"), "counts an approval that no record gives"),
    ("an emergency", "emergency", lambda d: d.update(digest="e" * 64), "was taken on another breakers"),
]


@pytest.mark.parametrize(("what", "kind", "change", "expected"), INPUTS, ids=[each[0] for each in INPUTS])
def test_a_changed_record_that_a_ruling_rests_on_is_named(
    strict: Story, what: str, kind: str, change: Change, expected: str
):
    seq = next(n for n, line in enumerate(strict.lines) if kind_of(line) == kind)

    verdict = judged(strict, strict.forge(lambda records: change(records[seq]["data"])))

    assert verdict.exit_code == 1
    assert any(expected in finding.what for finding in found(verdict, "rulings"))


def test_an_approval_that_was_taken_back_does_not_count_again(strict: Story):
    asked = strict.requests[Gate.SPEC]
    seq = next(n for n, line in enumerate(strict.lines) if kind_of(line) == "approval")
    gone = kinds.ApprovalWithdrawn("spec", asked.digest, "taken back", "42:901")

    def withdraw(records):
        records.insert(
            seq + 1, records[seq] | {"kind": "approval.withdrawn", "data": as_dict(gone), "actor": as_dict(MIRA)}
        )

    what = f"counts an approval that had fallen in record {seq + 1}"
    assert what in [finding.what for finding in found(judged(strict, strict.forge(withdraw)), "rulings")]


def as_dict(value: Any) -> dict[str, Any]:
    import msgspec

    return msgspec.to_builtins(value)


class TestFourEyes:
    """What the journal itself says about who did what counts, not what a ruling says about it."""

    def test_who_let_a_gate_pass_is_barred_although_that_fell(self, tmp_path):
        policy = Policy(change=GateRule(not_by=("plan",)))
        story = Story(tmp_path, policy).until_change_review()
        gone = kinds.ApprovalWithdrawn("plan", story.requests[Gate.PLAN].digest, "place")
        story.add("approval.withdrawn", gone)
        story.fall(Gate.PLAN)
        story.approve(Gate.CHANGE)

        assert [f.what for f in found(judged(story))] == ["names other people as plan"]
        assert "let pass: 0 of 1" in oracle(story.lines)[0]

    def test_a_bot_that_a_ruling_calls_a_person(self, tmp_path):
        story = Story(tmp_path)
        story.opened()
        story.draft_spec()
        story.vote(Gate.SPEC, MIRA)
        story.rule(Gate.SPEC)
        seq = next(n for n, line in enumerate(story.lines) if kind_of(line) == "approval")

        verdict = judged(story, story.forge(lambda records: records[seq]["actor"].update(type="forge")))

        assert "takes github:40077 for a person" in [f.what for f in found(verdict, "rulings")]
        assert "which is no person" in found(verdict, "spec")[0].what

    def test_a_delegation_counts_both_as_one(self, tmp_path):
        away = Delegation(person=40_077, to=40_088, since="2026-11-01", until="2026-12-01")
        policy = Policy(spec=GateRule(quorum=2), delegations=(away,))
        story = Story(tmp_path, policy)
        story.opened()
        story.draft_spec()
        story.vote(Gate.SPEC, MIRA)
        story.vote(Gate.SPEC, JONAS, delegators=(40_077,))

        assert not story.rule(Gate.SPEC).passed
        assert found(judged(story)) == []
        assert oracle(story.lines) == []

    def test_a_commit_by_somebody_unknown_bars_everybody(self, tmp_path):
        story = Story(tmp_path).until_change_review()
        story.foreign(b"def pay(): whose\n", pusher=0)
        story.judge(story.head(), 3)
        story.publish()
        story.vote(Gate.CHANGE)

        assert not story.rule(Gate.CHANGE).passed
        assert found(judged(story)) == []
        assert oracle(story.lines) == []


class TestEmergency:
    def at_change(self, tmp_path, people: tuple[str, ...]) -> Story:
        policy = Policy(change=GateRule(quorum=3), emergency=BreakGlass(people=people))
        return Story(tmp_path, policy).until_change_review()

    def test_two_people_let_a_gate_pass_and_everybody_sees_it(self, tmp_path):
        story = self.at_change(tmp_path, ("user:40077", "user:40088"))
        story.break_glass(Gate.CHANGE, MIRA, JONAS)

        assert story.rule(Gate.CHANGE).passed
        verdict = judged(story)
        assert found(verdict) == []
        assert oracle(story.lines) == []
        assert [one.kind for one in verdict.attention] == ["emergency", "emergency", "ruling"]
        assert any("IN AN EMERGENCY, approved by github:40077, github:40088" in one.text for one in verdict.held)

    def test_one_person_alone_does_not(self, tmp_path):
        story = self.at_change(tmp_path, ("user:40077", "user:40088"))
        story.break_glass(Gate.CHANGE, MIRA, MIRA)

        assert not story.rule(Gate.CHANGE, breakers=(40_077,)).passed
        assert found(judged(story)) == []

    @pytest.mark.parametrize(
        ("people", "actor", "expected"),
        [
            ((), MIRA, "and policy lets nobody"),
            (("user:40088",), MIRA, "whom policy does not name"),
            (("user:40077",), AGENT, "which is no person"),
        ],
    )
    def test_others_may_not(self, tmp_path, people, actor, expected):
        story = self.at_change(tmp_path, people)
        data = kinds.Emergency("change", story.requests[Gate.CHANGE].digest, "42:1", START)
        story.add("emergency", data, actor)

        assert expected in found(judged(story), "change")[0].what
        assert "somebody broke the glass" in oracle(story.lines)[0]

    def test_a_group_is_for_the_forge_to_tell(self, tmp_path):
        story = self.at_change(tmp_path, ("group:9",))
        story.break_glass(Gate.CHANGE, TOM)

        verdict = judged(story)
        assert found(verdict) == []
        assert any("who broke the glass, is one of: group:9" in text for text in verdict.not_proven)


class TestReviewed:
    def passed(self, tmp_path) -> Story:
        policy = Policy(change=GateRule(quorum=3), emergency=BreakGlass(people=("user:40077", "user:40088")))
        story = Story(tmp_path, policy).until_change_review()
        story.break_glass(Gate.CHANGE, MIRA, JONAS)
        assert story.rule(Gate.CHANGE).passed
        return story

    def test_somebody_else_may_also_after_the_end(self, tmp_path):
        story = self.passed(tmp_path)
        story.add("task.closed", kinds.TaskClosed("done", "merged"))
        story.review(Gate.CHANGE, TOM)

        assert found(judged(story)) == []
        assert oracle(story.lines) == []

    @pytest.mark.parametrize(
        ("actor", "expected"),
        [
            (MIRA, "who broke the glass"),
            (JONAS, "who broke the glass"),
            (AGENT, "is no person"),
            (replace(TOM, id="github:0"), "is no person"),
        ],
    )
    def test_others_may_not(self, tmp_path, actor, expected):
        story = self.passed(tmp_path)
        story.review(Gate.CHANGE, actor)

        assert expected in found(judged(story), "change")[0].what
        assert "an emergency was reviewed" in oracle(story.lines)[0]

    @pytest.mark.parametrize(("gate", "digest"), [("change", "e" * 64), ("plan", ""), ("nowhere", "")])
    def test_there_has_to_be_one(self, tmp_path, gate, digest):
        story = self.passed(tmp_path)
        what = digest or story.requests[Gate.CHANGE].digest
        story.add("emergency.reviewed", kinds.EmergencyReviewed(gate, what, "42:1", START), TOM)

        assert "reviewed an emergency that no record holds" in found(judged(story), gate)[0].what
        assert "an emergency was reviewed" in oracle(story.lines)[0]


def test_a_policy_of_another_version_is_hashed_as_it_stands_in_its_record(strict: Story):
    """A key that is left out, as an older version would, is another table and another digest."""

    def older(records):
        del next(record for record in records if record["kind"] == "policy.changed")["data"]["policy"]["file_ref"]

    assert OTHER in [finding.what for finding in found(judged(strict, strict.forge(older)), "policy")]


def test_a_freeze_is_looked_up_again(tmp_path):
    policy = Policy(freeze=("2026-11-20T00:00Z/2026-11-30T00:00Z",))
    story = Story(tmp_path, policy).until_change_review()
    story.vote(Gate.CHANGE)

    assert story.rule(Gate.CHANGE).passed  # as if control had not looked
    assert [f.what for f in found(judged(story), "rulings")][-1] == "was taken on another is_frozen"
    assert any("a freeze was on" in text for text in oracle(story.lines))
