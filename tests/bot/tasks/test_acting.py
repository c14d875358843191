"""What each verb writes down; who may say it is decided in bot/commands/permission.py and tested there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.model.errors import Unavailable
from bot.model.policy import Policy
from bot.model.state import Gate, State
from bot.model.team import Team
from bot.settings import NamedProfile, ProfileTable, ProviderTable, Settings
from tests.bot.audit.samples import TOKENS
from tests.bot.tasks.forge import MIRA, STRANGER, TOM
from tests.bot.tasks.office import PLAN, SPEC, Office

FENCED = f"/edit\n````markdown\n{SPEC.replace('Refunds', 'Charge-backs')}````\n"


async def code(office: Office, task: str) -> str:
    return (await office.desk.shelf.read(task)).heard[-1].code


async def test_an_approval_binds_the_digest_that_was_shown(office: Office):
    task = await office.at_spec_gate()
    digest = (await office.desk.shelf.read(task)).asked(Gate.SPEC).digest
    now = await office.says(task, MIRA, f"/approve {digest[:12]}")
    approval = now.approval(Gate.SPEC)
    assert (approval.digest, approval.rev, approval.actor.id, approval.role) == (digest, 1, MIRA.id, "write")
    record = (await office.records(task))[-1]
    assert (record.kind, record.actor.role, record.data["method"]) == ("approval", "approver", "digest")


async def test_an_approval_without_a_digest_says_that_it_was_of_what_was_shown(office: Office):
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/approve")
    assert (await office.records(task))[-1].data["method"] == "shown"


@pytest.mark.parametrize("wanted", ["0" * 12, "abc", "not-a-digest"])
async def test_an_approval_of_another_digest_is_refused(office: Office, wanted: str):
    task = await office.at_spec_gate()
    now = await office.says(task, MIRA, f"/approve {wanted}")
    assert (now.state, await code(office, task)) == (State.SPEC_REVIEW, "GW-APPROVE-STALE")


async def test_a_prefix_that_is_too_short_is_no_digest(office: Office):
    task = await office.at_spec_gate()
    digest = (await office.desk.shelf.read(task)).asked(Gate.SPEC).digest
    await office.says(task, MIRA, f"/approve {digest[:11]}")
    assert await code(office, task) == "GW-APPROVE-STALE"


async def test_an_approval_that_is_older_than_the_draft_is_refused(office: Office):
    task = await office.opened()
    early = office.forge.says(MIRA, "/approve")
    await office.drafts(task, "spec", SPEC)
    now = await office.hears(task, office.commented(early))
    assert (now.state, await code(office, task)) == (State.SPEC_REVIEW, "GW-APPROVE-BEFORE")


async def test_an_old_comment_that_names_the_digest_counts(office: Office):
    """Nobody can name what they have not seen."""
    task = await office.opened()
    early = office.forge.says(MIRA, "placeholder")
    await office.drafts(task, "spec", SPEC)
    digest = (await office.desk.shelf.read(task)).asked(Gate.SPEC).digest
    number, _ = office.forge.talk[early.id]
    exact = replace(early, body=f"/approve {digest}")
    office.forge.talk[early.id] = (number, exact)
    await office.hears(task, office.commented(exact))
    assert (await office.converge(task)).state is State.PLAN


async def test_what_was_not_shown_yet_cannot_be_approved(office: Office):
    task = await office.opened()
    office.forge.failing["comment"] = Unavailable("GW-X", "down")
    await office.drafts(task, "spec", SPEC)
    office.forge.failing.clear()
    now = await office.says(task, MIRA, "/approve")
    assert (now.state, await code(office, task)) == (State.SPEC_REVIEW, "GW-APPROVE-NOT-ASKED")


async def test_a_changed_profile_voids_what_was_asked(office: Office):
    task = await office.at_spec_gate()
    now = await office.says(task, MIRA, "/model coding=opus")
    assert now.profile.coding == "opus"
    await office.says(task, MIRA, "/approve")
    assert await code(office, task) == "GW-APPROVE-NOT-ASKED"
    await office.converge(task)
    await office.says(task, MIRA, "/approve")
    assert (await office.converge(task)).state is State.PLAN


@pytest.mark.parametrize(
    "words", ["coding", "baking=opus", "coding=", "coding=a b", f"coding={'x' * 201}", "coding=\u200b"]
)
async def test_a_model_has_a_phase_and_a_name(office: Office, words: str):
    task = await office.at_spec_gate()
    now = await office.says(task, MIRA, f"/model {words}")
    assert now.profile.coding == "sonnet"
    assert await code(office, task) in ("GW-MODEL-FORM", "GW-COMMAND-ARGUMENT")


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("slow", "GW-PROFILE-UNKNOWN"), ("coding=nonsense", "GW-MODEL-FORM"),
        ("coding=haiku qa=claude-x", "GW-MODEL-POLICY"), ("coding=gpu:x", "GW-MODEL-TIER"),
        ("coding=bedrock:x", "GW-MODEL-RESIDENCY"), ("odd", "GW-MODEL-POLICY"), ("coding=opus", "GW-TEAM-MODEL"),
    ],
)  # fmt: skip
async def test_a_model_that_may_not_be_used_is_refused_when_it_is_said(office: Office, words: str, refused: str):
    rules = Policy(
        allowed_models=("sonnet", "haiku", "opus", "*:*"), require_tier="enterprise-certified", residency=("eu",)
    )
    office.desk.settings = Settings(
        policy=rules,
        profile=ProfileTable(planning="sonnet"),
        profiles={"odd": NamedProfile(planning="claude-x")},
        providers={"claude": ProviderTable(residency="eu")},
        endpoints={"gpu": ProviderTable(residency="eu")},
        teams={"pay": Team(projects=("pay/*",), models=("[!o]*",))},
    )
    task = await office.at_spec_gate()
    before = (await office.desk.shelf.read(task)).profile
    now = await office.says(task, MIRA, f"/model {words}")
    assert now.profile == before
    assert await code(office, task) == refused


async def test_several_phases_in_one_command_are_taken_together_or_not_at_all(office: Office):
    task = await office.at_spec_gate()
    now = await office.says(task, MIRA, "/model coding=opus qa=haiku")
    assert (now.profile.coding, now.profile.qa, now.profile.planning) == ("opus", "haiku", "opus")
    now = await office.says(task, MIRA, "/model coding=sonnet qa=nonsense")
    assert (now.profile.coding, now.profile.qa) == ("opus", "haiku")


async def test_an_edit_puts_a_persons_text_in_force_which_needs_approval_too(office: Office):
    task = await office.at_spec_gate()
    now = await office.says(task, MIRA, FENCED)
    assert (now.state, now.spec.rev, now.spec.author) == (State.SPEC_REVIEW, 2, "github:7")
    assert b"Charge-backs" in office.desk.blobs.get(now.spec.commitment)
    now = await office.converge(task)
    assert now.asked(Gate.SPEC).rev == 2


async def test_a_secret_in_an_edit_is_cut_out_before_it_is_hashed_kept_or_shown(office: Office):
    task, token = await office.at_spec_gate(), TOKENS["github classic"]
    now = await office.says(task, MIRA, FENCED.replace("Charge-backs", f"Charge-backs {token}"))
    kept = office.desk.blobs.get(now.spec.commitment)
    assert b"Charge-backs [redacted:github-token]" in kept
    assert now.spec.sha256 == hashlib.sha256(kept).hexdigest()
    await office.converge(task)
    said = [comment.body for comment in await office.forge.comments(office.repo, 42, 0)]
    assert any("redacted:github-token" in body.replace("\\", "") for body in said)
    assert not [body for body in said if token in body and not body.startswith("/edit")]


async def test_an_edit_that_is_no_spec_is_refused_with_the_line(office: Office):
    task = await office.at_spec_gate()
    now = await office.says(task, MIRA, "/edit\n```\n# Nothing else\n```\n")
    assert now.spec.rev == 1
    assert not now.heard[-1].accepted
    assert now.heard[-1].answer


async def test_an_edited_plan_must_serve_the_spec(office: Office):
    task = await office.at_plan_gate()
    bad = PLAN.replace("AC-3", "AC-9")
    now = await office.says(task, MIRA, f"/edit\n````\n{bad}````\n")
    assert (now.plan.rev, now.heard[-1].accepted) == (1, False)
    good = PLAN.replace("Nothing uses it yet.", "Nothing uses it so far.")
    now = await office.says(task, MIRA, f"/edit\n````\n{good}````\n")
    assert (now.plan.rev, now.state) == (2, State.PLAN_REVIEW)


async def test_revise_carries_the_words_and_at_the_plan_may_go_back_to_the_spec(office: Office):
    task = await office.at_plan_gate()
    now = await office.says(task, MIRA, "/revise spec: leave refunds in")
    assert now.state is State.SPEC
    assert now.approvals == ()
    assert [office.desk.blobs.get(each) for each in now.feedback] == [b"spec: leave refunds in"]


async def test_revise_without_words_is_refused(office: Office):
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/revise")
    assert (await office.desk.shelf.read(task)).state is State.SPEC_REVIEW
    assert await code(office, task) in ("GW-REVISE-EMPTY", "GW-COMMAND-ARGUMENT")


async def test_reject_and_cancel_end_the_task_and_say_by_whom(office: Office):
    task = await office.at_spec_gate()
    now = await office.says(task, MIRA, "/reject")
    assert (now.state, (await office.records(task))[-1].actor.id) == (State.REJECTED, "github:7")
    again = await office.says(task, MIRA, "/cancel")
    assert (again.state, again.heard[-1].accepted) == (State.REJECTED, False)


async def test_status_and_help_are_answered_even_to_readers(office: Office):
    task = await office.at_spec_gate()
    for verb in ("status", "help"):
        now = await office.says(task, STRANGER, f"/{verb}")
        assert now.heard[-1].accepted
        assert office.desk.blobs.get(now.heard[-1].answer)
    await office.converge(task)
    assert len(office.forge.said("kind=reply")) == 2


async def test_a_word_that_is_no_verb_is_answered_with_the_nearest(office: Office):
    task = await office.at_spec_gate()
    now = await office.says(task, MIRA, "/gatewright aprove")
    assert (now.heard[-1].code, now.state) == ("GW-COMMAND-UNKNOWN", State.SPEC_REVIEW)
    assert b"approve" in office.desk.blobs.get(now.heard[-1].answer)


async def test_retry_goes_back_to_where_it_stopped(office: Office):
    task = await office.at_spec_gate()
    async with office.desk.shelf.open(task) as book:
        await book.write(Draft("task.blocked", kinds.TaskBlocked("GW-ISSUE-AWAY"), office.desk.service))
    await office.converge(task)
    now = await office.says(task, TOM, "/retry")
    assert (now.state, now.blocked_code) == (State.SPEC_REVIEW, "")


async def test_the_words_of_a_command_are_a_blob_and_never_in_the_journal(office: Office):
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/revise my telephone is 555-0199")
    assert not [line for line in await office.desk.shelf.journals.lines(task) if b"555-0199" in line]


async def test_a_change_is_approved_on_its_own_page_at_the_judged_commit_only(office: Office):
    task = await office.at_change_gate()
    number = (await office.desk.shelf.read(task)).pull.number
    branch = office.forge.changes[number].branch
    judged = office.forge.heads[branch]
    office.forge.pushes(branch, "e" * 40)
    await office.says(task, MIRA, "/approve", number, on_change=True)
    assert await code(office, task) == "GW-APPROVE-OTHER-HEAD"
    office.forge.pushes(branch, judged)
    now = await office.says(task, MIRA, "/approve", number, on_change=True)
    assert now.approval(Gate.CHANGE) is not None


async def test_status_says_that_a_freeze_holds_the_task(redis_url: str, tmp_path: Path) -> None:
    window = "2000-01-01T00:00Z/2999-01-01T00:00Z"
    office = Office(redis_url, tmp_path, Settings(policy=Policy(freeze=(window,))))
    try:
        task = await office.at_plan_gate()
        await office.says(task, MIRA, "/approve")
        assert (await office.converge(task)).state is State.CODING, "approved, and nothing is started"
        now = await office.says(task, MIRA, "/status")
        assert now.running is None
        answer = office.desk.blobs.get(now.heard[-1].answer).decode()
        assert "2999" in answer
    finally:
        await office.close()
