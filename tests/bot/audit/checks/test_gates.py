"""Roads through the gates that are honest, and some that only look so."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.folder import Folder
from bot.audit.place import Found
from bot.audit.record import Who, decode
from bot.audit.sheet import Sheet, Verdict
from bot.audit.verify import judge
from bot.model.policy import Policy
from bot.model.role import Role
from bot.model.state import Gate
from tests.bot.audit.story import MIRA, PLAN, SPEC, TASK, Story, sha
from tests.independent import oracle

BETTER = SPEC + b"- AC-2: and nobody pays twice\n"


@pytest.fixture
def fresh(tmp_path) -> Story:
    story = Story(tmp_path)
    story.opened()
    return story


def judged(story: Story) -> Verdict:
    journal = b"".join(line + b"\n" for line in story.lines)
    return judge(Found(Folder(TASK, {"audit/0000.jsonl": journal} | story.documents), "test", Sheet()))


def whats(verdict: Verdict) -> list[str]:
    return [finding.what for finding in verdict.findings]


def test_a_draft_that_was_revised_and_then_approved_is_the_one_that_counts(fresh):
    fresh.spec()
    fresh.say("revise")
    fresh.spec(BETTER, 2)
    fresh.plan()
    commit = fresh.work("coding", b"x\n")
    fresh.judge(commit, 1)

    assert judged(fresh).findings == ()


def test_an_approval_of_the_draft_before_falls_with_the_new_one(fresh):
    fresh.spec()
    fresh.plan()
    fresh.add("spec.set", kinds.SpecSet(sha(BETTER), 2, 0, "github:40077"), MIRA)
    fresh.documents["spec.md"] = BETTER
    fresh.fall(Gate.SPEC, Gate.PLAN)
    fresh.work("coding", b"x\n")

    assert "coding began without an approved spec and plan" in whats(judged(fresh))


def test_an_approval_that_comes_after_the_draft_was_replaced_lets_nothing_pass(fresh):
    fresh.start("spec")
    fresh.add("spec.set", kinds.SpecSet(sha(SPEC), 1, 1))
    fresh.ask(Gate.SPEC, 1, SPEC)
    fresh.add("spec.set", kinds.SpecSet(sha(BETTER), 2, 0, "github:40077"), MIRA)
    fresh.vote(Gate.SPEC)

    assert whats(judged(fresh)) == ["approves a draft that was replaced before"]


def test_revising_takes_the_plan_back(fresh):
    fresh.spec()
    fresh.plan()
    fresh.say("revise")
    fresh.work("coding", b"x\n")

    assert whats(judged(fresh)) == ["coding began without an approved plan"]


def test_work_can_begin_anew_after_a_revise_with_an_open_change(tmp_path):
    story = Story(tmp_path).until_change_review()
    story.say("revise")
    story.plan(PLAN + b"2. Log it\n", 2)
    commit = story.work("coding", b"def pay(): again\n")
    story.judge(commit, 1)

    assert judged(story).findings == ()


def test_fixing_takes_the_approval_of_the_change_back(tmp_path):
    story = Story(tmp_path).until_change_review()
    story.approve(Gate.CHANGE)
    assert any(held.check == "change" for held in judged(story).held)

    story.say("fix")

    verdict = judged(story)
    assert verdict.findings == ()
    assert not any(held.check == "change" for held in verdict.held)
    assert any("anybody approved the change" in text for text in verdict.not_proven)


def test_another_profile_is_another_digest(fresh):
    fresh.add("profile.set", kinds.ProfileSet("haiku", "haiku", "haiku", "haiku", "haiku"))
    fresh.spec()

    assert "the digest that people were shown does not bind the spec in force" in whats(judged(fresh))


def test_the_gate_of_the_change_binds_source_and_head(tmp_path):
    story = Story(tmp_path).until_change_review()
    asked = story.requests[Gate.CHANGE]
    story.add(
        "approval.requested",
        kinds.ApprovalRequested("change", asked.digest, 1, source_sha256=asked.source_sha256, head="1" * 40),
    )

    assert "the digest that people were shown does not bind the change in force" in whats(judged(story))


def test_nobody_can_be_asked_about_nothing(fresh):
    fresh.ask(Gate.SPEC, 1, SPEC)
    fresh.add("approval.requested", kinds.ApprovalRequested("release", "1" * 64, 1))
    fresh.add("approval", kinds.Approval("plan", "1" * 64, 1, "42:1", 1, "write", "comment"), MIRA)

    assert whats(judged(fresh)) == [
        "people were asked before there was a draft",
        "asks at a gate that does not exist: 'release'",
        "approves at a gate where nobody was asked: 'plan'",
    ]


def test_a_refused_approval_is_no_approval(fresh):
    fresh.start("spec")
    fresh.add("spec.set", kinds.SpecSet(sha(SPEC), 1, 1))
    fresh.ask(Gate.SPEC, 1, SPEC)
    asked = fresh.requests[Gate.SPEC]
    denied = kinds.Approval("spec", asked.digest, 1, "42:1", 1, "read", "comment")
    fresh.add("approval", denied, Who("github:9", "approver", "human"), outcome="denied")

    assert whats(judged(fresh)) == ["an approval whose outcome is 'denied'"]


def test_plan_json_has_to_say_what_the_plan_says(tmp_path):
    from bot.model.documents import parse_plan, parse_spec, plan_json, render_plan, render_spec
    from bot.model.evidence import Criterion, Plan, PlanStep, Spec

    spec = Spec("Retry", "Failed payments are tried again.", (Criterion("AC-1", "A failed payment is tried again."),))
    step = PlanStep(1, "Wrap the call", "Wrap it.", ("pay.py",), ("AC-1",), "pytest")
    plan = Plan("Retry", "Wrap the call.", (step,))
    story = Story(tmp_path)
    story.opened()
    story.spec(render_spec(spec).encode())
    story.plan(render_plan(plan).encode())
    derived = plan_json(parse_plan(render_plan(plan), parse_spec(render_spec(spec))))

    story.documents["plan.json"] = derived
    assert judged(story).findings == ()
    assert not any("plan.json" in text for text in judged(story).not_proven)

    story.documents["plan.json"] = derived.replace(b"pay.py", b"tax.py")
    assert whats(judged(story)) == ["plan.json does not say what plan.md says"]


def test_an_approval_that_nobody_ruled_on_lets_nothing_pass(fresh):
    fresh.draft_spec()
    fresh.vote(Gate.SPEC)
    fresh.votes[Gate.SPEC] = []
    fresh.plan()

    assert whats(judged(fresh))[0] == "planning began without an approved spec"
    assert "planning without an approved spec" in oracle(fresh.lines)[0]


def test_another_coding_attempt_is_looked_at_again(tmp_path):
    story = Story(tmp_path)
    story.opened()
    story.spec()
    story.plan()
    story.work("coding", b"x\n")
    votes, story.votes = story.votes, {gate: [] for gate in Gate}
    story.work("coding", b"y\n")

    assert whats(judged(story)) == [
        f"coding began, and the approval of the {gate} was not looked at again just before" for gate in ("spec", "plan")
    ]
    assert "without another look" in oracle(story.lines)[0]
    story.votes = votes
    story.work("coding", b"z\n")
    assert len(judged(story).findings) == 2


def test_a_second_look_that_fails_sends_back(fresh):
    fresh.spec()
    fresh.plan()
    fresh.votes[Gate.SPEC] = [replace(vote, role_now=Role.READ) for vote in fresh.votes[Gate.SPEC]]
    assert not fresh.rule(Gate.SPEC, "execution").passed
    assert judged(fresh).findings == ()
    fresh.fall(Gate.SPEC, Gate.PLAN)
    fresh.work("coding", b"x\n")

    assert whats(judged(fresh)) == ["coding began without an approved spec and plan"]


@pytest.mark.parametrize("what", ["issue.changed", "base.moved", "policy.changed", "profile.set", "shown.edited"])
def test_whatever_is_bound_and_changes_stops_the_work(fresh, what):
    fresh.spec()
    fresh.plan()
    policy = Policy(gate_days=3)
    changes = {
        "issue.changed": kinds.IssueChanged("2" * 64, 1),
        "base.moved": kinds.BaseMoved("2" * 40),
        "policy.changed": kinds.PolicyChanged(policy.sha256(), policy, "c" * 64),
        "profile.set": kinds.ProfileSet("haiku", "haiku", "haiku", "haiku", "haiku"),
        "shown.edited": kinds.ShownEdited("plan", 1, "77"),
    }
    fresh.add(what, changes[what])
    fresh.fall(Gate.SPEC, Gate.PLAN)
    fresh.work("coding", b"x\n")

    said = whats(judged(fresh))
    assert said[0] == f"coding began without an approved {'plan' if what == 'shown.edited' else 'spec and plan'}"
    assert any("coding without an approved" in text for text in oracle(fresh.lines))


class TestScope:
    @pytest.fixture
    def held(self, fresh) -> Story:
        """Work that goes beyond its plan, and is kept back."""
        fresh.spec()
        fresh.plan()
        fresh.commit_made = fresh.work("coding", b"x\n", findings=2)
        return fresh

    def test_findings_that_were_approved_let_the_work_out(self, held):
        held.ask_scope()
        held.approve(Gate.SCOPE)
        held.start("qa")
        held.push(held.commit_made)
        held.end("qa")
        held.judge(held.commit_made, 1)
        held.publish()
        held.approve(Gate.CHANGE)

        verdict = judged(held)
        assert verdict.findings == ()
        assert oracle(held.lines) == []
        assert any(one.check == "scope" and "approved by github:40077" in one.text for one in verdict.held)

    def test_nothing_is_pushed_before(self, held):
        held.start("qa")
        held.push(held.commit_made)

        assert whats(judged(held)) == [
            f"{held.commit_made[:12]} was pushed before 2 findings about its scope were decided"
        ]
        assert "pushed before findings" in oracle(held.lines)[0]

    def test_nothing_is_pushed_that_nobody_looked_at(self, tmp_path):
        story = Story(tmp_path).until_change_review()
        genuine = list(story.lines)
        seqs = [n for n, line in enumerate(genuine) if decode(line).kind == "scope.found"]
        for seq in seqs:
            story.lines = genuine
            story.lines = story.forge(lambda records, seq=seq: records.pop(seq))
            assert "nobody had looked at what it holds beyond the plan" in whats(judged(story))[0]
            assert "nobody had held to its plan" in oracle(story.lines)[0]

    def test_evidence_is_no_work(self, held):
        held.start("qa")
        for ref in (f"refs/gatewright/audit/{TASK}", f"refs/heads/gatewright-audit/{TASK}"):
            held.add("pushed", kinds.Pushed(held.attempt, ref, held.commit_made, 3))

        assert judged(held).findings == ()

    def test_other_findings_are_another_digest(self, held):
        held.ask_scope()
        held.look(held.commit_made, 3)
        held.approve(Gate.SCOPE)
        held.start("qa")
        held.push(held.commit_made)

        said = whats(judged(held))
        assert "was taken on another digest" in said
        assert "not what people were shown last" in oracle(held.lines)[0]

    def test_nobody_is_asked_about_findings_that_there_are_not(self, fresh):
        fresh.add("approval.requested", kinds.ApprovalRequested("scope", "1" * 64, 1))

        assert whats(judged(fresh)) == ["people were asked before there were findings"]

    def test_the_change_waits_for_them(self, held):
        held.start("qa")
        held.push(held.commit_made)
        held.end("qa")
        held.judge(held.commit_made, 1)
        held.publish()
        held.vote(Gate.CHANGE)

        assert not held.rule(Gate.CHANGE).passed
        held.rule(Gate.CHANGE, is_scope_decided=True)
        assert "was taken on another is_scope_decided" in whats(judged(held))
        assert any("findings about its scope were open" in text for text in oracle(held.lines))


class TestMerge:
    POLICY = Policy(merge="on_approval")

    def merge(self, story: Story) -> Story:
        story.add("forge.intent", kinds.ForgeIntent("merge", 1))
        return story

    def test_the_bot_merges_what_was_let_pass_and_looked_at_again(self, tmp_path):
        story = Story(tmp_path, self.POLICY).until_change_review()
        story.approve(Gate.CHANGE)
        story.rule(Gate.CHANGE, "execution")

        assert judged(self.merge(story)).findings == ()
        assert oracle(story.lines) == []

    @pytest.mark.parametrize(
        ("policy", "gone", "expected"),
        [
            (Policy(), "", "the bot merged, and no policy in force lets it"),
            (POLICY, "all", "the bot merged without an approved change"),
            (POLICY, "look", "the bot merged, and the approval of the change was not looked at again just before"),
        ],
    )
    def test_it_merges_nothing_else(self, tmp_path, policy, gone, expected):
        story = Story(tmp_path, policy).until_change_review()
        if gone != "all":
            story.approve(Gate.CHANGE)
        if not gone:
            story.rule(Gate.CHANGE, "execution")

        assert whats(judged(self.merge(story))) == [expected]
        assert "merged by the bot without" in oracle(story.lines)[0]


class TestForeignCommits:
    def test_the_same_files_under_another_commit_leave_the_approval_alone(self, tmp_path):
        story = Story(tmp_path).until_change_review()
        story.approve(Gate.CHANGE)
        story.foreign()
        story.add("task.closed", kinds.TaskClosed("done", "merged"))

        verdict = judged(story)
        assert verdict.findings == ()
        assert oracle(story.lines) == []
        assert [one.kind for one in verdict.attention] == ["commit.foreign"]

    def test_other_files_void_it(self, tmp_path):
        story = Story(tmp_path).until_change_review()
        story.approve(Gate.CHANGE)
        commit = story.foreign(b"def pay(): other\n")

        verdict = judged(story)
        assert verdict.findings == ()
        assert any("that anybody approved the change as it stands now" in text for text in verdict.not_proven)
        story.judge(commit, 3)
        story.publish()
        story.approve(Gate.CHANGE)
        assert judged(story).findings == ()

    def test_who_pushed_does_not_approve(self, tmp_path):
        story = Story(tmp_path).until_change_review()
        story.foreign(b"def pay(): other\n", pusher=40_077)
        story.judge(story.head(), 3)
        story.publish()
        story.vote(Gate.CHANGE)

        assert not story.rule(Gate.CHANGE).passed
        assert judged(story).findings == ()

    def test_nobody_is_asked_about_a_commit_of_before(self, tmp_path):
        story = Story(tmp_path).until_change_review()
        before = story.requests[Gate.CHANGE]
        story.foreign(b"def pay(): other\n")
        story.ask(Gate.CHANGE, 1, PLAN, source=before.source_sha256, head=before.head)

        assert "people were asked about a commit that does not hold the present work" in whats(judged(story))
