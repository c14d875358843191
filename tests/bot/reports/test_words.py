"""Every text of the bot, on every forge: what it must say, and that hostile text cannot change what it is."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.forges.github import GitHub
from bot.forges.gitlab import GitLab
from bot.forges.gitlab_text import harmless
from bot.forges.local import LocalForge
from bot.model.documents import DocumentError
from bot.model.errors import Refused
from bot.model.event import Actor, ForgeKind
from bot.model.task import Approval, Gate, Profile, State
from bot.reports.render import BUDGET
from bot.reports.views import Approvers, Problem, Subject, Way
from bot.reports.words import Words
from bot.settings import Settings
from tests.bot.reports.reading import MARKDOWN, OURS, TABLE, Page
from tests.bot.reports.samples import (
    ATTACK,
    DIGEST,
    PLAN,
    PLAN_TEXT,
    SPEC,
    SPEC_TEXT,
    T0,
    hostile_plan,
    hostile_spec,
    report,
    task,
)

UNTIL = T0 + 14 * 86_400_000
MANNERS = {ForgeKind.GITHUB: GitHub.manners, ForgeKind.GITLAB: GitLab.manners, ForgeKind.LOCAL: LocalForge.manners}
FORGES = list(ForgeKind)
WEB = "https://git.bank.example/pay/core"
SUBJECT = Subject("Retry", f"{WEB}/issues/42", f"{WEB}/pull/88", f"{WEB}/tree/x", f"{WEB}/tree/x/.gatewright")


def words(forge: ForgeKind = ForgeKind.GITHUB, **changes: str) -> Words:
    return msgspec.structs.replace(Words(MANNERS[forge], public_url="https://gw.bank.example"), **changes)


def quoting(text: str) -> str:
    """Put text where a spec may hold it, on one line."""
    return SPEC_TEXT.replace("Refunds.", " ".join(text.replace("<!--", "").split()).replace("```", "``") or "x")


def texts(voice: Words, text: str = "") -> dict[str, str]:
    """Write everything the bot can say; with `text`, it stands wherever a model or a person writes."""
    forge = next(kind for kind in FORGES if MANNERS[kind] == voice.manners)
    spec, plan = (hostile_spec(text), hostile_plan(text)) if text else (SPEC, PLAN)
    free = text or "because"
    subject = SUBJECT if not text else Subject(text, text, text, text, text)
    coder = Profile(coding=free)
    spec_text = quoting("".join(c for c in text if c.isprintable())) if text else SPEC_TEXT
    reviewed = task(State.SPEC_REVIEW, forge, profile=coder)
    approval = Approval(Gate.SPEC, 1, DIGEST, Actor(1, free), free, T0)
    change = task(State.CHANGE_REVIEW, forge, approvals=(approval,))
    blocked = task(State.BLOCKED, forge, blocked_from=State.CODING, blocked_code="GW-CODING-ATTEMPTS")
    problem = Problem("GW-CODING-ATTEMPTS", free, why=free, fix=free, log=free, ways=(Way(free, "retry", free),))
    return {
        "gate.spec": voice.gate(
            reviewed,
            Gate.SPEC,
            spec_text,
            DIGEST,
            UNTIL,
            previous_text=free,
            subject=subject,
            approvers=Approvers(2, free, (free,)),
        ),
        "gate.plan": voice.gate(
            task(State.PLAN_REVIEW, forge), Gate.PLAN, PLAN_TEXT, DIGEST, UNTIL, spec_text=SPEC_TEXT
        ),
        "gate.change": voice.gate(change, Gate.CHANGE, "", DIGEST, UNTIL, qa=report(free), subject=subject),
        "superseded": voice.superseded(task(forge=forge), Gate.SPEC, 1, free),
        "progress": voice.progress(
            task(forge=forge), now_ms=T0, subject=subject, step_titles=(free,), limit_micro_usd=6_000_000
        ),
        "refused": voice.refused(
            task(forge=forge),
            event_id="42:9912#1",
            login=free,
            verb=free,
            error=Refused("GW-X", free, why=free, fix=free),
        ),
        "status": voice.status(task(State.SPEC_REVIEW, forge), event_id="42:9912", now_ms=T0),
        "help": voice.help(task(forge=forge), event_id="42:9912"),
        "again": voice.opened_already(task(forge=forge)),
        "blocked": voice.blocked(blocked, problem, now_ms=T0, subject=subject),
        "closed": voice.closed(task(State.CANCELLED, forge, close_reason=free), now_ms=T0, subject=subject),
        "pull": voice.change_body(
            change, spec=spec, plan=plan, qa=report(free, passed=not text), now_ms=T0, digest=DIGEST, subject=subject
        ),
    }


NAMES = tuple(texts(words()))


@pytest.mark.parametrize("forge", FORGES)
@pytest.mark.parametrize("name", NAMES)
def test_every_text_is_well_formed_and_ends_in_its_marker(forge, name):
    body = texts(words(forge))[name]
    page = Page(body)
    assert not page.faults
    assert set(page.tags) <= OURS | MARKDOWN | TABLE
    assert page.tags.count("details") == body.count("<details>") == body.count("</details>")
    assert len(page.comments) == 1
    assert body.splitlines()[-1] == f"<!--{page.comments[0]}-->"
    assert len(body) <= BUDGET


@pytest.mark.parametrize("forge", FORGES)
@pytest.mark.parametrize("name", NAMES)
def test_hostile_text_cannot_break_out(forge, name):
    voice = words(forge)
    body = texts(voice, ATTACK)[name]
    page = Page(body)
    assert not page.faults
    assert set(page.tags) <= OURS | MARKDOWN | TABLE
    assert page.tags.count("details") == Page(texts(voice, "x")[name]).tags.count("details")
    assert len(page.comments) == 1
    assert body.splitlines()[-1] == f"<!--{page.comments[0]}-->"
    assert body.count("<!--") == 1
    assert not re.search(r"@\w", page.words)
    assert not re.search(r"(?i)(closes|fixes)\s+(#12|https)", page.words)
    assert name != "pull" or not re.search(r"(?i)(closes|fixes)\s+(#12|https)", body)
    assert all(target.startswith(("http://", "https://")) for target, _ in page.links)
    assert len(body) <= BUDGET


@pytest.mark.parametrize("name", NAMES)
def test_gitlab_finds_nothing_to_carry_out_and_sees_only_the_form_that_works_there(name):
    for text in ("", ATTACK):
        body = harmless(texts(words(ForgeKind.GITLAB), text)[name], "gatewright")  # the forge's own door
        commands = [line for line in body.split("\n") if line.startswith("/")]
        assert all(line.startswith("/gatewright ") for line in commands)
        if not text:
            assert "`/approve" not in body
            assert "`/cancel" not in body


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200), st.sampled_from(FORGES))
def test_no_text_at_all_breaks_a_comment(text, forge):
    for body in texts(words(forge), text or "x").values():
        page = Page(body)
        assert not page.faults
        assert len(page.comments) == 1


def test_huge_texts_are_cut_honestly_and_fit_the_budget():
    huge = "word " * 15_000
    bodies = texts(words(), huge)
    assert all(len(body) <= BUDGET for body in bodies.values())
    assert "of 5 steps" not in bodies["blocked"]
    lines = "\n".join(f"- **AC-{n}**: {'must hold ' * 60}" for n in range(1, 100))
    body = words().gate(task(), Gate.SPEC, f"# T\n\nS\n\n## Acceptance criteria\n\n{lines}\n", DIGEST, UNTIL)
    assert len(body) <= BUDGET
    assert re.search(r"and \d+ more, not shown", body)
    assert re.search(r"these are the first \d+ of \d+ lines", body)
    assert "**99 acceptance criteria**" in body


# What each text must say.


def test_the_spec_gate_says_what_how_who_and_until_when():
    body = words().gate(
        task(State.SPEC_REVIEW),
        Gate.SPEC,
        SPEC_TEXT,
        DIGEST,
        UNTIL,
        approvers=Approvers(1, "payments-leads", ("tom-b, who set the label",)),
        previous_text=SPEC_TEXT.replace("four", "3"),
    )
    assert body.startswith("### Spec ready for approval\n")
    assert "\n\n```\n/approve 9f3c21ab77e0\n```\n\n" in body  # alone in its fence: one click copies it
    assert "from `payments-leads`, not from tom-b, who set the label. Open until 8 Dec 2026, 14:00 UTC." in body
    assert "**3 acceptance criteria**" in body
    assert "* **Open question:** Should a `429` count" in body
    assert DIGEST[:32] in body
    assert "-The payment client gives up on the first connection error. Afterwards it tries up to 3 times" in body
    assert "draft 2 by sonnet · 0.14 USD · 2 min" in body
    assert body.endswith("<!-- gatewright:1 task=42-k7f3qd kind=gate.spec rev=2 -->")


def test_the_whole_spec_can_be_copied_from_its_fold_and_edited():
    body = words().gate(task(State.SPEC_REVIEW), Gate.SPEC, SPEC_TEXT, DIGEST, UNTIL)
    assert f"````markdown\n{SPEC_TEXT}````\n" in body


def test_the_plan_gate_shows_steps_files_risks_and_what_serves_what():
    body = words().gate(task(State.PLAN_REVIEW), Gate.PLAN, PLAN_TEXT, DIGEST, UNTIL, spec_text=SPEC_TEXT)
    assert "1. Name the errors that may be tried again: `src/pay/errors.py`, `tests/test_errors.py`\n" in body
    assert "**Look at this first:** Callers that pass" in body
    assert "* Step 2 serves AC-1, AC-2, AC-3; verified by `pytest tests/test_client.py`" in body
    assert "written by a person" in body


def test_a_plan_gate_without_its_spec_is_an_error_not_a_blank():
    with pytest.raises(DocumentError):
        words().gate(task(State.PLAN_REVIEW), Gate.PLAN, PLAN_TEXT, DIGEST, UNTIL)


@pytest.mark.parametrize(
    ("voice", "command"),
    [
        (words(ForgeKind.GITHUB), "/approve 9f3c21ab77e0"),
        (words(ForgeKind.GITHUB, style="named", bot_name="gw"), "/gw approve 9f3c21ab77e0"),
        (words(ForgeKind.GITLAB), "/gatewright approve 9f3c21ab77e0"),
        (words(ForgeKind.GITLAB, style="bare", bot_name="gw"), "/gw approve 9f3c21ab77e0"),
    ],
)
def test_commands_are_shown_in_the_form_that_works_there(voice, command):
    body = voice.gate(task(State.SPEC_REVIEW), Gate.SPEC, SPEC_TEXT, DIGEST, UNTIL)
    assert f"```\n{command}\n```" in body


def test_a_change_is_called_what_people_on_that_forge_call_it():
    body = words(ForgeKind.GITLAB).progress(task(State.CHANGE_REVIEW), now_ms=T0)
    assert "your review of the merge request" in body
    assert "your review of the pull request" in words().progress(task(State.CHANGE_REVIEW), now_ms=T0)


def test_the_settings_give_the_voice():
    settings = msgspec.convert({"trigger": {"bot_name": "gw", "command_style": "named"}}, Settings)
    assert Words.of(settings, GitHub.manners).say("approve", "x") == "/gw approve x"


def test_the_change_body_closes_the_issue_and_shows_the_proof():
    body = words().change_body(task(State.CHANGE_REVIEW), spec=SPEC, plan=PLAN, qa=report(), now_ms=T0, subject=SUBJECT)
    assert body.startswith("Closes #42\n\n")
    assert "### QA: 3 of 3 criteria met\n" in body
    assert "* ✓ `make test`: exit 0, 1 min, 419 passed, 0 failed, 3 skipped\n* ✓ `make lint`: exit 0, 4 s\n" in body
    assert "| Spec `9f3c21ab77e0` | mira-k (maintain) | 24 Nov 2026, 14:10 UTC |" in body
    assert "**Models and cost</b>" not in body
    assert "<b>Models and cost</b>: 1.12 USD, 20 min" in body
    assert "gatewright audit verify . --task 42-k7f3qd" in body
    assert "This is a draft" not in body


def test_a_change_that_qa_did_not_pass_says_so_first():
    body = words().change_body(task(State.BLOCKED), spec=SPEC, plan=PLAN, qa=report(passed=False), now_ms=T0)
    assert "### QA: 2 of 3 criteria met, not passed\n" in body
    assert "**This is a draft.**" in body
    assert "✗ **not met**: **AC-3**" in body
    assert "✗ `make test`: exit 2" in body


def test_a_change_without_a_report_does_not_look_judged():
    body = words().change_body(task(State.BLOCKED), spec=SPEC, plan=PLAN, qa=None, now_ms=T0)
    assert "### QA: 0 of 3 criteria met" in body
    assert "No QA report was made." in body


def test_a_local_task_closes_no_issue():
    origin = msgspec.structs.replace(task().origin, issue=0)
    assert "Closes" not in words(ForgeKind.LOCAL).change_body(
        task(origin=origin), spec=SPEC, plan=PLAN, qa=report(), now_ms=T0
    )


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Retry with back-off", "Retry with back-off (42-k7f3qd)"),
        ("Draft: WIP: [Draft] Retry", "Retry (42-k7f3qd)"),
        ("/merge\nnow", "merge now (42-k7f3qd)"),
        ("Drafting rules", "Drafting rules (42-k7f3qd)"),
        ("WIP", "Change for task 42-k7f3qd (42-k7f3qd)"),
    ],
)
def test_a_title_is_one_line_and_changes_no_state(title, shown):
    assert words().change_title(task(), msgspec.structs.replace(SPEC, title=title)) == shown


def test_a_title_neither_mentions_nor_closes():
    title = words().change_title(task(), msgspec.structs.replace(SPEC, title="Fixes #12 for @mira"))
    assert "#12" not in title
    assert "@mira" not in title


def test_progress_shows_stages_cost_and_that_nothing_is_awaited():
    body = words().progress(task(), now_ms=T0, step_titles=("One", "Two", "Three"), limit_micro_usd=6_000_000)
    assert body.startswith("### Coding: step 3 of 5\n")
    assert "| Spec | ✓ approved by mira-k | 2 min, 0.14 USD |" in body
    assert "| **Coding** | ▸ running, step 3 of 5 | 11 min, 0.00 USD |" in body
    assert "1.12 of 6.00 USD" in body
    assert "Nothing to do for you now." in body
    assert "2. ✓ Two\n3. ▸ Three" in body


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("paused", [True, False])
def test_every_state_has_its_words(state, paused):
    at = task(state, paused=paused, blocked_from=State.QA if state is State.BLOCKED else None)
    for body in (words().progress(at, now_ms=T0), words().status(at), words().opened_already(at)):
        assert not Page(body).faults
        assert ("Paused" in body) == (paused and not state.is_final)


def test_a_task_that_has_just_begun_can_be_shown():
    fresh = task(State.RECEIVED, spec=None, plan=None, approvals=(), attempts=(), pull=None, branch="", steps_total=0)
    body = words(public_url="").progress(fresh, now_ms=T0)
    assert "| **Spec** | ▸ running | \N{EN DASH} |" in body
    assert "0.00 USD" in body


def test_an_unknown_price_is_a_dash_and_never_nothing():
    from bot.model.task import Step
    from tests.bot.reports.samples import attempt

    body = words().progress(task(attempts=(attempt(1, Step.SPEC, "copilot:x", 60_000, None),)), now_ms=T0)
    assert "1 min, \N{EN DASH} USD" in body


def test_a_refusal_mentions_exactly_the_person_it_is_for():
    body = words().refused(
        task(),
        event_id="42:9912",
        login="tom-b",
        verb="approve",
        error=Refused("GW-FOUR-EYES", "you set the label", why="four eyes", fix="ask `payments-leads`"),
    )
    assert body.startswith("**@tom-b, your `approve` was not counted:** you set the label.")
    assert "**What now:** ask `payments-leads`." in body
    assert "Code `GW-FOUR-EYES`" in body
    assert body.endswith("kind=reply rev=42:9912 -->")


def test_a_login_that_is_none_is_not_mentioned():
    body = words().refused(task(), event_id="1:2", login="all @everyone", verb="x", error=Refused("GW-X", "no"))
    assert not re.search(r"@\w", body)


def test_a_block_lists_the_ways_out():
    way = Way("The old test is out of date", "retry", "update test_legacy")
    body = words().blocked(task(State.BLOCKED), Problem("GW-X", "it failed", log="last line", ways=(way,)), now_ms=T0)
    assert "* **The old test is out of date:** `/retry update test_legacy`" in body
    assert "Spent: 1.12 USD, 20 min." in body
    assert "```\nlast line\n```" in body
    assert "`/cancel`" in words().blocked(task(State.BLOCKED), Problem("GW-X", "it failed"), now_ms=T0)
