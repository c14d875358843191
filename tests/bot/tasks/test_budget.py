from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest
from msgspec.structs import replace

from bot.audit import kinds
from bot.model.allowance import Allowance
from bot.model.errors import Refused
from bot.model.task import Usage
from bot.reports.problems import problem
from bot.reports.views import Caps
from bot.settings import Budget
from bot.tasks.budget import Means, Today, caps, day_of, means, worked_ms
from tests.bot.tasks.history import AGENT, History

NOW = 1_795_651_200_000
NONE = Budget(task_tokens=0)
USED = Usage(5, 900, 100, 2_000_000)


def task(used: Usage = USED, ms: int = 0):
    history = History().start("spec")
    history.now += 60 * 60_000  # in the queue, or at work
    ended = kinds.AttemptEnded(1, "spec", "", "", "", used.calls, used.tokens_in, used.tokens_out, used.micro_usd, ms)
    return history.spec().add("attempt.ended", ended, AGENT).task


def refused(budget: Budget, used: Usage = USED, today: Today = Today(), ms: int = 1) -> Refused:  # noqa: B008
    with pytest.raises(Refused) as caught:
        means(budget, task(used, ms), today, NOW)
    return caught.value


def test_without_limits_nothing_is_listed_and_a_phase_has_its_minutes():
    assert means(NONE, task(), Today(USED, 10**9), NOW) == Means((), 1_800.0)


def test_each_scope_comes_with_its_limits_and_what_was_used_of_it():
    budget = Budget(attempt_tokens=7, attempt_usd=0.1, task_calls=9, task_tokens=0, task_usd=4, day_tokens=5_000)
    found = means(budget, task(), Today(Usage(8, 40, 2, None)), NOW).allowances
    assert found == (
        Allowance(scope="attempt", tokens=7, micro_usd=100_000),
        Allowance(scope="task", calls=9, micro_usd=4_000_000, used=USED),
        Allowance(scope="day", tokens=5_000, used=Usage(8, 40, 2, None)),
    )


@pytest.mark.parametrize(("usd", "micro"), [(0.1 + 0.2, 300_000), (1e-9, 1), (19.99, 19_990_000)])
def test_money_is_whole_micro_usd_and_a_limit_never_becomes_none(usd: float, micro: int):
    [found] = means(replace(NONE, attempt_usd=usd), task(), Today(), NOW).allowances
    assert found.micro_usd == micro


@pytest.mark.parametrize(
    ("limit", "code", "said"),
    [
        ({"task_calls": 5}, "GW-BUDGET-TASK", "the task's budget of 5 calls is used up (5)"),
        ({"task_tokens": 1_000}, "GW-BUDGET-TASK", "the task's budget of 1,000 tokens is used up (1,000)"),
        ({"task_usd": 1.5}, "GW-BUDGET-TASK", "the task's budget of 1.50 USD is used up (2.00)"),
        ({"day_calls": 9}, "GW-BUDGET-DAY", "the day's budget of 9 calls is used up (9)"),
        ({"day_tokens": 4_000}, "GW-BUDGET-DAY", "the day's budget of 4,000 tokens is used up (4,001)"),
        ({"day_usd": 0.004}, "GW-BUDGET-DAY", "the day's budget of 0.004000 USD is used up (0.004000)"),
        ({"task_minutes": 10}, "GW-BUDGET-TASK", "the task's budget of 10 minutes is used up (10)"),
        ({"day_minutes": 3}, "GW-BUDGET-DAY", "the day's budget of 3 minutes is used up (3)"),
    ],
)
def test_what_is_used_up_is_refused_with_how_to_go_on(limit: dict[str, float], code: str, said: str):
    budget = replace(NONE, **limit)
    error = refused(budget, today=Today(Usage(9, 4_000, 1, 4_000), 3 * 60_000), ms=10 * 60_000)
    assert (error.code, error.what) == (code, said)
    assert f"budget.{next(iter(limit))}" in error.fix
    assert "`retry`" in error.fix
    assert ("00:00 UTC" in error.fix) == (code == "GW-BUDGET-DAY")
    more = {name: value * 2 for name, value in limit.items()}
    assert means(replace(NONE, **more), task(ms=10 * 60_000), Today(Usage(9, 4_000, 1, 4_000), 180_000), NOW)


@pytest.mark.parametrize("scope", ["task", "day"])
def test_what_has_no_price_cannot_be_held_against_money(scope: str):
    error = refused(replace(NONE, **{f"{scope}_usd": 100.0}), Usage(1, 5, 5, None), Today(Usage(1, 5, 5, None)))
    assert error.code == f"GW-BUDGET-{scope.upper()}"
    assert "price is not known" in error.what
    assert "prices" in error.fix


def test_the_wall_clock_is_the_least_of_what_is_left():
    budget = replace(NONE, phase_minutes=30, task_minutes=40, day_minutes=100)
    spent = task(ms=15 * 60_000)
    assert means(budget, spent, Today(), NOW) == Means((), 1_500.0, "task")
    assert means(budget, spent, Today(ms=90 * 60_000), NOW) == Means((), 600.0, "day")
    assert means(budget, task(ms=1), Today(), NOW) == Means((), 1_800.0)


def test_deliveries_take_no_time_of_the_budget():
    history = History().at_qa().start("publish")
    history.now += 3_600_000
    history.end("publish", outcome="fail", code="GW-GIT-AWAY")
    assert worked_ms(history.task, history.now) < 60_000


def test_days_are_utc():
    assert [day_of(ms) for ms in (NOW - 1, NOW)] == ["2026-11-25", "2026-11-26"]


def test_texts_show_the_limits_of_a_task():
    assert caps(Budget(task_usd=5, task_minutes=60)) == Caps(20_000_000, None, 5_000_000, 60)
    assert caps(NONE) == Caps()


def test_a_budget_reads_the_same_before_an_attempt_and_in_its_midst():
    ours = tomllib.loads(files("bot.reports").joinpath("budgets.toml").read_text())
    gateways = tomllib.loads(files("runners.gateway").joinpath("failures.toml").read_text())
    for table in ("scope", "budget", "more"):
        shared = ours[table].keys() & gateways[table].keys()
        assert len(shared) >= 2
        assert {key: ours[table][key] for key in shared} == {key: gateways[table][key] for key in shared}


@pytest.mark.parametrize("code", ["GW-BUDGET-ATTEMPT", "GW-BUDGET-TASK", "GW-BUDGET-DAY"])
def test_each_code_has_its_ways_out(code: str):
    shown = problem(code, "")
    assert "kept" in shown.what
    assert shown.ways[0].verb == "retry"
