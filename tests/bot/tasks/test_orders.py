from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.chain import Link
from bot.forges.protocol import Home
from bot.model.allowance import Allowance
from bot.model.order import Order
from bot.model.state import Step
from bot.model.task import Task, Usage
from bot.settings import Audit, Budget, Settings
from bot.tasks.budget import Today
from bot.tasks.orders import branch_name, make_order
from tests.bot.audit.samples import TOKENS
from tests.bot.tasks.forge import REPO
from tests.bot.tasks.history import COMMIT, History


def order(
    task: Task,
    step: Step,
    settings: Settings = Settings(),  # noqa: B008
    title: str = "Retry it",
    today: Today = Today(),  # noqa: B008
    now_ms: int = 5,
) -> Order:
    return make_order(
        task, step, number=9, title=title, home=Home(REPO, "main", "https://github.example/pay/core.git"),
        genesis="0" * 64, tail=Link(11, "1" * 64), settings=settings, now_ms=now_ms, today=today,
    )  # fmt: skip


def test_an_order_says_all_that_an_attempt_may_know():
    task = History().at_qa().task
    made = order(task, Step.QA)
    assert (made.task, made.attempt, made.step, made.round) == ("42-k7f3qd", 9, Step.QA, 1)
    assert (made.head, made.spec, made.plan, made.model) == (COMMIT, task.spec, task.plan, "sonnet")
    assert (made.journal_size, made.journal_head) == (12, "1" * 64)


def test_limits_come_from_the_budget():
    made = order(History().task, Step.SPEC, Settings(budget=Budget(phase_minutes=2, turns=7)))
    assert (made.wall_seconds, made.turns) == (120.0, 7)


def test_an_order_says_what_may_be_used_and_for_which_day_it_counts():
    history = History().at_spec_review()
    used = Today(Usage(3, 20, 10, 700), 60_000)
    settings = Settings(budget=Budget(attempt_calls=4, task_tokens=1_000, day_usd=0.5, task_minutes=90, day_minutes=2))
    made = order(history.task, Step.PLANNING, settings, today=used, now_ms=1_795_651_200_000)
    assert made.allowances == (
        Allowance(scope="attempt", calls=4),
        Allowance(scope="task", tokens=1_000, used=Usage(1, 100, 20, 1_500)),
        Allowance(scope="day", micro_usd=500_000, used=Usage(3, 20, 10, 700)),
    )
    assert (made.day, made.wall_seconds, made.wall_scope) == ("2026-11-26", 60.0, "day")
    delivery = order(history.task, Step.PUBLISH, settings, today=replace(used, ms=10**9))
    assert (delivery.allowances, delivery.wall_seconds, delivery.wall_scope) == ((), 1_800.0, "attempt")


def test_rounds_count_for_qa_and_its_fixer_only():
    task = History().at_qa().judged(passed=False).task
    rounds = {step: order(task, step).round for step in (Step.QA, Step.QA_FIXER, Step.CODING, Step.PUBLISH)}
    assert rounds == {Step.QA: 2, Step.QA_FIXER: 2, Step.CODING: 1, Step.PUBLISH: 1}


@pytest.mark.parametrize("step", [Step.PUBLISH, Step.ARCHIVE])
def test_deliveries_ask_no_model(step: Step):
    assert order(History().at_qa().task, step).model == ""


def test_the_audit_ref_is_a_ref_of_its_own_or_a_branch():
    ref = order(History().task, Step.SPEC).audit_ref
    branch = order(History().task, Step.SPEC, Settings(audit=Audit(audit_ref="branch"))).audit_ref
    assert (ref, branch) == ("refs/gatewright/audit/42-k7f3qd", "refs/heads/gatewright-audit/42-k7f3qd")


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Retry the payment client", "retry-the-payment-client"),
        ("../../etc/passwd; rm -rf /", "etc-passwd-rm-rf"),
        ("Ünïcode ☃ only", "n-code-only"),
        ("☃", "change"),
        ("", "change"),
        ("a" * 80, "a" * 40),
        ("x" * 39 + " y", "x" * 39),
        (".lock @{u}", "lock-u"),
        (f"Use {TOKENS['gitlab personal']}", "use-redacted-gitlab-token"),
    ],
)
def test_a_branch_has_a_name_that_any_git_takes(title: str, slug: str):
    assert branch_name(History().task, title) == f"gatewright/42-k7f3qd-{slug}"


def test_a_new_generation_gets_a_branch_of_its_own_and_a_pushed_one_is_kept():
    history = History().at_change_review()
    assert order(history.task, Step.PUBLISH, title="Renamed since").branch == "gatewright/42-k7f3qd-x"
    history.add("task.blocked", kinds.TaskBlocked("GW-ISSUE-AWAY")).say("revise", argument="d" * 64)
    assert order(history.task, Step.CODING).branch == "gatewright/42-k7f3qd-retry-it-2"
